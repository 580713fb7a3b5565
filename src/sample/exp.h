// exp for weights: the same bits on every platform, which no standard library promises.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace sutra::sample {

// exp(x) for x <= 0; 0 below -87.7, where 2^n leaves the normal numbers, and for -infinity.
// Method: x = n ln 2 + r, |r| <= ln(2) / 2; exp(r) by its Taylor polynomial of degree 7 (truncation 6e-9), times
// 2^n. Relative error below 2e-7 down to x = -87, exact at 0. Without branches, so that loops over it vectorise.
inline float exp_weight(float x) {
  constexpr float kLowest = -88.0f;  // n = -127: the bits of 2^n come out as those of 0
  constexpr float kLog2E = 1.44269504f;
  // ln 2 in two parts; the first has few bits, so that its product with n is exact.
  constexpr float kLn2High = 0.693359375f;
  constexpr float kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  // As integers, because compilers do not vectorise a comparison of floats that might trap: numbers below zero
  // order by magnitude.
  const float clamped = std::bit_cast<float>(std::min(std::bit_cast<uint32_t>(x), std::bit_cast<uint32_t>(kLowest)));
  const float shifted = clamped * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = clamped - n * kLn2High - n * kLn2Low;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const uint32_t power_bits = (std::bit_cast<uint32_t>(shifted) + 127u) << 23;
  return p * std::bit_cast<float>(power_bits);
}

}  // namespace sutra::sample
