// The specification of the causal convolution.
#include "kernels/conv1d/conv1d.h"
#include "kernels/simd/f32x1.h"
#include "kernels/simd/math.h"

namespace sutra::kernels::scalar {

void conv1d(const Conv1dArgs& args) {
  const size_t n_taps = args.n_taps;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for (size_t d = args.first_channel; d < args.last_channel; ++d) {
      // The state moves by one token: out with the oldest input, in with this one.
      for (size_t k = 0; k + 1 < n_taps; ++k) {
        args.state[k * args.n_channels + d] = args.state[(k + 1) * args.n_channels + d];
      }
      args.state[(n_taps - 1) * args.n_channels + d] = args.x[t * args.x_stride + d];

      float y = args.bias == nullptr ? 0.0f : args.bias[d];
      for (size_t k = 0; k < n_taps; ++k) {
        y += args.weight[k * args.n_channels + d] * args.state[k * args.n_channels + d];
      }
      if (args.activation == Conv1dActivation::kSilu) y = silu_of(F32x1{y}).v;
      args.y[t * args.n_channels + d] = y;
    }
  }
}

}  // namespace sutra::kernels::scalar
