#include "kernels/ssd/ssd.h"

#include "base/text.h"
#include "bench/kernels/bench.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_ssd(const Bench& bench) {
  constexpr size_t kHeads = 24, kHeadDim = 64, kStates = 128, kMaxTokens = 64;
  constexpr size_t kChannels = kHeads * kHeadDim, kStride = kChannels + 2 * kStates;
  const Floats xBC = random_floats(kMaxTokens * kStride, -1.0f, 1.0f);
  const Floats dt = random_floats(kMaxTokens * kHeads, 0.001f, 0.1f);
  const Floats A = random_floats(kHeads, -16.0f, -1.0f);
  Floats y(kMaxTokens * kChannels), state(kStates * kChannels);
  for (const Variant<SsdKernel>& variant : ssd_variants()) {
    if (!bench.wants(variant.isa)) continue;
    for (const size_t n_tokens : {size_t{1}, kMaxTokens}) {
      if (variant.isa == Isa::kScalar && n_tokens > 1) continue;
      const double seconds = seconds_of([&] {
        variant.fn({.x = xBC.data(),
                    .B = xBC.data() + kChannels,
                    .C = xBC.data() + kChannels + kStates,
                    .stride = kStride,
                    .dt = dt.data(),
                    .A = A.data(),
                    .D = A.data(),
                    .n_tokens = n_tokens,
                    .n_heads = kHeads,
                    .head_dim = kHeadDim,
                    .n_state = kStates,
                    .n_groups = 1,
                    .first_head = 0,
                    .last_head = kHeads,
                    .state = state.data(),
                    .y = y.data()});
      });
      add_time(bench, "ssd", variant.name, concat("H=", kHeads, " n=", kStates, " T=", n_tokens, " per token"),
               seconds / static_cast<double>(n_tokens), (2 * state.size() / n_tokens + 2 * kChannels) * sizeof(float));
    }
  }
}

}  // namespace sutra::bench
