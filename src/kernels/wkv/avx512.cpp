#include "kernels/simd/f32x16_avx512.h"
#include "kernels/wkv/body.h"

namespace sutra::kernels::avx512 {

extern const WkvKernels kWkv;
const WkvKernels kWkv = wkv_kernels<F32x16>();

}  // namespace sutra::kernels::avx512
