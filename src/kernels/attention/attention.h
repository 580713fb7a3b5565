// Causal attention of some query heads over the keys and values of the one head that they share (grouped queries),
// for T tokens from position p on. Query q of token t sees the tokens 0 … p + t:
//
//   a_j = scale · (q · k_j);   y = Σ_j e^{a_j − m} v_j / Σ_j e^{a_j − m}
//
// Shapes: G queries a token, N channels a head: query g of token t at q + t·stride + g·N, its y likewise. Keys and values
// lie in pages of kCachePageTokens tokens: token j's are in pages[j / kCachePageTokens], at key_offset as [N][page
// tokens], so that lanes are tokens, and at value_offset as [page tokens][N], so that lanes are channels.
// Preconditions: the pages hold p + T tokens (cache_append); y overlaps nothing else; G, N > 0.
// Numerics: float32, one pass, a page at a time, m the largest a_j so far (Milakov and Gimelshein 2018): with a page's
// new m, what was summed before is multiplied by exp(m_before − m). q · k_j ascends over channels; Σ e^{…} in sixteen
// partial sums, number j mod 16 taking token j, then the tree of gemm_f.h; Σ e^{…} v_j ascends over tokens. exp is that
// of elementwise.h. Pages begin at multiples of their length, so all variants and any split of the tokens give the same
// bits.
// Sources: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1; Ainslie et al. 2023, "GQA".
#pragma once

#include <cstddef>
#include <span>

#include "kernels/variant.h"

namespace sutra::kernels {

inline constexpr size_t kCachePageTokens = 64;

// The keys and values of one head in the cache's pages.
struct CacheHead {
  float* const* pages;
  size_t key_offset, value_offset;  // in floats, of each page
  size_t head_dim;
};

// Floats of a page that one head's keys or values take.
[[nodiscard]] constexpr size_t cache_page_floats(size_t head_dim) { return kCachePageTokens * head_dim; }

struct AttentionArgs {
  const float* q;
  size_t stride;
  size_t n_tokens, n_queries;
  size_t first_position;
  float scale;
  CacheHead cache;
  float* y;
};

void attention(const AttentionArgs& args);

using AttentionKernel = void (*)(const AttentionArgs&);
std::span<const Variant<AttentionKernel>> attention_variants();

// Writes T tokens' keys and values of one head, rows of N at k + t·stride and v + t·stride, to the cache from
// `first_position` on.
struct CacheAppendArgs {
  const float* k;
  const float* v;
  size_t stride;
  size_t n_tokens;
  size_t first_position;
  CacheHead cache;
};
void cache_append(const CacheAppendArgs& args);

}  // namespace sutra::kernels
