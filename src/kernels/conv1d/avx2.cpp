#include "kernels/conv1d/body.h"
#include "kernels/simd/f32x8_avx2.h"

namespace sutra::kernels::avx2 {

void conv1d(const Conv1dArgs& args) { conv1d_body<F32x8>(args); }

}  // namespace sutra::kernels::avx2
