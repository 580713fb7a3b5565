#include "kernels/simd/f32x4_wasm.h"
#include "kernels/ssd/body.h"

namespace sutra::kernels::simd128 {

void ssd(const SsdArgs& args) { ssd_body<F32x4>(args); }

}  // namespace sutra::kernels::simd128
