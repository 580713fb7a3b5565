#include "kernels/conv1d/body.h"
#include "kernels/simd/f32x4_neon.h"

namespace sutra::kernels::neon {

void conv1d(const Conv1dArgs& args) { conv1d_body<F32x4>(args); }

}  // namespace sutra::kernels::neon
