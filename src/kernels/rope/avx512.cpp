#include "kernels/rope/body.h"
#include "kernels/simd/f32x16_avx512.h"

namespace sutra::kernels::avx512 {

void rope(const RopeArgs& args) { rope_body<F32x16>(args); }

}  // namespace sutra::kernels::avx512
