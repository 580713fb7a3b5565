#include "kernels/selective_scan/body.h"
#include "kernels/simd/f32x4_wasm.h"

namespace sutra::kernels::simd128 {

void selective_scan(const SelectiveScanArgs& args) { selective_scan_body<F32x4>(args); }

}  // namespace sutra::kernels::simd128
