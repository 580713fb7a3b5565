#include "kernels/conv1d/body.h"
#include "kernels/simd/f32x16_avx512.h"

namespace sutra::kernels::avx512 {

void conv1d(const Conv1dArgs& args) { conv1d_body<F32x16>(args); }

}  // namespace sutra::kernels::avx512
