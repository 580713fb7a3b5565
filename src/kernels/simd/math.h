// exp, sigmoid, tanh, softplus and silu over any vector type: the same operations in the same order everywhere, so the
// same bits everywhere. Error bounds are stated in elementwise/elementwise.h and tested there.
//
// The polynomials were fitted for this file by iteratively reweighted least squares (the Lawson iteration) to the
// smallest relative error of the whole function.
#pragma once

#include "kernels/simd/lanes.h"

namespace sutra::kernels {
namespace {

// Lowest power last: the order of Horner's rule.
inline constexpr float kExpPolynomial[] = {0x1.6a234ep-10f, 0x1.123a6cp-7f, 0x1.5558f4p-5f, 0x1.55549p-3f,
                                           0x1.fffffcp-2f};
inline constexpr float kTanhPolynomial[] = {-0x1.75e1a8p-8f, 0x1.522692p-6f, -0x1.b83c58p-5f, 0x1.110726p-3f,
                                            -0x1.555532p-2f};
inline constexpr float kArtanhPolynomial[] = {0x1.f17362p-3f, 0x1.b6e6c2p-3f, 0x1.2508b2p-2f, 0x1.9996bp-2f,
                                              0x1.555558p-1f};
inline constexpr float kOne = 1.0f;
inline constexpr float kTwo = 2.0f;
inline constexpr float kMinusTwo = -2.0f;
// Beyond these bounds e^x is infinity or 0.
inline constexpr float kExpHighest = 89.0f;
inline constexpr float kExpLowest = -104.0f;
// Within this bound it is a normal number.
inline constexpr float kExpNormal = 86.0f;
inline constexpr float kLog2E = 0x1.715476p+0f;
// ln 2 in two parts, the first with 13 bits: a small integer times it is exact.
inline constexpr float kLn2High = 0x1.62ep-1f;
inline constexpr float kLn2Low = 0x1.0bfbe8p-15f;
// Adding 1.5 · 2^23 rounds to an integer and leaves it in the low bits: no conversion instruction, whose results for
// NaN differ between instruction sets.
inline constexpr float kRoundToInteger = 0x1.8p23f;
inline constexpr float kLowestFinite = -0x1.fffffep127f;
inline constexpr float kTanhNear = 0.625f;

// Σ coefficients[i] · x^(n−1−i)
template <class V, size_t kCount>
SUTRA_ALWAYS_INLINE V polynomial(const float (&coefficients)[kCount], V x) {
  V sum = V::constant(coefficients[0]);
  SUTRA_UNROLL
  for (size_t i = 1; i < kCount; ++i) sum = sum * x + V::constant(coefficients[i]);
  return sum;
}

// e^x = 2^n · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2.
template <class V>
struct ExpParts {
  V shifted;  // its low nine bits are those of n
  V e;        // e^r
};
template <class V>
SUTRA_ALWAYS_INLINE ExpParts<V> exp_parts(V x) {
  const V shifted = x * V::constant(kLog2E) + V::constant(kRoundToInteger);
  const V n = shifted - V::constant(kRoundToInteger);
  const V r = (x - n * V::constant(kLn2High)) - n * V::constant(kLn2Low);
  // e^r = 1 + (r + r² P(r)); fit 3.1e-9
  return {shifted, V::constant(kOne) + (r + (r * r) * polynomial(kExpPolynomial, r))};
}

// NaN stays.
template <class V>
SUTRA_ALWAYS_INLINE V exp_of(V x) {
  const auto [shifted, e] = exp_parts(V::max(V::constant(kExpLowest), V::min(V::constant(kExpHighest), x)));
  // 2^n in two factors, 2^⌊n/2⌋ and the rest: n reaches 128 and −150, beyond the exponents of one factor, and only the
  // second product can round. The low eight bits of a factor's n, moved to the exponent of 1, make the factor.
  const auto one = V::bits(V::constant(kOne));
  const auto first = V::half(V::bits(shifted));
  const auto second = V::sub(V::bits(shifted), first);
  const V first_factor = V::from_bits(V::add(V::shift_left_23(first), one));
  const V second_factor = V::from_bits(V::add(V::shift_left_23(second), one));
  return (e * first_factor) * second_factor;
}

// exp_of(x) for |x| < kExpNormal, the same bits in fewer steps: nothing to bound, and 2^n only moves the exponent.
template <class V>
SUTRA_ALWAYS_INLINE V exp_of_normal(V x) {
  const auto [shifted, e] = exp_parts(x);
  return V::from_bits(V::add(V::shift_left_23(V::bits(shifted)), V::bits(e)));
}

// 1 / (1 + e^−x), with e^−|x| ≤ 1 so that nothing overflows and small results keep their digits.
template <class V>
SUTRA_ALWAYS_INLINE V sigmoid_of(V x) {
  const V one = V::constant(kOne);
  const V e = exp_of(V::zero() - V::abs(x));
  return V::select_less(x, V::zero(), e, one) / (one + e);
}

// x · sigmoid(x). The bound on x makes silu(−∞) its limit, −0.
template <class V>
SUTRA_ALWAYS_INLINE V silu_of(V x) {
  const V bounded = V::max(V::constant(kLowestFinite), x);
  const V e = exp_of(V::zero() - V::abs(x));
  return V::select_less(x, V::zero(), bounded * e, bounded) / (V::constant(kOne) + e);
}

template <class V>
SUTRA_ALWAYS_INLINE V tanh_of(V x) {
  const V magnitude = V::abs(x);
  // Near 0: x + x³ P(x²); fit 4.4e-9
  const V z = magnitude * magnitude;
  const V near = magnitude + magnitude * (z * polynomial(kTanhPolynomial, z));
  const V e = exp_of(magnitude * V::constant(kMinusTwo));
  const V far = (V::constant(kOne) - e) / (V::constant(kOne) + e);
  return V::with_sign_of(V::select_less(magnitude, V::constant(kTanhNear), near, far), x);
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e), e = e^−|x|; and ln(1 + e) = 2 artanh(s), s = e / (2 + e) ≤ 1/3.
template <class V>
SUTRA_ALWAYS_INLINE V softplus_of(V x) {
  const V e = exp_of(V::zero() - V::abs(x));
  const V s = e / (V::constant(kTwo) + e);
  const V z = s * s;
  // 2 artanh(s) = 2s + s³ Q(s²); fit 1.1e-10
  return V::max(V::zero(), x) + (s + (s + s * (z * polynomial(kArtanhPolynomial, z))));
}

}  // namespace
}  // namespace sutra::kernels
