// Whether this machine's instructions do what the kernels rely on. Feature detection is not enough: one engine runs the
// relaxed dot product and returns twice the right value.
#pragma once

#include "base/error.h"

namespace sutra::kernels {

// Runs every variant that is available here against the scalar one of its family on small fixed data, bit for bit, in
// well under a millisecond. kSelfTestFailed names the family and the variant; kOutOfMemory.
Status self_test();

}  // namespace sutra::kernels
