#include "kernels/elementwise/body.h"
#include "kernels/simd/f32x1.h"

namespace sutra::kernels::scalar {

extern const ElementwiseKernels kElementwise;
const ElementwiseKernels kElementwise = elementwise_kernels<F32x1>();

}  // namespace sutra::kernels::scalar
