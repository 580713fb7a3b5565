#include "quant/awq_search.h"

#include <algorithm>
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/golden.h"
#include "support/random.h"

namespace sutra {
namespace {

// A search case of golden/awq: linears that share one input.
struct Golden {
  TensorMap tensors;
  nlohmann::json expected;
  RoundingFormat format;
  InputStatistics input;
  std::vector<CalibratedMatrix> matrices;
};

Golden load_golden(const std::string& folder) {
  Golden golden{test::load_tensors(folder + "/vectors.safetensors"), {}, {}, {}, {}};
  std::ifstream(folder + "/case.json") >> golden.expected;
  golden.format.group_size = golden.expected["group_size"];
  const Tensor& x = *golden.tensors.find("x");
  const size_t n_tokens = x.shape()[0], n_in = x.shape()[1];
  golden.input = test::value_of(InputStatistics::create(n_in, n_tokens));
  // In two parts, as calibration comes.
  const size_t half = n_tokens / 2 * n_in;
  test::require_ok(golden.input.add(x.as<float>().first(half)));
  test::require_ok(golden.input.add(x.as<float>().subspan(half)));
  for (int i = 0; golden.tensors.contains(concat("weight.", i)); ++i) {
    const Tensor& weight = *golden.tensors.find(concat("weight.", i));
    golden.matrices.push_back({weight.as<float>(), weight.shape()[0], nullptr});
  }
  return golden;
}

void check_close(std::span<const float> got, std::span<const float> expected, double tolerance) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::fabs(got[i] - expected[i]) > tolerance * std::fabs(expected[i])) {
      FAIL("entry " << i << " is " << got[i] << ", expected " << expected[i]);
    }
  }
}

void check_search(const std::string& folder) {
  CAPTURE(folder);
  ThreadPool pool(2);
  Golden golden = load_golden(folder);
  for (CalibratedMatrix& matrix : golden.matrices) matrix.input = &golden.input;
  const size_t n_in = golden.input.n_channels();
  const std::vector<float> w_mean = mean_weights(golden.matrices, n_in, golden.format.group_size);
  check_close(golden.input.mean_abs(), golden.tensors.find("x_mean_abs")->as<float>(), 1e-5);
  check_close(w_mean, golden.tensors.find("w_mean")->as<float>(), 1e-4);

  size_t n_rows = 0;
  for (const CalibratedMatrix& matrix : golden.matrices) n_rows = std::max(n_rows, matrix.n_out);
  double least = 1e30;
  for (const bool duo : {false, true}) {
    const auto& history = golden.expected[duo ? "loss_history_duo" : "loss_history"];
    std::vector<double> errors;
    for (size_t step = 0; step < kScaleSteps; ++step) {
      const std::vector<float> s = scale_candidate(golden.input.mean_abs(), w_mean, step, duo);
      errors.push_back(output_error(golden.matrices, s, golden.format, n_rows));
      CHECK(errors.back() == Catch::Approx(history[step].get<double>()).epsilon(1e-3));
    }
    const auto best = static_cast<size_t>(std::ranges::min_element(errors) - errors.begin());
    CHECK(best == golden.expected[duo ? "best_index_duo" : "best_index"].get<size_t>());
    const std::vector<float> s = scale_candidate(golden.input.mean_abs(), w_mean, best, duo);
    check_close(s, golden.tensors.find(duo ? "best_scales_duo" : "best_scales")->as<float>(), 1e-4);
    least = std::min(least, errors[best]);
  }
  const ScaleChoice choice = search_scales(golden.matrices, {}, golden.format, pool);
  CHECK(choice.step == golden.expected["best_index"].get<size_t>());  // the same of both kinds
  CHECK(choice.error <= least * 1.01);
  CHECK(choice.error_unscaled == Catch::Approx(golden.expected["mse_rtn"].get<double>()).epsilon(1e-3));
}

// Squared error of a group's part of the output, summed over the samples: weights w, samples x [n, K]
// from column `first` on, the range cut at `limit`.
double group_error(std::span<const float> w, std::span<const float> x, size_t n_in, size_t first, float limit) {
  float low = 0, high = 0;
  for (const float value : w) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  low = std::max(low, -limit);
  high = std::min(high, limit);
  // In float32, as it is defined: where both ends are cut, the zero point is a tie that its last bit decides.
  const float step = std::max(high - low, 1e-5f) / 15, zero = -std::nearbyint(low / step);
  double sum = 0;
  for (size_t row = 0; row * n_in < x.size(); ++row) {
    double error = 0;
    for (size_t k = 0; k < w.size(); ++k) {
      const float q = std::clamp(std::nearbyint(w[k] / step) + zero, 0.0f, 15.0f);
      error += double{x[row * n_in + first + k]} * (double{q - zero} * step - w[k]);
    }
    sum += error * error;
  }
  return sum;
}

void check_limits(const std::string& folder) {
  CAPTURE(folder);
  ThreadPool pool(2);
  Golden golden = load_golden(folder);
  CalibratedMatrix& matrix = golden.matrices.front();
  matrix.input = &golden.input;
  const std::vector<float> limits = search_limits(matrix, golden.format, pool);
  const auto expected = golden.tensors.find("clip_best_max_val")->as<float>();
  const auto robust = golden.tensors.find("clip_robust")->as<uint8_t>();
  REQUIRE(limits.size() == expected.size());
  const size_t n_in = golden.input.n_channels(), group_size = golden.format.group_size, n_groups = n_in / group_size;
  const auto x = golden.tensors.find("x")->as<float>();
  size_t n_equal = 0, n_compared = 0;
  double error = 0, least = 0;
  for (size_t i = 0; i < limits.size(); ++i) {
    if (robust[i] == 0) continue;
    ++n_compared;
    if (std::fabs(limits[i] - expected[i]) <= 1e-6f * expected[i]) ++n_equal;
    const size_t first = i % n_groups * group_size;
    const auto w = matrix.weights.subspan(i / n_groups * n_in + first, group_size);
    error += group_error(w, x, n_in, first, limits[i]);
    least += group_error(w, x, n_in, first, expected[i]);
  }
  // Not all: only those that are best by the moments are compared by products, and the reference cuts the weights
  // themselves, so that it may round what it cut down, to 14 steps of 15.
  CHECK(n_equal >= n_compared * 90 / 100);
  CHECK(error <= least * 1.01);
}

}  // namespace

TEST_CASE("the search for scales is AutoAWQ's (shared data)") {
  for (const char* name : {"scale-single", "scale-qkv"}) {
    const auto path = test::shared_path(concat("golden/awq/", name, "/vectors.safetensors"));
    if (!path) SKIP("needs the shared golden data");
    check_search(path->substr(0, path->rfind('/')));
  }
}

TEST_CASE("the search for limits finds AutoAWQ's, or as good ones (shared data)") {
  for (const char* name : {"scale-single", "scale-qkv"}) {
    const auto path = test::shared_path(concat("golden/awq/", name, "/vectors.safetensors"));
    if (!path) SKIP("needs the shared golden data");
    check_limits(path->substr(0, path->rfind('/')));
  }
}

TEST_CASE("channels that never change are scaled by their size, and those that are always zero least") {
  constexpr size_t kInputs = 128, kOutputs = 32, kTokens = 256, kZero = 3, kConstant = 5;
  test::Random random(20261123);
  ThreadPool pool(2);
  std::vector<float> x(kTokens * kInputs), weights(kOutputs * kInputs);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t channel = i % kInputs;
    x[i] = channel == kZero ? 0.0f : channel == kConstant ? 8.0f : random.normal() * (channel < 16 ? 30.0f : 1.0f);
  }
  for (float& weight : weights) weight = random.normal();
  InputStatistics input = test::value_of(InputStatistics::create(kInputs, kTokens));
  for (size_t first = 0; first < kTokens; first += 64) {
    test::require_ok(input.add(std::span(x).subspan(first * kInputs, 64 * kInputs)));
  }
  CHECK(input.variance()[kZero] == 0.0f);
  CHECK(input.variance()[kConstant] == 0.0f);
  const CalibratedMatrix matrix{weights, kOutputs, &input};
  const ScaleChoice choice = search_scales({&matrix, 1}, {}, {4, kInputs}, pool);
  REQUIRE(choice.step > 0);  // some channels are 30 times the others
  CHECK(std::ranges::all_of(choice.s, [](float s) { return std::isfinite(s) && s > 0; }));
  CHECK(std::ranges::min_element(choice.s) - choice.s.begin() == kZero);
  CHECK(choice.s[kConstant] > choice.s[kInputs - 1]);
  CHECK(choice.error < choice.error_unscaled);
}

}  // namespace sutra
