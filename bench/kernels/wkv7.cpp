#include "kernels/wkv/wkv.h"

#include "base/text.h"
#include "bench/kernels/bench.h"

namespace sutra::bench {

using namespace sutra::kernels;

void measure_wkv7(const Bench& bench) {
  constexpr size_t kChannels = 2048, kHeadSize = 64, kMaxTokens = 64;
  const Floats r = random_floats(kMaxTokens * kChannels, -1.0f, 1.0f);
  const Floats w = random_floats(kMaxTokens * kChannels, 0.6f, 0.99f);
  const Floats kk = random_floats(kMaxTokens * kChannels, -0.1f, 0.1f);
  const Floats a = random_floats(kMaxTokens * kChannels, 0.0f, 1.0f);
  Floats y(kMaxTokens * kChannels), state(kChannels * kHeadSize);
  for (const Variant<const WkvKernels*>& variant : wkv_variants()) {
    if (!bench.wants(variant.isa)) continue;
    for (const size_t n_tokens : {size_t{1}, kMaxTokens}) {
      if (variant.isa == Isa::kScalar && n_tokens > 1) continue;
      const double seconds = seconds_of([&] {
        variant.fn->wkv7({.r = r.data(),
                          .w = w.data(),
                          .k = kk.data(),
                          .v = r.data(),
                          .kk = kk.data(),
                          .a = a.data(),
                          .n_tokens = n_tokens,
                          .n_heads = kChannels / kHeadSize,
                          .head_size = kHeadSize,
                          .first_head = 0,
                          .last_head = kChannels / kHeadSize,
                          .state = state.data(),
                          .y = y.data()});
      });
      add_time(bench, "wkv7", variant.name, concat("C=", kChannels, " N=", kHeadSize, " T=", n_tokens, " per token"),
               seconds / static_cast<double>(n_tokens), (2 * state.size() / n_tokens + 7 * kChannels) * sizeof(float));
    }
  }
}

}  // namespace sutra::bench
