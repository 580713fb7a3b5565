// The recurrence of RWKV-5 and RWKV-6 over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/simd/lanes.h"
#include "kernels/simd/pair.h"
#include "kernels/wkv/wkv6.h"

namespace sutra::kernels {
namespace {

// One token's rows of one head.
struct Wkv6Rows {
  size_t n;
  const float* r;
  const float* w;
  const float* k;
  const float* v;
  float bonus;
  float* y;
  float* state;
};

// Lanes are values; a head's state stays in the first-level cache over all tokens.
template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void wkv6_values(const Wkv6Rows& rows, size_t value, Lanes lanes) {
  const size_t n = rows.n;
  const float* r = rows.r;
  const float* w = rows.w;
  const float* k = rows.k;
  float* state = rows.state + value;
  const V v = V::load(rows.v + value, lanes);
  V y = V::zero();
  for (size_t j = 0; j < n; ++j) {
    const V before = V::load(state, lanes);
    y = y + before * V::splat(r[j]);
    (before * V::splat(w[j]) + v * V::splat(k[j])).store(state, lanes);
    state += n;
  }
  (y + V::splat(rows.bonus) * v).store(rows.y + value, lanes);
}

template <class V>
void wkv6_body(const Wkv6Args& args) {
  const size_t n = args.head_size;
  for (size_t head = args.first_head; head < args.last_head; ++head) {
    const float* u = args.u + head * n;
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const size_t row = (t * args.n_heads + head) * n;
      const float* r = args.r + row;
      const float* k = args.k + row;
      const float bonus = sum_of<V>(n, [&](size_t j, auto lanes) {
        return (V::load(r + j, lanes) * V::load(u + j, lanes)) * V::load(k + j, lanes);
      });
      const Wkv6Rows rows{
          n, r, args.w + t * args.w_stride + head * n, k, args.v + row, bonus, args.y + row, args.state + head * n * n};
      for_wide<Pair<Pair<V>>, V>(0, n, [&]<class W>(size_t i, auto lanes) { wkv6_values<W>(rows, i, lanes); });
    }
  }
}

}  // namespace
}  // namespace sutra::kernels
