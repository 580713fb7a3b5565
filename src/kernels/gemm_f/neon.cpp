#include "kernels/gemm_f/body.h"
#include "kernels/simd/f32x4_neon.h"

namespace sutra::kernels::neon {

void gemm_f(const GemmFArgs& args) { gemm_f_body<F32x4>(args); }

}  // namespace sutra::kernels::neon
