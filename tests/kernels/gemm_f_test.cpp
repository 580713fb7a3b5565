#include "kernels/gemm_f/gemm_f.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/half.h"
#include "support/guarded.h"
#include "support/parity.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

using kernels::gemm_f_variants;
using kernels::GemmFKernel;
using kernels::MatrixF;

constexpr Dtype kDtypes[] = {Dtype::kF32, Dtype::kF16, Dtype::kBF16};

// A weight matrix in one of the stored forms, and its exact values.
class Weights {
 public:
  Weights(Dtype dtype, size_t n_rows, size_t n_cols, uint64_t seed) : dtype_(dtype), n_rows_(n_rows), n_cols_(n_cols) {
    values_ = Random(seed).normals(n_rows * n_cols);
    for (size_t i = 0; i < values_.size(); ++i) {
      if (i % 13 == 5) values_[i] *= 0x1p-20f;  // subnormal as half
      if (i % 17 == 3) values_[i] = 0.0f;
      if (dtype == Dtype::kF16) values_[i] = f16_to_f32(halves_.emplace_back(f32_to_f16(values_[i])));
      if (dtype == Dtype::kBF16) values_[i] = bf16_to_f32(halves_.emplace_back(f32_to_bf16(values_[i])));
    }
  }
  [[nodiscard]] MatrixF view() const {
    const void* data = dtype_ == Dtype::kF32 ? static_cast<const void*>(values_.data()) : halves_.data();
    return {data, dtype_, n_rows_, n_cols_};
  }
  [[nodiscard]] double at(size_t row, size_t col) const { return static_cast<double>(values_[row * n_cols_ + col]); }

 private:
  Dtype dtype_;
  size_t n_rows_, n_cols_;
  std::vector<float> values_;
  std::vector<uint16_t> halves_;
};

std::vector<float> product(GemmFKernel kernel, const MatrixF& w, const float* x, size_t n_tokens) {
  Guarded<float> y(n_tokens * w.n_rows, w.n_cols % 3);
  kernel({.w = w,
          .x = x,
          .n_tokens = n_tokens,
          .first_row = 0,
          .last_row = w.n_rows,
          .y = y.data(),
          .y_stride = w.n_rows});
  CHECK(y.intact());
  return {y.span().begin(), y.span().end()};
}

TEST_CASE("gemm_f stays within its stated error of double and gives the scalar bits at every width") {
  constexpr size_t kRows = 9, kTokens = 3;
  for_each_available(gemm_f_variants(), [&](const auto& variant) {
    for (const Dtype dtype : kDtypes) {
      for (size_t k = 0; k <= 67; ++k) {
        CAPTURE(variant.name, dtype_name(dtype), k);
        const Weights weights(dtype, kRows, k, 900 + k);
        const std::vector<float> x = Random(1900 + k).normals(kTokens * k);
        const std::vector<float> got = product(variant.fn, weights.view(), x.data(), kTokens);
        double worst = 0.0;  // in units of the bound
        for (size_t t = 0; t < kTokens; ++t) {
          for (size_t n = 0; n < kRows; ++n) {
            double exact = 0.0, magnitude = 0.0;
            for (size_t i = 0; i < k; ++i) {
              const double term = weights.at(n, i) * static_cast<double>(x[t * k + i]);
              exact += term;
              magnitude += std::fabs(term);
            }
            const double bound = (static_cast<double>(k) / 16.0 + 5.0) * 0x1p-24 * magnitude + 1e-45;
            worst = std::max(worst, std::fabs(static_cast<double>(got[t * kRows + n]) - exact) / bound);
          }
        }
        CHECK(worst <= 1.0);
        CHECK(difference(got, product(gemm_f_variants()[0].fn, weights.view(), x.data(), kTokens)) == "");
      }
    }
  });
}

TEST_CASE("gemm_f gives the same bits for any number of tokens and any split of the rows") {
  constexpr size_t kRows = 13, kCols = 83, kTokens = 7;
  for_each_available(gemm_f_variants(), [&](const auto& variant) {
    for (const Dtype dtype : kDtypes) {
      CAPTURE(variant.name, dtype_name(dtype));
      const Weights weights(dtype, kRows, kCols, 31);
      const std::vector<float> x = Random(32).normals(kTokens * kCols);
      const std::vector<float> together = product(variant.fn, weights.view(), x.data(), kTokens);
      for (size_t t = 0; t < kTokens; ++t) {
        const std::vector<float> one = product(variant.fn, weights.view(), &x[t * kCols], 1);
        CHECK(difference(one, {&together[t * kRows], kRows}) == "");
      }
      for (size_t first = 0; first <= kRows; ++first) {
        for (size_t last = first; last <= kRows; ++last) {
          CAPTURE(first, last);
          constexpr size_t kStride = kRows + 4;
          Guarded<float> y(kTokens * kStride);
          variant.fn({.w = weights.view(),
                      .x = x.data(),
                      .n_tokens = kTokens,
                      .first_row = first,
                      .last_row = last,
                      .y = y.data(),
                      .y_stride = kStride});
          bool right = y.intact();
          for (size_t t = 0; t < kTokens; ++t) {
            for (size_t n = 0; n < kStride; ++n) {
              const float got = y[t * kStride + n];
              right = right && (n >= first && n < last ? same_bits(got, together[t * kRows + n]) : std::isnan(got));
            }
          }
          CHECK(right);
        }
      }
    }
  });
}

TEST_CASE("gemm_f widens every finite half and bfloat16 exactly") {
  for_each_available(gemm_f_variants(), [&](const auto& variant) {
    for (const Dtype dtype : {Dtype::kF16, Dtype::kBF16}) {
      CAPTURE(variant.name, dtype_name(dtype));
      // One row per pattern and sixteen columns with one 1 among the activations: the sum is the weight itself.
      constexpr size_t kCols = 16, kRows = 0x10000 / kCols;
      std::vector<uint16_t> patterns(kRows * kCols);
      const auto widen = [&](uint16_t bits) { return dtype == Dtype::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits); };
      for (size_t i = 0; i < patterns.size(); ++i) {
        const auto bits = static_cast<uint16_t>(i);
        patterns[i] = std::isfinite(widen(bits)) ? bits : uint16_t{0};
      }
      size_t n_wrong = 0;
      for (size_t col = 0; col < kCols; ++col) {
        std::vector<float> x(kCols, 0.0f);
        x[col] = 1.0f;
        const std::vector<float> y = product(variant.fn, {patterns.data(), dtype, kRows, kCols}, x.data(), 1);
        for (size_t row = 0; row < kRows; ++row) n_wrong += y[row] != widen(patterns[row * kCols + col]);
      }
      CHECK(n_wrong == 0);
    }
  });
}

TEST_CASE("gemm_f confines a NaN activation to its own token") {
  constexpr size_t kRows = 5, kCols = 40, kTokens = 3;
  for_each_available(gemm_f_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    const Weights weights(Dtype::kF16, kRows, kCols, 41);
    std::vector<float> x = Random(42).normals(kTokens * kCols);
    const std::vector<float> clean = product(variant.fn, weights.view(), x.data(), kTokens);
    x[kCols + 39] = std::nanf("");
    const std::vector<float> dirty = product(variant.fn, weights.view(), x.data(), kTokens);
    for (size_t n = 0; n < kRows; ++n) {
      CHECK(same_bits(dirty[n], clean[n]));
      CHECK(std::isnan(dirty[kRows + n]));
      CHECK(same_bits(dirty[2 * kRows + n], clean[2 * kRows + n]));
    }
  });
}

}  // namespace
}  // namespace sutra::test
