#include "kernels/selective_scan/body.h"
#include "kernels/simd/f32x16_avx512.h"

namespace sutra::kernels::avx512 {

void selective_scan(const SelectiveScanArgs& args) { selective_scan_body<F32x16>(args); }

}  // namespace sutra::kernels::avx512
