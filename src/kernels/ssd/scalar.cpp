// The specification of the SSD recurrence.
#include "kernels/simd/f32x1.h"
#include "kernels/simd/math.h"
#include "kernels/ssd/ssd.h"

namespace sutra::kernels::scalar {

void ssd(const SsdArgs& args) {
  const size_t n_values = args.head_dim, n_state = args.n_state;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t head = args.first_head; head < args.last_head; ++head) {
      const size_t group = head / (args.n_heads / args.n_groups);
      const float* x = args.x + t * args.stride + head * n_values;
      const float* B = args.B + t * args.stride + group * n_state;
      const float* C = args.C + t * args.stride + group * n_state;
      float* state = args.state + head * n_state * n_values;
      float* y = args.y + (t * args.n_heads + head) * n_values;
      const float dt = args.dt[t * args.n_heads + head];
      const float decay = exp_of(F32x1{dt * args.A[head]}).v;
      for (size_t p = 0; p < n_values; ++p) {
        float sum = 0.0f;
        for (size_t s = 0; s < n_state; ++s) {
          float& h = state[s * n_values + p];
          h = decay * h + (dt * x[p]) * B[s];
          sum += C[s] * h;
        }
        y[p] = sum + args.D[head] * x[p];
      }
    }
  }
}

}  // namespace sutra::kernels::scalar
