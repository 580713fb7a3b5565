#include "kernels/rounding/body.h"
#include "kernels/simd/f32x1.h"

namespace sutra::kernels::scalar {

extern const RoundingKernels kRounding;
const RoundingKernels kRounding = rounding_kernels<F32x1>();

}  // namespace sutra::kernels::scalar
