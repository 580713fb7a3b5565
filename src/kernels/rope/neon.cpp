#include "kernels/rope/body.h"
#include "kernels/simd/f32x4_neon.h"

namespace sutra::kernels::neon {

void rope(const RopeArgs& args) { rope_body<F32x4>(args); }

}  // namespace sutra::kernels::neon
