#include "kernels/rounding/rounding.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

#include "support/parity.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

using kernels::rounding_variants;
using kernels::RoundingKernels;
using kernels::RoundingRow;

struct Data {
  std::vector<float> w, factor, inverse, variance, mean;
};

Data random_data(size_t n, Random& random) {
  Data d{random.normals(n, 0.1f), {}, {}, random.normals(n), random.normals(n)};
  for (size_t k = 0; k < n; ++k) {
    d.factor.push_back(random.uniform(0.25f, 4.0f));
    d.inverse.push_back(1 / d.factor.back());
    d.variance[k] *= d.variance[k];
  }
  return d;
}

// All that a variant makes of a row, one after the other.
std::vector<float> results(const RoundingKernels& kernels, const Data& d, size_t group_size, bool scaled, float cut) {
  const size_t n = d.w.size(), n_groups = (n + group_size - 1) / group_size;
  const RoundingRow row{d.w.data(), n, group_size, scaled ? d.factor.data() : nullptr,
                        scaled ? d.inverse.data() : nullptr};
  std::vector<float> low(n_groups), high(n_groups), error(n), products(n * n);
  kernels.group_ranges(row, low.data(), high.data());
  for (float& value : low) value *= cut;
  for (float& value : high) value *= cut;
  kernels.rounding_error(row, low.data(), high.data(), 15, error.data());
  const kernels::Moments moments{d.variance.data(), d.mean.data()};
  const float whole = kernels.moment_error(row, low.data(), high.data(), 15, moments);
  // The groups' ranges, each for all of the row.
  std::vector<float> of_ranges(n_groups);
  kernels.range_errors({d.w.data(), n, n, nullptr, nullptr}, low.data(), high.data(), n_groups, 15, moments,
                       of_ranges.data());
  std::vector<float> all = low;
  all.insert(all.end(), high.begin(), high.end());
  all.insert(all.end(), error.begin(), error.end());
  all.push_back(whole);
  all.insert(all.end(), of_ranges.begin(), of_ranges.end());
  // Three tokens of n/3 channels, wherever they overlap.
  const size_t n_channels = std::max<size_t>(1, n / 3);
  std::vector<float> sums(3 * n_channels);
  kernels.channel_sums(d.w.data(), 3, n_channels, std::min(n_channels, n / 3),
                       {sums.data(), sums.data() + n_channels, sums.data() + 2 * n_channels});
  all.insert(all.end(), sums.begin(), sums.end());
  kernels.add_products(d.w.data(), 3, n_channels, std::min(n_channels, n / 3), products.data());
  for (size_t i = 0; i < n / 3; ++i) {
    for (size_t j = i; j < n / 3; ++j) all.push_back(products[i * (n / 3) + j]);
  }
  return all;
}

}  // namespace

TEST_CASE("rounding of weights: every variant gives the bits of the scalar one") {
  constexpr uint64_t kSeed = 20261122;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (const size_t n : {1u, 7u, 32u, 33u, 64u, 100u, 128u, 384u, 397u}) {
    const Data d = random_data(n, random);
    for (const size_t group_size : {32u, 64u, 128u}) {
      for (const bool scaled : {false, true}) {
        for (const float cut : {1.0f, 0.6f, 0.0f}) {
          CAPTURE(n, group_size, scaled, cut);
          const std::vector<float> expected = results(*rounding_variants().front().fn, d, group_size, scaled, cut);
          for_each_available(rounding_variants(), [&](const auto& variant) {
            CAPTURE(variant.name);
            CHECK(difference(results(*variant.fn, d, group_size, scaled, cut), expected) == "");
          });
        }
      }
    }
  }
}

TEST_CASE("rounding of weights: the quantizer's definition in double precision") {
  constexpr uint64_t kSeed = 20261123;
  CAPTURE(kSeed);
  Random random(kSeed);
  constexpr size_t kSize = 64;
  const Data d = random_data(kSize, random);
  const RoundingRow row{d.w.data(), kSize, kSize, d.factor.data(), d.inverse.data()};
  float low = 0, high = 0;
  kernels::group_ranges(row, &low, &high);
  double least = 0, largest = 0;
  for (size_t k = 0; k < kSize; ++k) {
    least = std::min(least, double{d.w[k]} * d.factor[k]);
    largest = std::max(largest, double{d.w[k]} * d.factor[k]);
  }
  CHECK(std::fabs(low - least) <= 1e-6);
  CHECK(std::fabs(high - largest) <= 1e-6);
  std::vector<float> error(kSize);
  kernels::rounding_error(row, &low, &high, 15, error.data());
  const double step = (largest - least) / 15, zero = std::nearbyint(-least / step);
  double weighted = 0, shift = 0;
  for (size_t k = 0; k < kSize; ++k) {
    const double q = std::clamp(std::nearbyint(double{d.w[k]} * d.factor[k] / step) + zero, 0.0, 15.0);
    CHECK(std::fabs(error[k] - ((q - zero) * step / d.factor[k] - d.w[k])) <= 1e-6);
    weighted += d.variance[k] * error[k] * error[k];
    shift += d.mean[k] * error[k];
  }
  weighted += shift * shift;
  const kernels::Moments moments{d.variance.data(), d.mean.data()};
  const float got = kernels::moment_error(row, &low, &high, 15, moments);
  CHECK(std::fabs(got - weighted) <= kFloatArithmetic * weighted);
}

TEST_CASE("channel sums: those of double precision") {
  constexpr uint64_t kSeed = 20261126;
  CAPTURE(kSeed);
  Random random(kSeed);
  constexpr size_t kTokens = 9, kChannels = 37, kStride = 40;
  const std::vector<float> x = random.normals(kTokens * kStride);
  std::vector<float> sum(kChannels), magnitude(kChannels), square(kChannels);
  kernels::channel_sums(x.data(), kTokens, kStride, kChannels, {sum.data(), magnitude.data(), square.data()});
  for (size_t k = 0; k < kChannels; ++k) {
    double s = 0, m = 0, q = 0;
    for (size_t t = 0; t < kTokens; ++t) {
      const double value = x[t * kStride + k];
      s += value;
      m += std::fabs(value);
      q += value * value;
    }
    CHECK(std::fabs(sum[k] - s) <= kFloatArithmetic * m);
    CHECK(std::fabs(magnitude[k] - m) <= kFloatArithmetic * m);
    CHECK(std::fabs(square[k] - q) <= kFloatArithmetic * q);
  }
}

TEST_CASE("errors of ranges: each is what the rounding error of its range gives") {
  constexpr uint64_t kSeed = 20261124;
  CAPTURE(kSeed);
  Random random(kSeed);
  constexpr size_t kSize = 100;
  const Data d = random_data(kSize, random);
  const RoundingRow row{d.w.data(), kSize, kSize, nullptr, nullptr};
  const std::vector<float> low{-0.3f, -0.1f, 0.0f}, high{0.3f, 0.2f, 0.1f};
  std::vector<float> got(low.size());
  kernels::range_errors(row, low.data(), high.data(), low.size(), 15, {d.variance.data(), d.mean.data()}, got.data());
  for (size_t i = 0; i < low.size(); ++i) {
    std::vector<float> error(kSize);
    kernels::rounding_error(row, &low[i], &high[i], 15, error.data());
    double spread = 0, shift = 0;
    for (size_t k = 0; k < kSize; ++k) {
      spread += double{d.variance[k]} * error[k] * error[k];
      shift += double{d.mean[k]} * error[k];
    }
    CHECK(std::fabs(got[i] - (spread + shift * shift)) <= kFloatArithmetic * (spread + shift * shift));
  }
}

namespace {

// A symmetric matrix [n, n] in the tiles that quadratic_errors() takes.
std::vector<float> tiles_of(const std::vector<float>& h, size_t n) {
  std::vector<float> tiles;
  for (size_t first = 0; first < n; first += 16) {
    for (size_t i = 0; i < first + 16; ++i) {
      for (size_t j = first; j < first + 16; ++j) {
        tiles.push_back(i < j ? 2 * h[i * n + j] : i == j ? h[i * n + j] : 0.0f);
      }
    }
  }
  return tiles;
}

}  // namespace

TEST_CASE("quadratic errors: the same bits in every variant, and those of double precision but for rounding") {
  constexpr uint64_t kSeed = 20261125;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (const size_t n : {16u, 32u, 48u, 128u}) {
    for (const size_t n_errors : {1u, 3u, 8u, 21u}) {
      CAPTURE(n, n_errors);
      const std::vector<float> errors = random.normals(n_errors * n, 0.1f), half = random.normals(n * n);
      std::vector<float> h(n * n);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) h[i * n + j] = half[i * n + j] + half[j * n + i];
      }
      const std::vector<float> tiles = tiles_of(h, n);
      std::vector<float> expected(n_errors);
      rounding_variants().front().fn->quadratic_errors(errors.data(), n_errors, n, tiles.data(), expected.data());
      for (size_t e = 0; e < n_errors; ++e) {
        double sum = 0, size = 0;
        for (size_t i = 0; i < n; ++i) {
          for (size_t j = 0; j < n; ++j) {
            const double term = double{errors[e * n + i]} * h[i * n + j] * errors[e * n + j];
            sum += term;
            size += std::fabs(term);
          }
        }
        CHECK(std::fabs(expected[e] - sum) <= kFloatArithmetic * size);
      }
      for_each_available(rounding_variants(), [&](const auto& variant) {
        CAPTURE(variant.name);
        std::vector<float> got(n_errors);
        variant.fn->quadratic_errors(errors.data(), n_errors, n, tiles.data(), got.data());
        CHECK(difference(got, expected) == "");
      });
    }
  }
}

namespace {

using kernels::kCompensatedRows;

// Columns of weights, with scales that leave some outside of the levels.
struct Columns {
  std::vector<float> weights, factors, scales, zeros;
  kernels::CompensatedColumns view;
};

Columns random_columns(size_t n, size_t group_size, Random& random) {
  const size_t n_groups = (n + group_size - 1) / group_size;
  Columns c{random.normals(n * kCompensatedRows, 0.1f), random.normals(n * n, 0.2f), {}, {}, {}};
  for (size_t i = 0; i < n_groups * kCompensatedRows; ++i) {
    c.scales.push_back(random.uniform(0.01f, 0.04f));
    c.zeros.push_back(std::floor(random.uniform(0.0f, 16.0f)));
  }
  c.view = {n, group_size, c.factors.data(), c.scales.data(), c.zeros.data(), 0.0f, 15.0f};
  return c;
}

struct Compensated {
  std::vector<float> rounded, errors;
};

Compensated compensate(const RoundingKernels& kernels, const Columns& c) {
  Compensated out{std::vector<float>(c.weights.size(), NAN), c.weights};
  kernels.compensated_rounding(c.view, out.errors.data(), out.rounded.data());
  return out;
}

}  // namespace

TEST_CASE(
    "compensated rounding: the same bits in every variant, each weight's nearest level after what was taken off it") {
  constexpr uint64_t kSeed = 20261127;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (const size_t n : {1u, 7u, 8u, 19u, 40u, 100u, 128u}) {
    for (const size_t group_size : {32u, 64u, 128u}) {
      CAPTURE(n, group_size);
      const Columns c = random_columns(n, group_size, random);
      const Compensated expected = compensate(*rounding_variants().front().fn, c);
      for (size_t i = 0; i < n; ++i) {
        for (size_t r = 0; r < kCompensatedRows; ++r) {
          double w = c.weights[i * kCompensatedRows + r], size = std::fabs(w);
          for (size_t k = 0; k < i; ++k) {
            const double taken = double{expected.errors[k * kCompensatedRows + r]} * c.factors[k * n + i];
            w -= taken;
            size += std::fabs(taken);
          }
          const size_t group = i / group_size * kCompensatedRows + r;
          const double scale = c.scales[group], zero = c.zeros[group], tolerance = kFloatArithmetic * size;
          const double level = expected.rounded[i * kCompensatedRows + r], error = w - (level - zero) * scale;
          CHECK((level == std::floor(level) && level >= 0 && level <= 15));
          CHECK(std::fabs(expected.errors[i * kCompensatedRows + r] - error) <= tolerance);
          if (level > 0) CHECK(error >= -scale / 2 - tolerance);
          if (level < 15) CHECK(error <= scale / 2 + tolerance);
        }
      }
      for_each_available(rounding_variants(), [&](const auto& variant) {
        CAPTURE(variant.name);
        const Compensated got = compensate(*variant.fn, c);
        CHECK(difference(got.rounded, expected.rounded) == "");
        CHECK(difference(got.errors, expected.errors) == "");
      });
    }
  }
}

TEST_CASE("inverse factor: the same bits in every variant, and the inverse of what the matrix is made of") {
  constexpr uint64_t kSeed = 20261128;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (const size_t n : {16u, 32u, 48u, 128u}) {
    CAPTURE(n);
    const std::vector<float> x = random.normals(2 * n * n);
    std::vector<double> h(n * n);
    for (size_t t = 0; t < 2 * n; ++t) {
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = i; j < n; ++j) h[i * n + j] += double{x[t * n + i]} * x[t * n + j];
      }
    }
    std::vector<double> u = h, inverse(n * n);
    rounding_variants().front().fn->inverse_factor(u.data(), inverse.data(), n);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i; j < n; ++j) {
        double product = 0, identity = 0;
        for (size_t k = 0; k <= i; ++k) product += u[k * n + i] * u[k * n + j];
        for (size_t k = i; k <= j; ++k) identity += inverse[j * n + k] * u[i * n + k];
        CHECK(std::fabs(product - h[i * n + j]) <= 1e-10 * h[i * n + i]);
        CHECK(std::fabs(identity - (i == j ? 1 : 0)) <= 1e-10);
        CHECK((i == j || inverse[i * n + j] == 0));
      }
    }
    for_each_available(rounding_variants(), [&](const auto& variant) {
      CAPTURE(variant.name);
      std::vector<double> own = h, got(n * n);
      variant.fn->inverse_factor(own.data(), got.data(), n);
      CHECK(std::ranges::equal(got, inverse));
    });
  }
}

}  // namespace sutra::test
