#include "kernels/attention/body.h"
#include "kernels/simd/f32x16_avx512.h"

namespace sutra::kernels::avx512 {

void attention(const AttentionArgs& args) { attention_body<F32x16>(args); }

}  // namespace sutra::kernels::avx512
