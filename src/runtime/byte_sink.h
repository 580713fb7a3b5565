// Where programs and bindings let files be written to.
#pragma once

#include "io/byte_sink.h"
