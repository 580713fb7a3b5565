#include "kernels/elementwise/body.h"
#include "kernels/simd/f32x16_avx512.h"

namespace sutra::kernels::avx512 {

extern const ElementwiseKernels kElementwise;
const ElementwiseKernels kElementwise = elementwise_kernels<F32x16>();

}  // namespace sutra::kernels::avx512
