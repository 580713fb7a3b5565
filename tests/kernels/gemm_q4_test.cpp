#include <catch2/catch_test_macros.hpp>

#include <limits>

#include "kernels/gemm_q4/variants.h"
#include "kernels/q4_data.h"
#include "support/guarded.h"
#include "support/parity.h"

using namespace sutra;
using namespace sutra::kernels;
using namespace sutra::test;

namespace {

constexpr Precision kPrecisions[] = {Precision::kA15, Precision::kA8};

// Every variant on all rows of w for T tokens of x, against the oracle.
void check_product(const Q4Matrix& w, std::span<const float> values, size_t n_tokens, Precision precision) {
  const QuantizedTokens tokens = quantize(values, n_tokens, w.n_cols, w.group_size, precision);
  std::vector<float> expected;
  for (size_t t = 0; t < n_tokens; ++t) {
    for (size_t n = 0; n < w.n_rows; ++n) {
      expected.push_back(expected_product(w, n, values.subspan(t * w.n_cols, w.n_cols), precision));
    }
  }
  Guarded<float> y(n_tokens * w.n_rows, w.n_rows % 4);
  for_each_available(kGemmQ4Variants, [&](const auto& variant) {
    CAPTURE(variant.name, w.n_rows, w.n_cols, w.group_size, n_tokens, static_cast<int>(precision));
    y.poison();
    variant.fn(w.view(), tokens.x, 0, w.n_rows, y.data(), w.n_rows);
    CHECK(difference(y.span(), expected) == "");
    CHECK(y.intact());
  });
}

}  // namespace

TEST_CASE("every 4-bit product equals the formula bit for bit, on every column tail") {
  constexpr uint64_t seed = 301;
  CAPTURE(seed);
  Random random(seed);
  for (const size_t group_size : {32u, 64u, 128u}) {
    for (size_t n_cols = 1; n_cols <= 300; n_cols += n_cols < 35 ? 1 : 19) {
      for (const auto make : {random_q4, random_q4_with_offsets}) {
        const Q4Matrix w = make(random, 19, n_cols, group_size);
        for (const Precision precision : kPrecisions) {
          check_product(w, random.normals(n_cols), 1, precision);
          check_product(w, random.normals(n_cols * 7), 7, precision);
        }
      }
    }
  }
}

TEST_CASE("every 4-bit product equals the formula bit for bit, on every row and token tail") {
  constexpr uint64_t seed = 302;
  CAPTURE(seed);
  Random random(seed);
  for (size_t n_rows = 1; n_rows <= 40; n_rows += n_rows < 33 ? 1 : 7) {
    const Q4Matrix w = (n_rows % 3 == 0 ? random_q4_with_offsets : random_q4)(random, n_rows, 136, 64);
    for (size_t n_tokens = 1; n_tokens <= 9; ++n_tokens) {
      check_product(w, random.normals(136 * n_tokens), n_tokens, n_rows % 2 == 0 ? Precision::kA15 : Precision::kA8);
    }
  }
}

TEST_CASE("a 4-bit product at the largest integers saturates nowhere") {
  // All weights 15, zero points 0 or 255, all activations of the largest magnitude, in each sign pattern.
  for (const size_t group_size : {32u, 64u, 128u}) {
    for (const uint8_t zero : {uint8_t{0}, uint8_t{255}}) {
      const size_t n_cols = 2 * group_size;
      Q4Matrix w{16, n_cols, group_size, {}, {}, {}, {}, {}};
      w.nibbles.assign(16 * n_cols, zero == 0 ? uint8_t{15} : uint8_t{0});
      w.zeros.assign(16 * 2, zero);
      w.scales.assign(16 * 2, uint16_t{0x3c00});
      repack(w);
      for (const unsigned signs : {0u, 1u, 2u, 3u}) {
        std::vector<float> values(4 * n_cols);
        for (size_t i = 0; i < values.size(); ++i) {
          const bool negative = signs == 3 ? i % 2 == 1 : (signs == 1 || (signs == 2 && i % 8 < 4));
          values[i] = negative ? -3.0f : 3.0f;
        }
        for (const Precision precision : kPrecisions) check_product(w, values, 4, precision);
        // Low bytes at their extremes: xq = ±64, ±(64 + 128 k) beside one activation that fixes the scale at 1.
        for (size_t i = 0; i < values.size(); ++i)
          values[i] = i % group_size == 0 ? 16256.0f : (signs % 2 == 0 ? 63.0f : -64.0f);
        check_product(w, values, 4, Precision::kA15);
      }
    }
  }
}

TEST_CASE("a NaN or infinite activation makes its own token NaN and leaves the others alone") {
  constexpr uint64_t seed = 303;
  CAPTURE(seed);
  Random random(seed);
  const Q4Matrix w = random_q4_with_offsets(random, 20, 100, 32);
  for (const float special : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const Precision precision : kPrecisions) {
      std::vector<float> values = random.normals(5 * 100);
      values[2 * 100 + 70] = special;
      check_product(w, values, 5, precision);
      const QuantizedTokens tokens = quantize(values, 5, 100, 32, precision);
      for_each_available(kGemmQ4Variants, [&](const auto& variant) {
        CAPTURE(variant.name);
        std::vector<float> y(5 * 20);
        variant.fn(w.view(), tokens.x, 0, 20, y.data(), 20);
        for (size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / 20 == 2));
      });
    }
  }
}

TEST_CASE("zero and subnormal activations give exact zeros") {
  Random random(304);
  const Q4Matrix w = random_q4(random, 17, 64, 32);
  for (const float value : {0.0f, -0.0f, std::numeric_limits<float>::denorm_min(), -1e-39f}) {
    const std::vector<float> values(64, value);
    for (const Precision precision : kPrecisions) {
      check_product(w, values, 1, precision);
      const QuantizedTokens tokens = quantize(values, 1, 64, 32, precision);
      std::vector<float> y(17, 1.0f);
      gemm_q4(w.view(), tokens.x, 0, 17, y.data(), 17);
      for (const float result : y) CHECK(result == 0.0f);
    }
  }
}

TEST_CASE("subnormal and zero weight scales are exact on every variant") {
  Random random(305);
  Q4Matrix w = random_q4(random, 16, 32, 32);
  for (uint16_t r = 0; r < 16; ++r) w.scales[r] = static_cast<uint16_t>(r % 2 == 0 ? r * 61 : 0x8000 + r * 61);
  repack(w);
  for (const Precision precision : kPrecisions) check_product(w, random.normals(3 * 32), 3, precision);
}

TEST_CASE("a part of the rows of a 4-bit product is computed without touching the others") {
  constexpr uint64_t seed = 306;
  CAPTURE(seed);
  Random random(seed);
  const Q4Matrix w = random_q4(random, 70, 96, 32);
  const std::vector<float> values = random.normals(6 * 96);
  const QuantizedTokens tokens = quantize(values, 6, 96, 32, Precision::kA15);
  constexpr size_t kStride = 80;
  for_each_available(kGemmQ4Variants, [&](const auto& variant) {
    for (const auto& [first, last] : {std::pair<size_t, size_t>{0, 16}, {16, 48}, {48, 70}, {64, 70}, {32, 32}}) {
      CAPTURE(variant.name, first, last);
      std::vector<float> y(6 * kStride, -7.0f);
      variant.fn(w.view(), tokens.x, first, last, y.data(), kStride);
      for (size_t i = 0; i < y.size(); ++i) {
        const size_t row = i % kStride;
        const size_t token = i / kStride;
        const float expected =
            row >= first && row < last
                ? expected_product(w, row, std::span(values).subspan(token * 96, 96), Precision::kA15)
                : -7.0f;
        REQUIRE(same_bits(y[i], expected));
      }
    }
  });
}

TEST_CASE("the 4-bit product is close to the float product: 15 bits lose nothing that 4 bits have left") {
  constexpr uint64_t seed = 307;
  CAPTURE(seed);
  Random random(seed);
  const Q4Matrix w = random_q4(random, 16, 512, 128);
  const std::vector<float> x = random.normals(512);
  std::vector<float> row(512);
  for (const auto& [precision, bound] : {std::pair{Precision::kA15, 2e-4}, std::pair{Precision::kA8, 2e-2}}) {
    const QuantizedTokens tokens = quantize(x, 1, 512, 128, precision);
    std::vector<float> y(16);
    gemm_q4(w.view(), tokens.x, 0, 16, y.data(), 16);
    for (size_t n = 0; n < 16; ++n) {
      unpack_row_q4(w.view(), n, row.data());
      double exact = 0;
      double norm = 0;
      for (size_t k = 0; k < 512; ++k) {
        const double term = static_cast<double>(row[k]) * static_cast<double>(x[k]);
        exact += term;
        norm += term * term;
      }
      CHECK(std::abs(static_cast<double>(y[n]) - exact) <= bound * std::sqrt(norm));
    }
  }
}
