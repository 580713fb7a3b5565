#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "kernels/gemm_q8/self_test.h"
#include "kernels/gemm_q8/variants.h"
#include "kernels/q4_data.h"
#include "support/guarded.h"
#include "support/parity.h"

using namespace sutra;
using namespace sutra::kernels;
using namespace sutra::test;

namespace {

struct Q8Matrix {
  size_t n_rows = 0, n_cols = 0;
  std::vector<float> weights;
  AlignedBuffer packed;

  [[nodiscard]] Q8View view() const { return {packed.data(), n_rows, n_cols}; }
};

Q8Matrix pack(std::vector<float> weights, size_t n_rows, size_t n_cols) {
  Q8Matrix m{n_rows, n_cols, std::move(weights),
             AlignedBuffer::create(q8_packed_bytes(n_rows, n_cols).value()).value()};
  // Padding has to be written, not found.
  std::ranges::fill(m.packed.bytes(), std::byte{0xff});
  quantize_q8(m.weights, n_rows, n_cols, m.packed.bytes());
  return m;
}

float weight_scale(std::span<const float> part) {
  float largest = 0;
  for (const float w : part) largest = std::max(largest, std::abs(w));
  return largest / 127.0f < 0x1p-126f ? 0.0f : largest / 127.0f;
}

int weight_integer(float w, float scale) {
  return scale > 0 ? static_cast<int>(std::nearbyint(static_cast<double>(w / scale))) : 0;
}

// One result, straight from the formulas of layout.h, activations.h and gemm_q8.h.
float expected_product(const Q8Matrix& w, size_t row, std::span<const float> x) {
  float y = 0.0f;
  for (size_t first = 0; first < w.n_cols; first += 128) {
    const size_t n = std::min<size_t>(128, w.n_cols - first);
    const std::span<const float> weights = std::span(w.weights).subspan(row * w.n_cols + first, n);
    const float w_scale = weight_scale(weights);
    const float x_scale = expected_scale(x.subspan(first, n), Precision::kA14);
    const std::vector<int> integers = expected_integers(x.subspan(first, n), x_scale);
    int64_t sum = 0;
    for (size_t k = 0; k < n; ++k) sum += int64_t{weight_integer(weights[k], w_scale)} * integers[k];
    y = y + static_cast<float>(sum) * (w_scale * x_scale);
  }
  return y;
}

void check_product(const Q8Matrix& w, std::span<const float> values, size_t n_tokens) {
  const QuantizedTokens tokens = quantize(values, n_tokens, w.n_cols, 128, Precision::kA14);
  std::vector<float> expected;
  for (size_t t = 0; t < n_tokens; ++t) {
    for (size_t n = 0; n < w.n_rows; ++n) {
      expected.push_back(expected_product(w, n, values.subspan(t * w.n_cols, w.n_cols)));
    }
  }
  Guarded<float> y(n_tokens * w.n_rows, w.n_rows % 4);
  for_each_available(kGemmQ8Variants, [&](const auto& variant) {
    CAPTURE(variant.name, w.n_rows, w.n_cols, n_tokens);
    y.poison();
    variant.fn(w.view(), tokens.x, 0, w.n_rows, y.data(), w.n_rows);
    CHECK(difference(y.span(), expected) == "");
    CHECK(y.intact());
  });
}

}  // namespace

TEST_CASE("every 8-bit product equals the formula bit for bit, on every column tail") {
  constexpr uint64_t seed = 401;
  CAPTURE(seed);
  Random random(seed);
  for (size_t n_cols = 1; n_cols <= 300; n_cols += n_cols < 35 ? 1 : 19) {
    const Q8Matrix w = pack(random.normals(19 * n_cols), 19, n_cols);
    check_product(w, random.normals(n_cols), 1);
    check_product(w, random.normals(n_cols * 7), 7);
  }
}

TEST_CASE("every 8-bit product equals the formula bit for bit, on every row and token tail") {
  constexpr uint64_t seed = 402;
  CAPTURE(seed);
  Random random(seed);
  for (size_t n_rows = 1; n_rows <= 100; n_rows += n_rows < 33 ? 1 : 31) {
    const Q8Matrix w = pack(random.normals(n_rows * 136, std::exp2(random.uniform(-30.0f, 10.0f))), n_rows, 136);
    for (size_t n_tokens = 1; n_tokens <= 9; ++n_tokens) check_product(w, random.normals(136 * n_tokens), n_tokens);
  }
}

TEST_CASE("an 8-bit product at the largest integers saturates nowhere") {
  for (const unsigned signs : {0u, 1u, 2u, 3u}) {
    std::vector<float> weights(16 * 256), values(4 * 256);
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = signs % 2 == 1 && i % 3 == 0 ? -1.0f : 1.0f;
    for (size_t i = 0; i < values.size(); ++i) values[i] = signs >= 2 && i % 5 == 0 ? -3.0f : 3.0f;
    check_product(pack(std::move(weights), 16, 256), values, 4);
  }
}

TEST_CASE("special activations and groups of zeros in an 8-bit product") {
  constexpr uint64_t seed = 403;
  CAPTURE(seed);
  Random random(seed);
  std::vector<float> weights = random.normals(20 * 200);
  std::fill_n(weights.begin() + 200, 200, 0.0f);     // a row of zeros
  std::fill_n(weights.begin() + 400, 128, -1e-40f);  // a group whose scale would be subnormal
  const Q8Matrix w = pack(std::move(weights), 20, 200);
  for (const float special : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 0.0f}) {
    std::vector<float> values = random.normals(5 * 200);
    std::fill_n(values.begin() + 400, 200, special);
    check_product(w, values, 5);
  }
}

TEST_CASE("a part of the rows of an 8-bit product is computed without touching the others") {
  constexpr uint64_t seed = 404;
  CAPTURE(seed);
  Random random(seed);
  const Q8Matrix w = pack(random.normals(70 * 96), 70, 96);
  const std::vector<float> values = random.normals(6 * 96);
  const QuantizedTokens tokens = quantize(values, 6, 96, 128, Precision::kA14);
  constexpr size_t kStride = 80;
  for_each_available(kGemmQ8Variants, [&](const auto& variant) {
    for (const auto& [first, last] : {std::pair<size_t, size_t>{0, 16}, {16, 48}, {48, 70}, {64, 70}, {32, 32}}) {
      CAPTURE(variant.name, first, last);
      std::vector<float> y(6 * kStride, -7.0f);
      variant.fn(w.view(), tokens.x, first, last, y.data(), kStride);
      for (size_t i = 0; i < y.size(); ++i) {
        const size_t row = i % kStride, token = i / kStride;
        const bool inside = row >= first && row < last;
        REQUIRE(same_bits(y[i], inside ? expected_product(w, row, std::span(values).subspan(token * 96, 96)) : -7.0f));
      }
    }
  });
}

TEST_CASE("8-bit rows come back within half a step") {
  Random random(405);
  const Q8Matrix w = pack(random.normals(18 * 150), 18, 150);
  std::vector<float> row(150);
  for (size_t n = 0; n < 18; ++n) {
    unpack_row_q8(w.view(), n, row.data());
    for (size_t k = 0; k < 150; ++k) {
      const size_t first = k / 128 * 128;
      const float scale =
          weight_scale(std::span(w.weights).subspan(n * 150 + first, std::min<size_t>(128, 150 - first)));
      CHECK(std::abs(row[k] - w.weights[n * 150 + k]) <= scale * 0.5001f);
    }
  }
}

TEST_CASE("the 8-bit self-test passes for every variant and catches a wrong one") {
  CHECK(self_test_gemm_q8(kGemmQ8Variants));
  const Variant<GemmQ8Fn> wrong[] = {
      {Isa::kScalar, "wrong",
       [](const Q8View& w, const Activations& x, size_t first, size_t last, float* y, size_t stride) {
         scalar::gemm_q8(w, x, first, last, y, stride);
         y[1] = std::nextafter(y[1], 1e9f);
       }}};
  const Status status = self_test_gemm_q8(wrong);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == ErrorCode::kSelfTestFailed);
}
