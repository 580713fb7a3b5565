#include "kernels/conv1d/body.h"
#include "kernels/simd/f32x4_wasm.h"

namespace sutra::kernels::simd128 {

void conv1d(const Conv1dArgs& args) { conv1d_body<F32x4>(args); }

}  // namespace sutra::kernels::simd128
