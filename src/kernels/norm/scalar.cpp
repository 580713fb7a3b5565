#include "kernels/norm/body.h"
#include "kernels/simd/f32x1.h"

namespace sutra::kernels::scalar {

extern const NormKernels kNorm;
const NormKernels kNorm = norm_kernels<F32x1>();

}  // namespace sutra::kernels::scalar
