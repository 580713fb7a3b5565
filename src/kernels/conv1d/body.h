// The causal convolution over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/conv1d/conv1d.h"
#include "kernels/simd/lanes.h"
#include "kernels/simd/math.h"
#include "kernels/simd/pair.h"

namespace sutra::kernels {
namespace {

// Channels in blocks of some cache lines outside, tokens inside: a block's taps, and an input over the tokens that it
// reaches, stay in the first-level cache, although their rows often fall into the same sets of it.
inline constexpr size_t kConvChannels = 64;

// Row i of the sequence that the convolution runs over: the state, whose last row is x[−1], followed by x.
SUTRA_ALWAYS_INLINE const float* input_row(const Conv1dArgs& args, size_t i) {
  return i < args.n_taps ? args.state + i * args.n_channels : args.x + (i - args.n_taps) * args.x_stride;
}

template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void conv1d_channels(const Conv1dArgs& args, size_t t, size_t channel, Lanes lanes) {
  const size_t n_taps = args.n_taps, n_channels = args.n_channels;
  const float* weight = args.weight + channel;
  V y = args.bias == nullptr ? V::zero() : V::load(args.bias + channel, lanes);
  for (size_t k = 0; k < n_taps; ++k) {
    y = y + V::load(weight, lanes) * V::load(input_row(args, t + 1 + k) + channel, lanes);
    weight += n_channels;
  }
  if (args.activation == Conv1dActivation::kSilu) y = silu_of(y);
  y.store(args.y + t * n_channels + channel, lanes);
}

// The last rows of the sequence. Ascending, so a row is read before it is overwritten.
template <class V>
SUTRA_ALWAYS_INLINE void move_state(const Conv1dArgs& args, size_t first, size_t last) {
  for (size_t k = 0; k < args.n_taps; ++k) {
    const float* from = input_row(args, args.n_tokens + k);
    float* to = args.state + k * args.n_channels;
    for_lanes<V>(first, last,
                 [&](size_t channel, auto lanes) { V::load(from + channel, lanes).store(to + channel, lanes); });
  }
}

template <class V>
void conv1d_body(const Conv1dArgs& args) {
  for (size_t first = args.first_channel; first < args.last_channel; first += kConvChannels) {
    const size_t last = args.last_channel - first < kConvChannels ? args.last_channel : first + kConvChannels;
    for (size_t t = 0; t < args.n_tokens; ++t) {
      if (t + 1 < args.n_tokens) prefetch(args.x + (t + 1) * args.x_stride + first, last - first);
      for_wide<Pair<V>, V>(first, last,
                           [&]<class W>(size_t channel, auto lanes) { conv1d_channels<W>(args, t, channel, lanes); });
    }
    move_state<V>(args, first, last);
  }
}

}  // namespace
}  // namespace sutra::kernels
