// The causal convolution over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/conv1d/conv1d.h"
#include "kernels/simd/lanes.h"
#include "kernels/simd/math.h"

namespace sutra::kernels {
namespace {

template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void conv1d_channels(const Conv1dArgs& args, size_t channel, Lanes lanes) {
  const size_t n_taps = args.n_taps;
  const float* x = args.x + channel;
  const float* weight = args.weight + channel;
  float* state = args.state + channel;
  const V start = args.bias == nullptr ? V::zero() : V::load(args.bias + channel, lanes);

  for (size_t t = 0; t < args.n_tokens; ++t) {
    V y = start;
    // Taps that reach before this call's tokens read the state, whose row K − 1 is x[−1].
    const size_t n_before = n_taps - 1 > t ? n_taps - 1 - t : 0;
    for (size_t k = 0; k < n_before; ++k) {
      y = y + V::load(weight + k * args.n_channels, lanes) * V::load(state + (t + 1 + k) * args.n_channels, lanes);
    }
    for (size_t k = n_before; k < n_taps; ++k) {
      const float* input = x + (t + 1 + k - n_taps) * args.x_stride;
      y = y + V::load(weight + k * args.n_channels, lanes) * V::load(input, lanes);
    }
    if (args.activation == Conv1dActivation::kSilu) y = silu_of(y);
    y.store(args.y + t * args.n_channels + channel, lanes);
  }

  // The last K of state followed by x. Ascending, so a row is read before it is overwritten.
  for (size_t k = 0; k < n_taps; ++k) {
    const size_t at = args.n_tokens + k;  // in that sequence
    const V input =
        at < n_taps ? V::load(state + at * args.n_channels, lanes) : V::load(x + (at - n_taps) * args.x_stride, lanes);
    input.store(state + k * args.n_channels, lanes);
  }
}

template <class V>
void conv1d_body(const Conv1dArgs& args) {
  for_lanes<V>(args.first_channel, args.last_channel,
               [&](size_t channel, auto lanes) { conv1d_channels<V>(args, channel, lanes); });
}

}  // namespace
}  // namespace sutra::kernels
