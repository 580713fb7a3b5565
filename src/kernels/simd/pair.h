// Two vectors with the interface of one (lanes.h): two chains of operations hide each other's latency, and what all
// lanes share, a constant or a splat, is loaded once.
#pragma once

#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

template <class V>
struct Pair {
  static constexpr size_t kLanes = 2 * V::kLanes;
  struct Int {
    typename V::Int a, b;
  };
  V a, b;

  // Where the vector type asks for it, both halves of a step are kept together.
  static SUTRA_ALWAYS_INLINE Pair step(V a, V b) {
    if constexpr (requires { V::keep_together(a, b); }) V::keep_together(a, b);
    return {a, b};
  }
  static SUTRA_ALWAYS_INLINE Pair both(V v) { return {v, v}; }
  static SUTRA_ALWAYS_INLINE Pair zero() { return both(V::zero()); }
  static SUTRA_ALWAYS_INLINE Pair splat(float value) { return both(V::splat(value)); }
  static SUTRA_ALWAYS_INLINE Pair constant(const float& value) { return both(V::constant(value)); }
  static SUTRA_ALWAYS_INLINE Pair load(const float* from, AllLanes all) {
    return {V::load(from, all), V::load(from + V::kLanes, all)};
  }
  SUTRA_ALWAYS_INLINE void store(float* to, AllLanes all) const {
    a.store(to, all);
    b.store(to + V::kLanes, all);
  }

  friend SUTRA_ALWAYS_INLINE Pair operator+(Pair x, Pair y) { return step(x.a + y.a, x.b + y.b); }
  friend SUTRA_ALWAYS_INLINE Pair operator-(Pair x, Pair y) { return step(x.a - y.a, x.b - y.b); }
  friend SUTRA_ALWAYS_INLINE Pair operator*(Pair x, Pair y) { return step(x.a * y.a, x.b * y.b); }
  friend SUTRA_ALWAYS_INLINE Pair operator/(Pair x, Pair y) { return step(x.a / y.a, x.b / y.b); }

  static SUTRA_ALWAYS_INLINE Pair min(Pair x, Pair y) { return step(V::min(x.a, y.a), V::min(x.b, y.b)); }
  static SUTRA_ALWAYS_INLINE Pair max(Pair x, Pair y) { return step(V::max(x.a, y.a), V::max(x.b, y.b)); }
  static SUTRA_ALWAYS_INLINE Pair abs(Pair x) { return {V::abs(x.a), V::abs(x.b)}; }
  static SUTRA_ALWAYS_INLINE Pair with_sign_of(Pair magnitude, Pair sign) {
    return {V::with_sign_of(magnitude.a, sign.a), V::with_sign_of(magnitude.b, sign.b)};
  }
  static SUTRA_ALWAYS_INLINE Pair select_less(Pair p, Pair q, Pair x, Pair y) {
    return step(V::select_less(p.a, q.a, x.a, y.a), V::select_less(p.b, q.b, x.b, y.b));
  }
  static SUTRA_ALWAYS_INLINE bool all_less(Pair x, Pair y) { return V::all_less(x.a, y.a) && V::all_less(x.b, y.b); }

  static SUTRA_ALWAYS_INLINE Int bits(Pair x) { return {V::bits(x.a), V::bits(x.b)}; }
  static SUTRA_ALWAYS_INLINE Pair from_bits(Int x) { return step(V::from_bits(x.a), V::from_bits(x.b)); }
  static SUTRA_ALWAYS_INLINE Int add(Int x, Int y) { return {V::add(x.a, y.a), V::add(x.b, y.b)}; }
  static SUTRA_ALWAYS_INLINE Int sub(Int x, Int y) { return {V::sub(x.a, y.a), V::sub(x.b, y.b)}; }
  static SUTRA_ALWAYS_INLINE Int max(Int x, Int y) { return {V::max(x.a, y.a), V::max(x.b, y.b)}; }
  static SUTRA_ALWAYS_INLINE Int half(Int x) { return {V::half(x.a), V::half(x.b)}; }
  static SUTRA_ALWAYS_INLINE Int shift_left_23(Int x) { return {V::shift_left_23(x.a), V::shift_left_23(x.b)}; }
};

// for_lanes(), but by W, pairs of V, while there are so many. The body is a template over the vector type:
// body.template operator()<W>(i, lanes).
template <class W, class V, class Body>
SUTRA_ALWAYS_INLINE void for_wide(size_t first, size_t last, const Body& body) {
  size_t i = first;
  if constexpr (V::kLanes > 1) {  // the scalar variants stay plain
    for (; last - i >= W::kLanes; i += W::kLanes) body.template operator()<W>(i, AllLanes{});
  }
  for_lanes<V>(i, last, [&](size_t at, auto lanes) { body.template operator()<V>(at, lanes); });
}

}  // namespace
}  // namespace sutra::kernels
