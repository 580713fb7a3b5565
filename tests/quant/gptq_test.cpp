#include "quant/gptq.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "base/half.h"
#include "quant/rtn.h"
#include "support/golden.h"
#include "support/random.h"

namespace sutra {
namespace {

using test::value_of;

constexpr size_t kOutputs = 24, kTokens = 600;

// Inputs whose channels depend on each other.
std::vector<float> random_inputs(test::Random& random, size_t n_in) {
  std::vector<float> x(kTokens * n_in);
  for (size_t t = 0; t < kTokens; ++t) {
    float last = 0;
    for (size_t k = 0; k < n_in; ++k) x[t * n_in + k] = last = 0.8f * last + random.normal();
  }
  return x;
}

// The algorithm as the paper writes it: column by column with the inverse of the rest of H, by Gauss and Jordan.
std::vector<float> reference(const std::vector<float>& weights, const std::vector<float>& x, size_t n_in,
                             const Q4Integers& grid) {
  std::vector<double> h(n_in * n_in);
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t i = 0; i < n_in; ++i) {
      for (size_t j = 0; j < n_in; ++j) h[i * n_in + j] += double{x[t * n_in + i]} * x[t * n_in + j] / kTokens;
    }
  }
  double trace = 0;
  for (size_t i = 0; i < n_in; ++i) trace += h[i * n_in + i];
  for (size_t i = 0; i < n_in; ++i) h[i * n_in + i] += 0.01 * trace / static_cast<double>(n_in);
  std::vector<std::vector<double>> w(kOutputs);
  for (size_t row = 0; row < kOutputs; ++row) {
    w[row].assign(weights.begin() + static_cast<long>(row * n_in),
                  weights.begin() + static_cast<long>((row + 1) * n_in));
  }
  std::vector<float> out(kOutputs * n_in);
  for (size_t i = 0; i < n_in; ++i) {
    const size_t n = n_in - i;
    std::vector<double> a(n * n), inverse(n * n);
    for (size_t r = 0; r < n; ++r) {
      for (size_t c = 0; c < n; ++c) a[r * n + c] = h[(i + r) * n_in + i + c];
      inverse[r * n + r] = 1;
    }
    for (size_t p = 0; p < n; ++p) {
      const double pivot = a[p * n + p];
      for (size_t c = 0; c < n; ++c) {
        a[p * n + c] /= pivot;
        inverse[p * n + c] /= pivot;
      }
      for (size_t r = 0; r < n; ++r) {
        const double factor = a[r * n + p];
        if (r == p) continue;
        for (size_t c = 0; c < n; ++c) {
          a[r * n + c] -= factor * a[p * n + c];
          inverse[r * n + c] -= factor * inverse[p * n + c];
        }
      }
    }
    for (size_t row = 0; row < kOutputs; ++row) {
      const size_t group = row * grid.n_groups() + i / grid.group_size;
      const double scale = f16_to_f32(grid.scales[group]), zero = grid.zeros[group];
      const double q = (std::clamp(std::nearbyint(w[row][i] / scale) + zero, 0.0, 15.0) - zero) * scale;
      out[row * n_in + i] = static_cast<float>(q);
      const double error = (w[row][i] - q) / inverse[0];
      for (size_t j = 1; j < n; ++j) w[row][i + j] -= error * inverse[j];
    }
  }
  return out;
}

}  // namespace

TEST_CASE("GPTQ rounds as the paper does, in groups inside of a block") {
  test::Random random(20261123);
  ThreadPool pool(2);
  for (const size_t n_in : {size_t{40}, size_t{128}}) {
    CAPTURE(n_in);
    const std::vector<float> x = random_inputs(random, n_in);
    std::vector<float> weights(kOutputs * n_in);
    for (float& weight : weights) weight = random.normal();
    InputStatistics input = value_of(InputStatistics::create(n_in, kTokens));
    test::require_ok(input.add(x));
    const RoundingFormat format{4, 32};
    const Q4Integers got = quantize_gptq({weights, kOutputs, &input}, format, {}, pool);
    const std::vector<float> expected = reference(weights, x, n_in, got);
    std::vector<float> row(n_in);
    size_t n_same = 0;
    for (size_t r = 0; r < kOutputs; ++r) {
      got.dequantize_row(r, row.data());
      for (size_t k = 0; k < n_in; ++k) n_same += std::fabs(row[k] - expected[r * n_in + k]) < 1e-6f;
    }
    // What is nearly half-way may go either way, and with it what comes after in its row.
    CHECK(n_same >= kOutputs * n_in * 97 / 100);
  }
}

TEST_CASE("an input that is always zero leaves GPTQ with the nearest numbers") {
  test::Random random(7);
  ThreadPool pool(1);
  std::vector<float> weights(16 * 64), x(64 * 64);
  for (float& weight : weights) weight = random.normal();
  InputStatistics input = value_of(InputStatistics::create(64, 64));
  test::require_ok(input.add(x));
  const Q4Integers got = quantize_gptq({weights, 16, &input}, {4, 64}, {}, pool);
  const Q4Integers nearest = quantize_rtn(weights, 16, 64, {4, 64});
  size_t n_same = 0;
  for (size_t i = 0; i < got.nibbles.size(); ++i) n_same += got.nibbles[i] == nearest.nibbles[i];
  CHECK(n_same >= got.nibbles.size() - 1);  // one scale in float32, the other as it is stored
}

}  // namespace sutra
