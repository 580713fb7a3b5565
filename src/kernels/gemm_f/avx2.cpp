#include "kernels/gemm_f/body.h"
#include "kernels/simd/f32x8_avx2.h"

namespace sutra::kernels::avx2 {

void gemm_f(const GemmFArgs& args) { gemm_f_body<F32x8>(args); }

}  // namespace sutra::kernels::avx2
