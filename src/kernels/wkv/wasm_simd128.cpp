#include "kernels/simd/f32x4_wasm.h"
#include "kernels/wkv/body.h"

namespace sutra::kernels::simd128 {

void wkv7(const Wkv7Args& args) { wkv7_body<F32x4>(args); }

}  // namespace sutra::kernels::simd128
