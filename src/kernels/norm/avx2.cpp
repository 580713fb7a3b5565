#include "kernels/norm/body.h"
#include "kernels/simd/f32x8_avx2.h"

namespace sutra::kernels::avx2 {

extern const NormKernels kNorm;
const NormKernels kNorm = norm_kernels<F32x8>();

}  // namespace sutra::kernels::avx2
