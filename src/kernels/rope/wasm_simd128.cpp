#include "kernels/rope/body.h"
#include "kernels/simd/f32x4_wasm.h"

namespace sutra::kernels::simd128 {

void rope(const RopeArgs& args) { rope_body<F32x4>(args); }

}  // namespace sutra::kernels::simd128
