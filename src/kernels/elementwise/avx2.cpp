#include "kernels/elementwise/body.h"
#include "kernels/simd/f32x8_avx2.h"

namespace sutra::kernels::avx2 {

extern const ElementwiseKernels kElementwise;
const ElementwiseKernels kElementwise = elementwise_kernels<F32x8>();

}  // namespace sutra::kernels::avx2
