#include "kernels/gemm_f/body.h"
#include "kernels/simd/f32x16_avx512.h"

namespace sutra::kernels::avx512 {

void gemm_f(const GemmFArgs& args) { gemm_f_body<F32x16>(args); }

}  // namespace sutra::kernels::avx512
