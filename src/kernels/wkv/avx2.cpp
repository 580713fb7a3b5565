#include "kernels/simd/f32x8_avx2.h"
#include "kernels/wkv/body.h"

namespace sutra::kernels::avx2 {

void wkv7(const Wkv7Args& args) { wkv7_body<F32x8>(args); }

}  // namespace sutra::kernels::avx2
