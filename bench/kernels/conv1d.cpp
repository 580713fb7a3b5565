#include "kernels/conv1d/conv1d.h"

#include "base/text.h"
#include "bench/kernels/bench.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_conv1d(const Bench& bench) {
  constexpr size_t kChannels = 5120, kTaps = 4, kMaxTokens = 64;
  // Every second row of D is a gate's, as in Mamba's in_proj.
  const Floats x = random_floats(kMaxTokens * 2 * kChannels, -1.0f, 1.0f);
  const Floats weight = random_floats(kTaps * kChannels, -1.0f, 1.0f);
  Floats y(kMaxTokens * kChannels), state(kTaps * kChannels);
  for (const Variant<Conv1dKernel>& variant : conv1d_variants()) {
    if (!bench.wants(variant.isa)) continue;
    for (const size_t n_tokens : {size_t{1}, kMaxTokens}) {
      if (variant.isa == Isa::kScalar && n_tokens > 1) continue;
      const double seconds = seconds_of([&] {
        variant.fn({.x = x.data(),
                    .x_stride = 2 * kChannels,
                    .n_tokens = n_tokens,
                    .n_channels = kChannels,
                    .n_taps = kTaps,
                    .first_channel = 0,
                    .last_channel = kChannels,
                    .weight = weight.data(),
                    .bias = weight.data(),
                    .activation = Conv1dActivation::kSilu,
                    .state = state.data(),
                    .y = y.data()});
      });
      add_time(bench, "conv1d", variant.name, concat("D=", kChannels, " K=", kTaps, " T=", n_tokens, " per token"),
               seconds / static_cast<double>(n_tokens), (3 * state.size() / n_tokens + 2 * kChannels) * sizeof(float));
    }
  }
}

}  // namespace sutra::bench
