// exp, sigmoid, tanh, softplus and silu over any vector type: the same operations in the same order everywhere, so the
// same bits everywhere. Error bounds are stated in elementwise/elementwise.h and tested there.
//
// The polynomials were fitted for this file by iteratively reweighted least squares (the Lawson iteration) to the
// smallest relative error of the whole function.
#pragma once

#include <cstdint>

#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

// e^x = 2^n · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2.
template <class V>
SUTRA_ALWAYS_INLINE V exp_of(V x) {
  // Outside these bounds the result is infinity or 0; NaN passes.
  const V bounded = V::max(V::splat(-104.0f), V::min(V::splat(89.0f), x));
  // Adding 1.5 · 2^23 leaves round(x / ln 2) in the low bits: no conversion instruction, whose results for NaN differ.
  constexpr float kRound = 0x1.8p23f;
  const V shifted = bounded * V::splat(0x1.715476p+0f) + V::splat(kRound);
  const V n = shifted - V::splat(kRound);
  // ln 2 in two parts, the first with 13 bits: n times it is exact.
  const V r = (bounded - n * V::splat(0x1.62ep-1f)) - n * V::splat(0x1.0bfbe8p-15f);
  // e^r = 1 + r + r² P(r); fit 3.1e-9
  V p = V::splat(0x1.6a234ep-10f);
  p = p * r + V::splat(0x1.123a6cp-7f);
  p = p * r + V::splat(0x1.5558f4p-5f);
  p = p * r + V::splat(0x1.55549p-3f);
  p = p * r + V::splat(0x1.fffffcp-2f);
  const V e = V::splat(1.0f) + (r + (r * r) * p);
  // 2^n in two factors: n reaches 128 and −150, beyond the exponents of one; only the second product can round.
  const auto exponent = V::sub(V::bits(shifted), V::splat_int(0x4b400000));
  const auto first = V::half(exponent);
  const auto second = V::sub(exponent, first);
  const auto bias = V::splat_int(127);
  const V first_factor = V::from_bits(V::shift_left_23(V::add(first, bias)));
  const V second_factor = V::from_bits(V::shift_left_23(V::add(second, bias)));
  return (e * first_factor) * second_factor;
}

// 1 / (1 + e^−x), with e^−|x| ≤ 1 so that nothing overflows and small results keep their digits.
template <class V>
SUTRA_ALWAYS_INLINE V sigmoid_of(V x) {
  const V one = V::splat(1.0f);
  const V e = exp_of(V::zero() - V::abs(x));
  return V::select_less(x, V::zero(), e, one) / (one + e);
}

// x · sigmoid(x). The bound on x makes silu(−∞) its limit, −0.
template <class V>
SUTRA_ALWAYS_INLINE V silu_of(V x) {
  const V bounded = V::max(V::splat(-0x1.fffffep127f), x);
  const V e = exp_of(V::zero() - V::abs(x));
  return V::select_less(x, V::zero(), bounded * e, bounded) / (V::splat(1.0f) + e);
}

template <class V>
SUTRA_ALWAYS_INLINE V tanh_of(V x) {
  const V magnitude = V::abs(x);
  // Near 0: x + x³ P(x²); fit 4.4e-9 up to 0.625
  const V z = magnitude * magnitude;
  V p = V::splat(-0x1.75e1a8p-8f);
  p = p * z + V::splat(0x1.522692p-6f);
  p = p * z + V::splat(-0x1.b83c58p-5f);
  p = p * z + V::splat(0x1.110726p-3f);
  p = p * z + V::splat(-0x1.555532p-2f);
  const V near = magnitude + magnitude * (z * p);
  const V e = exp_of(magnitude * V::splat(-2.0f));
  const V far = (V::splat(1.0f) - e) / (V::splat(1.0f) + e);
  return V::with_sign_of(V::select_less(magnitude, V::splat(0.625f), near, far), x);
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e), e = e^−|x|; and ln(1 + e) = 2 artanh(s), s = e / (2 + e) ≤ 1/3.
template <class V>
SUTRA_ALWAYS_INLINE V softplus_of(V x) {
  const V e = exp_of(V::zero() - V::abs(x));
  const V s = e / (V::splat(2.0f) + e);
  const V z = s * s;
  // 2 artanh(s) = 2s + s³ Q(s²); fit 1.1e-10
  V q = V::splat(0x1.f17362p-3f);
  q = q * z + V::splat(0x1.b6e6c2p-3f);
  q = q * z + V::splat(0x1.2508b2p-2f);
  q = q * z + V::splat(0x1.9996bp-2f);
  q = q * z + V::splat(0x1.555558p-1f);
  return V::max(V::zero(), x) + (s + (s + s * (z * q)));
}

}  // namespace
}  // namespace sutra::kernels
