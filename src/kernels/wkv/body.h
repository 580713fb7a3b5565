// The WKV-7 recurrence over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/simd/lanes.h"
#include "kernels/wkv/wkv7.h"

namespace sutra::kernels {
namespace {

// One block of values of one head over all tokens, lanes over values: the block's columns of the state (N keys ×
// kVectors vectors) stay in the first-level cache. Several vectors make independent chains of additions.
template <class V, size_t kVectors, class Lanes>
SUTRA_ALWAYS_INLINE void wkv7_values(const Wkv7Args& args, size_t head, size_t value, Lanes lanes) {
  const size_t n = args.head_size;
  float* state = args.state + head * n * n + value;
  for (size_t t = 0; t < args.n_tokens; ++t) {
    const size_t row = (t * args.n_heads + head) * n;
    const float* r = args.r + row;
    const float* w = args.w + row;
    const float* k = args.k + row;
    const float* kk = args.kk + row;
    const float* a = args.a + row;

    V sa[kVectors], v[kVectors], y[kVectors];
    SUTRA_UNROLL
    for (size_t b = 0; b < kVectors; ++b) {
      sa[b] = V::zero();
      y[b] = V::zero();
      v[b] = V::load(args.v + row + value + b * V::kLanes, lanes);
    }
    for (size_t j = 0; j < n; ++j) {
      const V kk_j = V::splat(kk[j]);
      SUTRA_UNROLL
      for (size_t b = 0; b < kVectors; ++b) sa[b] = sa[b] + V::load(state + j * n + b * V::kLanes, lanes) * kk_j;
    }
    for (size_t j = 0; j < n; ++j) {
      const V w_j = V::splat(w[j]);
      const V ka_j = V::splat(kk[j] * a[j]);
      const V k_j = V::splat(k[j]);
      const V r_j = V::splat(r[j]);
      SUTRA_UNROLL
      for (size_t b = 0; b < kVectors; ++b) {
        float* at = state + j * n + b * V::kLanes;
        const V next = (V::load(at, lanes) * w_j - sa[b] * ka_j) + v[b] * k_j;
        next.store(at, lanes);
        y[b] = y[b] + next * r_j;
      }
    }
    SUTRA_UNROLL
    for (size_t b = 0; b < kVectors; ++b) y[b].store(args.y + row + value + b * V::kLanes, lanes);
  }
}

template <class V>
void wkv7_body(const Wkv7Args& args) {
  constexpr size_t kBlock = 4;
  const size_t n = args.head_size;
  for (size_t head = args.first_head; head < args.last_head; ++head) {
    size_t value = 0;
    for (; n - value >= kBlock * V::kLanes; value += kBlock * V::kLanes) {
      wkv7_values<V, kBlock>(args, head, value, AllLanes{});
    }
    for_lanes<V>(value, n, [&](size_t i, auto lanes) { wkv7_values<V, 1>(args, head, i, lanes); });
  }
}

}  // namespace
}  // namespace sutra::kernels
