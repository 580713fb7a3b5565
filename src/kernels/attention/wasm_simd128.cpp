#include "kernels/attention/body.h"
#include "kernels/simd/f32x4_wasm.h"

namespace sutra::kernels::simd128 {

void attention(const AttentionArgs& args) { attention_body<F32x4>(args); }

}  // namespace sutra::kernels::simd128
