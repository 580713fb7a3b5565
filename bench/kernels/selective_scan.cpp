#include "kernels/selective_scan/selective_scan.h"

#include "base/text.h"
#include "bench/kernels/bench.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_selective_scan(const Bench& bench) {
  constexpr size_t kChannels = 5120, kStates = 16, kMaxTokens = 64;
  const Floats u = random_floats(kMaxTokens * kChannels, -1.0f, 1.0f);
  const Floats dt = random_floats(kMaxTokens * kChannels, 0.001f, 0.1f);
  const Floats A = random_floats(kStates * kChannels, -16.0f, -1.0f);
  const Floats bc = random_floats(kMaxTokens * 2 * kStates, -1.0f, 1.0f);
  Floats y(kMaxTokens * kChannels), state(kStates * kChannels);
  for (const Variant<SelectiveScanKernel>& variant : selective_scan_variants()) {
    if (!bench.wants(variant.isa)) continue;
    for (const size_t n_tokens : {size_t{1}, kMaxTokens}) {
      if (variant.isa == Isa::kScalar && n_tokens > 1) continue;
      const double seconds = seconds_of([&] {
        variant.fn({.u = u.data(),
                    .dt = dt.data(),
                    .A = A.data(),
                    .B = bc.data(),
                    .C = bc.data() + kStates,
                    .bc_stride = 2 * kStates,
                    .D = u.data(),
                    .z = u.data(),
                    .z_stride = kChannels,
                    .n_tokens = n_tokens,
                    .n_channels = kChannels,
                    .n_state = kStates,
                    .first_channel = 0,
                    .last_channel = kChannels,
                    .state = state.data(),
                    .y = y.data()});
      });
      add_time(bench, "selective_scan", variant.name,
               concat("D=", kChannels, " n=", kStates, " T=", n_tokens, " per token"),
               seconds / static_cast<double>(n_tokens), (3 * state.size() / n_tokens + 4 * kChannels) * sizeof(float));
    }
  }
}

}  // namespace sutra::bench
