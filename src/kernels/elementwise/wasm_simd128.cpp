#include "kernels/elementwise/body.h"
#include "kernels/simd/f32x4_wasm.h"

namespace sutra::kernels::simd128 {

extern const ElementwiseKernels kElementwise;
const ElementwiseKernels kElementwise = elementwise_kernels<F32x4>();

}  // namespace sutra::kernels::simd128
