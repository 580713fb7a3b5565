#include "kernels/simd/f32x16_avx512.h"
#include "kernels/ssd/body.h"

namespace sutra::kernels::avx512 {

void ssd(const SsdArgs& args) { ssd_body<F32x16>(args); }

}  // namespace sutra::kernels::avx512
