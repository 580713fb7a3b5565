#include "kernels/norm/body.h"
#include "kernels/simd/f32x4_neon.h"

namespace sutra::kernels::neon {

extern const NormKernels kNorm;
const NormKernels kNorm = norm_kernels<F32x4>();

}  // namespace sutra::kernels::neon
