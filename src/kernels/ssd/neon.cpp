#include "kernels/simd/f32x4_neon.h"
#include "kernels/ssd/body.h"

namespace sutra::kernels::neon {

void ssd(const SsdArgs& args) { ssd_body<F32x4>(args); }

}  // namespace sutra::kernels::neon
