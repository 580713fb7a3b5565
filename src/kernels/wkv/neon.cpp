#include "kernels/simd/f32x4_neon.h"
#include "kernels/wkv/body.h"

namespace sutra::kernels::neon {

extern const WkvKernels kWkv;
const WkvKernels kWkv = wkv_kernels<F32x4>();

}  // namespace sutra::kernels::neon
