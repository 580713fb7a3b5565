// How far a float32 result may be from its reference: in ulps, or relative to the rms of the reference; never a
// signed sum, in which errors could cancel.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace sutra::test {

// Float32 arithmetic on sums of up to a few thousand terms, against the same formula in double.
inline constexpr double kFloatArithmetic = 1e-5;
// The goldens' own tolerance for operators (shared golden data, case.json: 1e-4 of the largest value).
inline constexpr double kGoldenOperator = 1e-4;

// The distance of neighbouring float32 numbers at |value|.
inline double ulp_at(double value) {
  const double magnitude = std::fabs(value);
  if (magnitude < 0x1p-126) return 0x1p-149;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  return std::ldexp(1.0, exponent - 24);
}

// |got − expected| in ulps of the expected value; 0 when both are NaN or the same infinity.
inline double ulps(float got, double expected) {
  if (std::isnan(got) || std::isnan(expected)) {
    return std::isnan(got) == std::isnan(expected) ? 0.0 : std::numeric_limits<double>::infinity();
  }
  const float nearest = static_cast<float>(expected);
  if (std::isinf(got) || std::isinf(nearest)) {
    return got == nearest ? 0.0 : std::numeric_limits<double>::infinity();
  }
  return std::fabs(static_cast<double>(got) - expected) / ulp_at(expected);
}

// max |got − expected| / rms(expected). Infinite when sizes differ or a value is not finite.
template <class Reference>
double error_over_rms(std::span<const float> got, std::span<const Reference> expected) {
  if (got.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double largest = 0.0;
  double squares = 0.0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double reference = static_cast<double>(expected[i]);
    const double error = std::fabs(static_cast<double>(got[i]) - reference);
    if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, error);
    squares += reference * reference;
  }
  if (largest == 0.0) return 0.0;
  return largest / std::sqrt(squares / static_cast<double>(expected.size()));
}

}  // namespace sutra::test
