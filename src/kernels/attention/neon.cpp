#include "kernels/attention/body.h"
#include "kernels/simd/f32x4_neon.h"

namespace sutra::kernels::neon {

void attention(const AttentionArgs& args) { attention_body<F32x4>(args); }

}  // namespace sutra::kernels::neon
