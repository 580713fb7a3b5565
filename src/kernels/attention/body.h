// Attention over a cache over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/simd/lanes.h"
#include "kernels/simd/math.h"
#include "kernels/simd/pair.h"

namespace sutra::kernels {
namespace {

// Queries that take a page together, so that it is read from memory once.
inline constexpr size_t kQueryTile = 8;

// What a query knows after some pages; Σ e^{…} v so far is in its y.
template <class V>
struct Query {
  const float* q;
  float* y;
  size_t n_tokens;  // that it sees
  float largest;
  PartialSums<V> sums;
};

// a_j of a page's first n tokens; what follows up to a multiple of the partial sums becomes −∞, whose e is 0. Returns the
// largest of them and `largest`.
template <class V>
SUTRA_ALWAYS_INLINE float scores(const float* q, const float* keys, size_t head_dim, size_t n, float scale,
                                 float largest, float* a) {
  for_wide<Pair<Pair<V>>, V>(0, n, [&]<class W>(size_t j, auto lanes) {
    const float* k = keys + j;
    W dot = W::zero();
    for (size_t i = 0; i < head_dim; ++i) {
      dot = dot + W::splat(q[i]) * W::load(k, lanes);
      k += kCachePageTokens;
    }
    (dot * W::splat(scale)).store(a + j, lanes);
  });
  for (size_t j = n; j % kPartialSums != 0; ++j) a[j] = -__builtin_inff();
  V most = V::splat(largest);
  for (size_t j = 0; j < n; j += V::kLanes) most = V::max(V::load(a + j, AllLanes{}), most);
  float parts[V::kLanes];
  most.store(parts, AllLanes{});
  for (const float part : parts) largest = part > largest ? part : largest;
  return largest;
}

template <class V>
SUTRA_ALWAYS_INLINE void attend_page(Query<V>& query, const float* keys, const float* values, size_t head_dim, size_t n,
                                     float scale) {
  float a[kCachePageTokens];
  const float largest = scores<V>(query.q, keys, head_dim, n, scale, query.largest, a);
  const V rescale = exp_of(V::splat(query.largest - largest));
  query.largest = largest;
  SUTRA_UNROLL
  for (size_t b = 0; b < PartialSums<V>::kVectors; ++b) query.sums.part[b] = query.sums.part[b] * rescale;
  for (size_t j = 0; j < n; j += kPartialSums) {
    SUTRA_UNROLL
    for (size_t b = 0; b < PartialSums<V>::kVectors; ++b) {
      float* at = a + j + b * V::kLanes;
      const V e = exp_of(V::load(at, AllLanes{}) - V::splat(largest));
      e.store(at, AllLanes{});
      query.sums.part[b] = query.sums.part[b] + e;
    }
  }
  float factor[V::kLanes];  // the same number in each
  rescale.store(factor, AllLanes{});
  for_wide<Pair<Pair<V>>, V>(0, head_dim, [&]<class W>(size_t i, auto lanes) {
    const float* v = values + i;
    W y = W::load(query.y + i, lanes) * W::splat(factor[0]);
    for (size_t j = 0; j < n; ++j) {
      y = y + W::splat(a[j]) * W::load(v, lanes);
      v += head_dim;
    }
    y.store(query.y + i, lanes);
  });
}

template <class V>
SUTRA_ALWAYS_INLINE void attend(const AttentionArgs& args, size_t first_query, size_t n_queries) {
  const size_t head_dim = args.cache.head_dim;
  Query<V> queries[kQueryTile];
  for (size_t i = 0; i < n_queries; ++i) {
    const size_t t = (first_query + i) / args.n_queries, g = (first_query + i) % args.n_queries;
    const size_t at = t * args.stride + g * head_dim;
    queries[i] = {args.q + at, args.y + at, args.first_position + t + 1, -__builtin_inff(), PartialSums<V>::zero()};
    for_lanes<V>(0, head_dim, [&](size_t c, auto lanes) { V::zero().store(queries[i].y + c, lanes); });
  }
  // The last query sees most.
  for (size_t first = 0; first < queries[n_queries - 1].n_tokens; first += kCachePageTokens) {
    const float* page = args.cache.pages[first / kCachePageTokens];
    for (size_t i = 0; i < n_queries; ++i) {
      Query<V>& query = queries[i];
      if (query.n_tokens <= first) continue;
      const size_t left = query.n_tokens - first;
      attend_page<V>(query, page + args.cache.key_offset, page + args.cache.value_offset, head_dim,
                     left < kCachePageTokens ? left : kCachePageTokens, args.scale);
    }
  }
  for (size_t i = 0; i < n_queries; ++i) {
    float* y = queries[i].y;
    const V total = V::splat(queries[i].sums.total());
    for_lanes<V>(0, head_dim, [&](size_t c, auto lanes) { (V::load(y + c, lanes) / total).store(y + c, lanes); });
  }
}

template <class V>
void attention_body(const AttentionArgs& args) {
  const size_t n_queries = args.n_tokens * args.n_queries;
  for (size_t first = 0; first < n_queries; first += kQueryTile) {
    attend<V>(args, first, n_queries - first < kQueryTile ? n_queries - first : kQueryTile);
  }
}

}  // namespace
}  // namespace sutra::kernels
