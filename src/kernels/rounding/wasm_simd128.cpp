#include "kernels/rounding/body.h"
#include "kernels/simd/f32x4_wasm.h"

namespace sutra::kernels::simd128 {

extern const RoundingKernels kRounding;
const RoundingKernels kRounding = rounding_kernels<F32x4>();

}  // namespace sutra::kernels::simd128
