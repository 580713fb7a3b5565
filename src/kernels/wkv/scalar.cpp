// The specification of the WKV-7 recurrence.
#include "kernels/wkv/wkv7.h"

namespace sutra::kernels::scalar {

void wkv7(const Wkv7Args& args) {
  const size_t n = args.head_size;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t head = args.first_head; head < args.last_head; ++head) {
      float* state = args.state + head * n * n;
      const size_t row = (t * args.n_heads + head) * n;
      for (size_t i = 0; i < n; ++i) {
        float sa = 0.0f;
        for (size_t j = 0; j < n; ++j) sa += state[j * n + i] * args.kk[row + j];
        float y = 0.0f;
        for (size_t j = 0; j < n; ++j) {
          float& s = state[j * n + i];
          s = (s * args.w[row + j] - sa * (args.kk[row + j] * args.a[row + j])) + args.v[row + i] * args.k[row + j];
          y += s * args.r[row + j];
        }
        args.y[row + i] = y;
      }
    }
  }
}

}  // namespace sutra::kernels::scalar
