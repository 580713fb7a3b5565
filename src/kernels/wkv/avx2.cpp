#include "kernels/simd/f32x8_avx2.h"
#include "kernels/wkv/body.h"

namespace sutra::kernels::avx2 {

extern const WkvKernels kWkv;
const WkvKernels kWkv = wkv_kernels<F32x8>();

}  // namespace sutra::kernels::avx2
