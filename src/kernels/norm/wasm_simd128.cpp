#include "kernels/norm/body.h"
#include "kernels/simd/f32x4_wasm.h"

namespace sutra::kernels::simd128 {

extern const NormKernels kNorm;
const NormKernels kNorm = norm_kernels<F32x4>();

}  // namespace sutra::kernels::simd128
