#include "kernels/simd/f32x4_neon.h"
#include "kernels/wkv/body.h"

namespace sutra::kernels::neon {

void wkv7(const Wkv7Args& args) { wkv7_body<F32x4>(args); }

}  // namespace sutra::kernels::neon
