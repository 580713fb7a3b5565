#include "kernels/simd/f32x16_avx512.h"
#include "kernels/wkv/body.h"

namespace sutra::kernels::avx512 {

void wkv7(const Wkv7Args& args) { wkv7_body<F32x16>(args); }

}  // namespace sutra::kernels::avx512
