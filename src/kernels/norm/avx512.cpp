#include "kernels/norm/body.h"
#include "kernels/simd/f32x16_avx512.h"

namespace sutra::kernels::avx512 {

extern const NormKernels kNorm;
const NormKernels kNorm = norm_kernels<F32x16>();

}  // namespace sutra::kernels::avx512
