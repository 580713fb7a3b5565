#include "kernels/simd/f32x4_wasm.h"
#include "kernels/wkv/body.h"

namespace sutra::kernels::simd128 {

extern const WkvKernels kWkv;
const WkvKernels kWkv = wkv_kernels<F32x4>();

}  // namespace sutra::kernels::simd128
