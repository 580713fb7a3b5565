// The specification of rotary position embeddings.
#include "kernels/rope/rope.h"

namespace sutra::kernels::scalar {

void rope(const RopeArgs& args) {
  const size_t half = args.rotary_dim / 2;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t head = 0; head < args.n_heads; ++head) {
      float* x = args.x + t * args.stride + head * args.head_dim;
      for (size_t i = 0; i < half; ++i) {
        const float cos = args.cos[t * half + i], sin = args.sin[t * half + i];
        const float a = x[i], b = x[i + half];
        x[i] = a * cos - b * sin;
        x[i + half] = b * cos + a * sin;
      }
    }
  }
}

}  // namespace sutra::kernels::scalar
