#include "kernels/elementwise/body.h"
#include "kernels/simd/f32x4_neon.h"

namespace sutra::kernels::neon {

extern const ElementwiseKernels kElementwise;
const ElementwiseKernels kElementwise = elementwise_kernels<F32x4>();

}  // namespace sutra::kernels::neon
