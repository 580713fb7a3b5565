#include "kernels/selective_scan/body.h"
#include "kernels/simd/f32x4_neon.h"

namespace sutra::kernels::neon {

void selective_scan(const SelectiveScanArgs& args) { selective_scan_body<F32x4>(args); }

}  // namespace sutra::kernels::neon
