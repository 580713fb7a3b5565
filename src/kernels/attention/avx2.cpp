#include "kernels/attention/body.h"
#include "kernels/simd/f32x8_avx2.h"

namespace sutra::kernels::avx2 {

void attention(const AttentionArgs& args) { attention_body<F32x8>(args); }

}  // namespace sutra::kernels::avx2
