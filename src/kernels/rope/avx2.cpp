#include "kernels/rope/body.h"
#include "kernels/simd/f32x8_avx2.h"

namespace sutra::kernels::avx2 {

void rope(const RopeArgs& args) { rope_body<F32x8>(args); }

}  // namespace sutra::kernels::avx2
