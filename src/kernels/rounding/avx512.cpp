#include "kernels/rounding/body.h"
#include "kernels/simd/f32x16_avx512.h"

namespace sutra::kernels::avx512 {

extern const RoundingKernels kRounding;
const RoundingKernels kRounding = rounding_kernels<F32x16>();

}  // namespace sutra::kernels::avx512
