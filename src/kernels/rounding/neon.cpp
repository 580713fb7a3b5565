#include "kernels/rounding/body.h"
#include "kernels/simd/f32x4_neon.h"

namespace sutra::kernels::neon {

extern const RoundingKernels kRounding;
const RoundingKernels kRounding = rounding_kernels<F32x4>();

}  // namespace sutra::kernels::neon
