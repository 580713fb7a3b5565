#include "kernels/rounding/body.h"
#include "kernels/simd/f32x8_avx2.h"

namespace sutra::kernels::avx2 {

extern const RoundingKernels kRounding;
const RoundingKernels kRounding = rounding_kernels<F32x8>();

}  // namespace sutra::kernels::avx2
