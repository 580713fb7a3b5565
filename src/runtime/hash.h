// SHA-256 of the files that a program or binding passes on, for those that check them against a catalogue.
#pragma once

#include "io/hash.h"
