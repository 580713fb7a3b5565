// Forcing and naming the kernels' instruction set: --isa, reports.
#pragma once

#include "kernels/isa.h"
