// Causal depthwise convolution over T tokens with the inputs before them kept as state, per channel d:
//
//   y_t = f(bias + Σ_{k<K} weight[k] · x_{t−K+1+k})                 f = silu or nothing
//
// Shapes: x row t at x + t·x_stride, D values; y [T,D] dense; weight [K][D] (the checkpoint's [D,1,K] transposed), tap
// K − 1 meets the current token; bias [D] or nullptr; state [K][D]: the last K raw inputs, oldest first (transformers'
// conv_state transposed), in and out. Row 0 is kept for that layout's sake; only the last K − 1 rows are read.
// Preconditions: K > 0; first_channel ≤ last_channel ≤ D; y and state overlap nothing else. Only channels of the range
// are touched.
// Numerics: float32, taps ascending from the bias (or 0). Channels are independent, so all variants, any channel range
// and any split of the tokens give the same bits.
// Source: Gu and Dao 2023, "Mamba", section 3.4 (the convolution before the SSM).
#pragma once

#include <cstddef>
#include <span>

#include "kernels/variant.h"

namespace sutra::kernels {

enum class Conv1dActivation : unsigned char { kNone, kSilu };

struct Conv1dArgs {
  const float* x;
  size_t x_stride;
  size_t n_tokens, n_channels, n_taps;
  size_t first_channel, last_channel;
  const float* weight;
  const float* bias;
  Conv1dActivation activation;
  float* state;
  float* y;
};

// Channel ranges are how threads share the work.
void conv1d(const Conv1dArgs& args);

using Conv1dKernel = void (*)(const Conv1dArgs&);
std::span<const Variant<Conv1dKernel>> conv1d_variants();

}  // namespace sutra::kernels
