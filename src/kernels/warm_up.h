// For engines that compile in two steps, as browsers do with WebAssembly: code runs unoptimised until it has been busy.
#pragma once

#include "base/error.h"

namespace sutra::kernels {

// Runs the products of decoding, T = 1, on a small matrix for a few milliseconds, so that their better code is made while
// a model is still being loaded and not during its first token. kOutOfMemory.
Status warm_up();

}  // namespace sutra::kernels
