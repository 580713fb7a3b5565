// The WKV-7 recurrence over any vector type but the scalar one, which has its own plain loops.
#pragma once

#include "kernels/simd/lanes.h"
#include "kernels/simd/pair.h"
#include "kernels/wkv/wkv7.h"

namespace sutra::kernels {
namespace {

// Lanes are values; a head's state stays in the first-level cache over all tokens. Both passes over it are chains of
// additions, one for each vector of values.

// One token's rows of one head.
struct Wkv7Rows {
  size_t n;
  const float* r;
  const float* w;
  const float* k;
  const float* v;
  const float* kk;
  float* y;
  float* state;
};

// sa = Σ_j S[j]·kk[j]
template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void wkv7_removed(const Wkv7Rows& rows, size_t value, float* removed, Lanes lanes) {
  const size_t n = rows.n;
  const float* kk = rows.kk;
  const float* state = rows.state + value;
  V sa = V::zero();
  for (size_t j = 0; j < n; ++j) {
    sa = sa + V::load(state, lanes) * V::splat(kk[j]);
    state += n;
  }
  sa.store(removed, lanes);
}

// S[j] = (S[j]·w[j] − sa·(kk[j]·a[j])) + v·k[j];   y += Σ_j S[j]·r[j]      for first ≤ j < last, kk_a from first on
template <class V, class Lanes>
SUTRA_ALWAYS_INLINE void wkv7_update(const Wkv7Rows& rows, size_t first, size_t last, const float* kk_a, size_t value,
                                     const float* removed, Lanes lanes) {
  const size_t n = rows.n, n_keys = last - first;
  const float* w = rows.w + first;
  const float* k = rows.k + first;
  const float* r = rows.r + first;
  float* state = rows.state + first * n + value;
  const V sa = V::load(removed, lanes);
  const V v = V::load(rows.v + value, lanes);
  V y = first == 0 ? V::zero() : V::load(rows.y + value, lanes);
  for (size_t j = 0; j < n_keys; ++j) {
    const V next = (V::load(state, lanes) * V::splat(w[j]) - sa * V::splat(kk_a[j])) + v * V::splat(k[j]);
    next.store(state, lanes);
    y = y + next * V::splat(r[j]);
    state += n;
  }
  y.store(rows.y + value, lanes);
}

// Each value vector of the second pass needs three registers beside those of the key.
template <class V, bool kManyRegisters = V::kManyRegisters>
struct UpdateWidth {
  using Type = Pair<V>;
};
template <class V>
struct UpdateWidth<V, true> {
  using Type = Pair<Pair<V>>;
};

template <class V>
SUTRA_ALWAYS_INLINE void wkv7_step(const Wkv7Rows& rows, const float* a) {
  // The usual head in one go; sa and kk·a of a larger one in pieces.
  constexpr size_t kPiece = 64;
  float removed[kPiece], kk_a[kPiece];
  for (size_t value = 0; value < rows.n; value += kPiece) {
    const size_t last_value = rows.n - value < kPiece ? rows.n : value + kPiece;
    for_wide<Pair<Pair<V>>, V>(value, last_value, [&]<class W>(size_t i, auto lanes) {
      wkv7_removed<W>(rows, i, removed + (i - value), lanes);
    });
    for (size_t key = 0; key < rows.n; key += kPiece) {
      const size_t last_key = rows.n - key < kPiece ? rows.n : key + kPiece;
      for_lanes<V>(key, last_key, [&](size_t j, auto lanes) {
        (V::load(rows.kk + j, lanes) * V::load(a + j, lanes)).store(kk_a + (j - key), lanes);
      });
      for_wide<typename UpdateWidth<V>::Type, V>(value, last_value, [&]<class W>(size_t i, auto lanes) {
        wkv7_update<W>(rows, key, last_key, kk_a, i, removed + (i - value), lanes);
      });
    }
  }
}

template <class V>
void wkv7_body(const Wkv7Args& args) {
  const size_t n = args.head_size;
  for (size_t head = args.first_head; head < args.last_head; ++head) {
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const size_t row = (t * args.n_heads + head) * n;
      wkv7_step<V>({n, args.r + row, args.w + row, args.k + row, args.v + row, args.kk + row, args.y + row,
                    args.state + head * n * n},
                   args.a + row);
    }
  }
}

}  // namespace
}  // namespace sutra::kernels
