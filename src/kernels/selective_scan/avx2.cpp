#include "kernels/selective_scan/body.h"
#include "kernels/simd/f32x8_avx2.h"

namespace sutra::kernels::avx2 {

void selective_scan(const SelectiveScanArgs& args) { selective_scan_body<F32x8>(args); }

}  // namespace sutra::kernels::avx2
