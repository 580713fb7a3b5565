#include "kernels/gemm_f/body.h"
#include "kernels/simd/f32x4_wasm.h"

namespace sutra::kernels::simd128 {

void gemm_f(const GemmFArgs& args) { gemm_f_body<F32x4>(args); }

}  // namespace sutra::kernels::simd128
