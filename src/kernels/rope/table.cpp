// The angles of rope.h. Their functions are made of additions, multiplications and divisions of doubles alone, because
// the platforms' own differ in the last bit.
#include <cmath>

#include "kernels/rope/rope.h"

namespace sutra::kernels {
namespace {

constexpr double kLn2 = 0x1.62e42fefa39efp-1;
constexpr double kLog2E = 0x1.71547652b82fep+0;
// π/2 in three parts, the first two with 27 bits: a position's number of quarter turns times them is exact.
constexpr double kQuarterHigh = 0x1.921fb54p+0;
constexpr double kQuarterMiddle = 0x1.10b461p-30;
constexpr double kQuarterLow = 0x1.a62633145c06ep-58;
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;

// ln x = ln m + e ln 2 with 1/2 ≤ m < 1, and ln m = 2 artanh(z), z = (m − 1) / (m + 1), |z| ≤ 1/3.
double log_of(double x) {
  int exponent = 0;
  const double m = std::frexp(x, &exponent);
  const double z = (m - 1) / (m + 1);
  double sum = 0;
  for (int k = 41; k > 0; k -= 2) sum = sum * (z * z) + 1.0 / k;  // the next term is below 2^-70
  return 2 * (z * sum) + exponent * kLn2;
}

// e^x = 2^n e^r, |r| ≤ ln 2 / 2; Taylor's series of e^r to r^16. x ≤ 0.
double exp_of(double x) {
  const auto n = static_cast<int>(x * kLog2E - 0.5);
  const double r = x - n * kLn2;
  double sum = 1;
  for (int k = 16; k > 0; --k) sum = 1 + sum * r / k;
  return std::ldexp(sum, n);
}

struct SinCos {
  double sin, cos;
};
// Taylor's series to r^17 and r^18 where |r| ≤ π/4; x ≥ 0.
SinCos sin_cos_of(double x) {
  const auto n = static_cast<int64_t>(x * kTwoOverPi + 0.5);
  const auto turns = static_cast<double>(n);
  const double r = ((x - turns * kQuarterHigh) - turns * kQuarterMiddle) - turns * kQuarterLow;
  const double z = r * r;
  double sin = 1, cos = 1;
  for (int k = 17; k > 1; k -= 2) sin = 1 - sin * z / (k * (k - 1));
  for (int k = 18; k > 1; k -= 2) cos = 1 - cos * z / (k * (k - 1));
  sin *= r;
  switch (n & 3) {
    case 0: return {sin, cos};
    case 1: return {cos, -sin};
    case 2: return {-sin, -cos};
    default: return {-cos, sin};
  }
}

}  // namespace

void rope_frequencies(double theta, std::span<double> frequencies) {
  const double log_theta = log_of(theta);
  const auto n = static_cast<double>(frequencies.size());
  for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] = exp_of(-(static_cast<double>(i) / n) * log_theta);
}

void rope_table(std::span<const double> frequencies, uint64_t first_position, size_t n_tokens, float* cos, float* sin) {
  for (size_t t = 0; t < n_tokens; ++t) {
    const auto position = static_cast<double>(first_position + t);
    for (const double frequency : frequencies) {
      const SinCos value = sin_cos_of(position * frequency);
      *sin++ = static_cast<float>(value.sin);
      *cos++ = static_cast<float>(value.cos);
    }
  }
}

}  // namespace sutra::kernels
