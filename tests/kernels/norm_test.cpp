#include "kernels/norm/norm.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "support/guarded.h"
#include "support/parity.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

using kernels::norm_variants;
using kernels::NormKernels;

enum class Norm { kLayer, kRms, kRmsUnweighted, kGroup, kL2, kL2Weighted };
constexpr Norm kNorms[] = {Norm::kLayer, Norm::kRms, Norm::kRmsUnweighted, Norm::kGroup, Norm::kL2, Norm::kL2Weighted};

// T tokens of H heads of n channels.
struct Data {
  size_t n_tokens, n_heads, n;
  std::vector<float> x, weight, bias;
  float eps;
};

Data random_data(size_t n_tokens, size_t n_heads, size_t n, uint64_t seed) {
  Random random(seed);
  return {n_tokens,
          n_heads,
          n,
          random.normals(n_tokens * n_heads * n, 3.0f),
          random.normals(n_heads * n),
          random.normals(n_heads * n),
          1e-5f};
}

void run_into(const NormKernels& kernels, Norm norm, const Data& d, const float* x, float* y) {
  const float* weight = d.weight.data();
  switch (norm) {
    case Norm::kLayer:
      return kernels.layer_norm({.x = x,
                                 .n_tokens = d.n_tokens,
                                 .n_channels = d.n_heads * d.n,
                                 .weight = weight,
                                 .bias = d.bias.data(),
                                 .eps = d.eps,
                                 .y = y});
    case Norm::kRms:
    case Norm::kRmsUnweighted:
      return kernels.rms_norm({.x = x,
                               .n_tokens = d.n_tokens,
                               .n_channels = d.n_heads * d.n,
                               .weight = norm == Norm::kRms ? weight : nullptr,
                               .eps = d.eps,
                               .y = y});
    case Norm::kGroup:
      return kernels.group_norm({.x = x,
                                 .n_tokens = d.n_tokens,
                                 .n_heads = d.n_heads,
                                 .head_size = d.n,
                                 .weight = weight,
                                 .bias = d.bias.data(),
                                 .eps = d.eps,
                                 .y = y});
    case Norm::kL2:
    case Norm::kL2Weighted:
      return kernels.l2_normalize({.x = x,
                                   .n_tokens = d.n_tokens,
                                   .n_heads = d.n_heads,
                                   .head_size = d.n,
                                   .weight = norm == Norm::kL2Weighted ? weight : nullptr,
                                   .y = y});
  }
}

std::vector<float> run(const NormKernels& kernels, Norm norm, const Data& d) {
  Guarded<float> y(d.x.size(), d.n % 2);
  run_into(kernels, norm, d, d.x.data(), y.data());
  CHECK(y.intact());
  return {y.span().begin(), y.span().end()};
}

// The formulas of norm.h in double.
std::vector<double> oracle(Norm norm, const Data& d) {
  const bool whole_row = norm == Norm::kLayer || norm == Norm::kRms || norm == Norm::kRmsUnweighted;
  const size_t width = whole_row ? d.n_heads * d.n : d.n;
  const size_t n_channels = d.n_heads * d.n;
  std::vector<double> y(d.x.begin(), d.x.end());
  if (norm == Norm::kL2Weighted) {
    for (size_t i = 0; i < y.size(); ++i) y[i] *= static_cast<double>(d.weight[i % n_channels]);
  }
  for (size_t start = 0; start < y.size(); start += width) {
    double mean = 0.0, squares = 0.0;
    if (norm == Norm::kLayer || norm == Norm::kGroup) {
      for (size_t i = 0; i < width; ++i) mean += y[start + i] / static_cast<double>(width);
    }
    for (size_t i = 0; i < width; ++i) squares += (y[start + i] - mean) * (y[start + i] - mean);
    const bool is_l2 = norm == Norm::kL2 || norm == Norm::kL2Weighted;
    const double divisor = is_l2 ? std::max(std::sqrt(squares), 1e-12)
                                 : std::sqrt(squares / static_cast<double>(width) + static_cast<double>(d.eps));
    for (size_t i = 0; i < width; ++i) {
      const size_t channel = (start + i) % n_channels;
      double& value = y[start + i];
      value = (value - mean) / divisor;
      if (!is_l2 && norm != Norm::kRmsUnweighted) value *= static_cast<double>(d.weight[channel]);
      if (norm == Norm::kLayer || norm == Norm::kGroup) value += static_cast<double>(d.bias[channel]);
    }
  }
  return y;
}

TEST_CASE("norms agree with double and give the scalar bits at every width") {
  for_each_available(norm_variants(), [&](const auto& variant) {
    for (size_t n = 1; n <= 70; ++n) {
      const Data data = random_data(3, 2, n, 700 + n);
      for (const Norm norm : kNorms) {
        CAPTURE(variant.name, n, static_cast<int>(norm));
        const std::vector<float> got = run(*variant.fn, norm, data);
        CHECK(error_over_rms<double>(got, oracle(norm, data)) <= kFloatArithmetic);
        CHECK(difference(got, run(*norm_variants()[0].fn, norm, data)) == "");
      }
    }
  });
}

TEST_CASE("norms of several tokens are the norms of each token, and work in place") {
  for_each_available(norm_variants(), [&](const auto& variant) {
    const Data all = random_data(5, 3, 37, 71);
    for (const Norm norm : kNorms) {
      CAPTURE(variant.name, static_cast<int>(norm));
      const std::vector<float> together = run(*variant.fn, norm, all);
      std::vector<float> apart, in_place = all.x;
      const size_t row = all.n_heads * all.n;
      for (size_t t = 0; t < all.n_tokens; ++t) {
        Data one = all;
        one.n_tokens = 1;
        one.x.assign(all.x.begin() + static_cast<std::ptrdiff_t>(t * row),
                     all.x.begin() + static_cast<std::ptrdiff_t>((t + 1) * row));
        const std::vector<float> y = run(*variant.fn, norm, one);
        apart.insert(apart.end(), y.begin(), y.end());
      }
      CHECK(difference(apart, together) == "");
      run_into(*variant.fn, norm, all, in_place.data(), in_place.data());
      CHECK(difference(in_place, together) == "");
    }
  });
}

TEST_CASE("layer_norm keeps its accuracy when the mean is far above the spread") {
  for_each_available(norm_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    Data data = random_data(2, 1, 384, 72);
    for (float& value : data.x) value += 1000.0f;
    // The mean itself is rounded to 1e-7 of 1000: 2e-5 of the spread, where a one-pass variance would lose 1e-1.
    CHECK(error_over_rms<double>(run(*variant.fn, Norm::kLayer, data), oracle(Norm::kLayer, data)) <= 1e-4);
  });
}

TEST_CASE("norms of a zero row are defined") {
  for_each_available(norm_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    Data data = random_data(1, 2, 19, 73);
    std::fill(data.x.begin(), data.x.end(), 0.0f);
    CHECK(difference(run(*variant.fn, Norm::kLayer, data), data.bias) == "");
    for (const Norm norm : {Norm::kRms, Norm::kL2, Norm::kL2Weighted}) {
      for (const float value : run(*variant.fn, norm, data)) CHECK(value == 0.0f);
    }
  });
}

TEST_CASE("norms pass NaN and infinity on as NaN and disturb no other token") {
  for_each_available(norm_variants(), [&](const auto& variant) {
    const Data clean = random_data(3, 1, 23, 74);
    Data dirty = clean;
    dirty.x[23 + 5] = std::numeric_limits<float>::quiet_NaN();
    for (const Norm norm : kNorms) {
      CAPTURE(variant.name, static_cast<int>(norm));
      const std::vector<float> expected = run(*variant.fn, norm, clean);
      const std::vector<float> got = run(*variant.fn, norm, dirty);
      CHECK(difference({got.data(), 23}, {expected.data(), 23}) == "");
      CHECK(difference({got.data() + 46, 23}, {expected.data() + 46, 23}) == "");
      for (size_t i = 23; i < 46; ++i) CHECK(std::isnan(got[i]));
    }
  });
}

}  // namespace
}  // namespace sutra::test
