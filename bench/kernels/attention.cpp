#include "kernels/attention/attention.h"

#include <vector>

#include "base/text.h"
#include "bench/kernels/bench.h"

namespace sutra::bench {

using namespace sutra::kernels;

// One head of keys and values with four queries a token, after so many tokens.
void measure_attention(const Bench& bench) {
  constexpr size_t kQueries = 4, kHeadDim = 64, kSeen = 1024, kMaxTokens = 64;
  constexpr size_t kPages = (kSeen + kMaxTokens) / kCachePageTokens;
  const Floats q = random_floats(kMaxTokens * kQueries * kHeadDim, -1.0f, 1.0f);
  Floats cache = random_floats(kPages * 2 * cache_page_floats(kHeadDim), -1.0f, 1.0f);
  std::vector<float*> pages;
  for (size_t i = 0; i < kPages; ++i) pages.push_back(cache.data() + i * 2 * cache_page_floats(kHeadDim));
  Floats y(q.size());
  for (const Variant<AttentionKernel>& variant : attention_variants()) {
    if (!bench.wants(variant.isa)) continue;
    for (const size_t n_tokens : {size_t{1}, kMaxTokens}) {
      if (variant.isa == Isa::kScalar && n_tokens > 1) continue;
      const double seconds = seconds_of([&] {
        variant.fn({.q = q.data(),
                    .stride = kQueries * kHeadDim,
                    .n_tokens = n_tokens,
                    .n_queries = kQueries,
                    .first_position = kSeen,
                    .scale = 0.125f,
                    .cache = {pages.data(), 0, cache_page_floats(kHeadDim), kHeadDim},
                    .y = y.data()});
      });
      add_time(bench, "attention", variant.name,
               concat("G=", kQueries, " N=", kHeadDim, " seen=", kSeen, " T=", n_tokens, " per token"),
               seconds / static_cast<double>(n_tokens), 2 * kSeen * kHeadDim * sizeof(float) / n_tokens);
    }
  }
}

}  // namespace sutra::bench
