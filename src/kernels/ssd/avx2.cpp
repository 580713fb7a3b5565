#include "kernels/simd/f32x8_avx2.h"
#include "kernels/ssd/body.h"

namespace sutra::kernels::avx2 {

void ssd(const SsdArgs& args) { ssd_body<F32x8>(args); }

}  // namespace sutra::kernels::avx2
