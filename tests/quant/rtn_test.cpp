#include "quant/rtn.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "support/golden.h"
#include "support/random.h"

namespace sutra {
namespace {

void check_golden(const std::string& path, size_t group_size) {
  TensorMap golden = test::load_tensors(path);
  const Tensor& weight = *golden.find("weight");
  const size_t n_out = weight.shape()[0], n_in = weight.shape()[1];
  const Q4Integers got = quantize_rtn(weight.as<float>(), n_out, n_in, {4, group_size}, {}, nullptr, RtnRange::kAsIs);
  const auto q = golden.find("q")->as<int32_t>();
  for (size_t i = 0; i < q.size(); ++i) {
    if (got.nibbles[i] != q[i]) FAIL("weight " << i << " is " << int{got.nibbles[i]} << ", expected " << q[i]);
  }
  const auto zeros = golden.find("zeros")->as<int32_t>();
  const auto scales = golden.find("scales")->as<uint16_t>();
  for (size_t row = 0; row < n_out; ++row) {
    for (size_t group = 0; group < got.n_groups(); ++group) {
      CHECK(got.zeros[row * got.n_groups() + group] == zeros[group * n_out + row]);
      CHECK(got.scales[row * got.n_groups() + group] == scales[group * n_out + row]);
    }
  }
}

}  // namespace

TEST_CASE("round to nearest chooses AutoAWQ's integers, zero points and scales") {
  check_golden(test::golden_path("awq-pack-g32/vectors.safetensors"), 32);
}

TEST_CASE("round to nearest is AutoAWQ's for groups of 64 and 128 (shared data)") {
  for (const auto& [name, group_size] : {std::pair{"pack-g64", 64}, {"pack-g128", 128}}) {
    CAPTURE(name);
    const auto path = test::shared_path(concat("golden/awq/", name, "/vectors.safetensors"));
    if (!path) SKIP("needs the shared golden data");
    check_golden(*path, static_cast<size_t>(group_size));
  }
}

TEST_CASE("no weight is off by more than one step, one-signed groups included") {
  constexpr uint64_t kSeed = 20261121;
  CAPTURE(kSeed);
  test::Random random(kSeed);
  constexpr size_t kRows = 8, kCols = 128;
  std::vector<float> weights = random.normals(kRows * kCols, 0.1f);
  for (size_t k = 0; k < kCols; ++k) {
    weights[k] = std::fabs(weights[k]) + 1.0f;            // all positive, far from zero
    weights[kCols + k] = -std::fabs(weights[kCols + k]);  // all negative
    weights[2 * kCols + k] = 0.25f;                       // constant
    weights[3 * kCols + k] = 0.0f;
  }
  const Q4Integers got = quantize_rtn(weights, kRows, kCols, {4, 32});
  std::vector<float> row(kCols);
  for (size_t r = 0; r < kRows; ++r) {
    got.dequantize_row(r, row.data());
    for (size_t k = 0; k < kCols; ++k) {
      const auto source = std::span(weights).subspan(r * kCols + k / 32 * 32, 32);
      const auto [low, high] = std::ranges::minmax(source);
      const float range = std::max(high, 0.0f) - std::min(low, 0.0f);
      // Half a step, half a step of the zero point's rounding, and the scale's own rounding to binary16.
      CHECK(std::fabs(row[k] - weights[r * kCols + k]) <= range * (1.0f / 15 + 1.0f / 1024) + 1e-6f);
    }
  }
}

}  // namespace sutra
