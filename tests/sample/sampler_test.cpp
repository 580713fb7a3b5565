#include "sample/sampler.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include "sample/exp.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::sample {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> probabilities(const Options& options, const std::vector<float>& logits,
                                 const std::vector<int32_t>& history = {}) {
  Sampler sampler(options, logits.size());
  for (const int32_t id : history) sampler.accept(id);
  std::vector<float> out(logits.size());
  REQUIRE(sampler.probabilities(logits, out).has_value());
  return out;
}

// The definition in double, with a full sort.
std::vector<double> naive_probabilities(const Options& options, const std::vector<float>& logits) {
  const size_t n = logits.size();
  std::vector<double> z(logits.begin(), logits.end());
  for (double& value : z) value /= static_cast<double>(options.temperature);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return z[a] > z[b]; });
  std::vector<double> p(n);
  const auto softmax = [&] {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += p[i] = std::exp(z[i] - z[order[0]]);
    for (double& value : p) value /= sum;
  };
  if (options.top_k > 0 && static_cast<size_t>(options.top_k) < n) {
    const double border = z[order[static_cast<size_t>(options.top_k) - 1]];
    for (double& value : z) value = value < border ? -std::numeric_limits<double>::infinity() : value;
  }
  softmax();
  double before = 0;
  for (const size_t id : order) {
    if (before >= static_cast<double>(options.top_p)) z[id] = -std::numeric_limits<double>::infinity();
    before += p[id];
  }
  softmax();
  for (size_t i = 0; i < n; ++i) {
    if (p[i] < static_cast<double>(options.min_p) * p[order[0]]) z[i] = -std::numeric_limits<double>::infinity();
  }
  softmax();
  return p;
}

size_t count_kept(const std::vector<float>& p) {
  return static_cast<size_t>(std::count_if(p.begin(), p.end(), [](float value) { return value > 0; }));
}

TEST_CASE("greedy takes the largest logit, the lowest id among equals") {
  Sampler sampler({.temperature = 0}, 5);
  const std::vector<float> logits = {1, 3, 2, 3, -kInfinity};
  const auto got = sampler.sample(logits);
  REQUIRE(got.has_value());
  CHECK(got->id == 1);
  CHECK(got->probability == 1);
  CHECK(probabilities({.temperature = 0}, logits) == std::vector<float>{0, 1, 0, 0, 0});
}

TEST_CASE("top_k keeps ties at its border, and does nothing from the vocabulary size on") {
  const std::vector<float> logits = {4, 2, 3, 2, 1};
  CHECK(count_kept(probabilities({.top_k = 1}, logits)) == 1);
  CHECK(count_kept(probabilities({.top_k = 3}, logits)) == 4);
  CHECK(count_kept(probabilities({.top_k = 5}, logits)) == 5);
  CHECK(count_kept(probabilities({.top_k = 1 << 30}, logits)) == 5);
  CHECK(count_kept(probabilities({.top_k = 4}, {1, -kInfinity, 2, -kInfinity, -kInfinity})) == 2);
}

TEST_CASE("top_p keeps the id that crosses it, always one, and the lowest ids among equals") {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  CHECK(count_kept(probabilities({.top_p = 0.49f}, logits)) == 1);
  CHECK(count_kept(probabilities({.top_p = 0.51f}, logits)) == 2);
  CHECK(count_kept(probabilities({.top_p = 0.81f}, logits)) == 3);
  CHECK(count_kept(probabilities({.top_p = 1e-30f}, logits)) == 1);
  CHECK(probabilities({.top_p = 0.55f}, {1, 1, 1, 1, 1}) == std::vector<float>{1 / 3.0f, 1 / 3.0f, 1 / 3.0f, 0, 0});
}

TEST_CASE("min_p is relative to the largest probability") {
  const std::vector<float> logits = {std::log(0.6f), std::log(0.31f), std::log(0.09f)};
  CHECK(count_kept(probabilities({.min_p = 0.1f}, logits)) == 3);
  CHECK(count_kept(probabilities({.min_p = 0.2f}, logits)) == 2);
  CHECK(count_kept(probabilities({.min_p = 0.6f}, logits)) == 1);
}

TEST_CASE("the repetition penalty acts once on each id of the history, towards less in either sign") {
  const std::vector<float> logits = {2, -1, 0.5f};
  const std::vector<float> got = probabilities({.repetition_penalty = 2}, logits, {0, 1, 0});
  const std::vector<double> expected = naive_probabilities({}, {1, -2, 0.5f});
  CHECK(test::error_over_rms<double>(got, expected) < test::kFloatArithmetic);
}

TEST_CASE("all options together follow the definition on random logits") {
  const uint64_t seed = 23;
  CAPTURE(seed);
  test::Random random(seed);
  for (int round = 0; round < 400; ++round) {
    const auto n = static_cast<size_t>(random.integer(1, 3000));
    const std::vector<float> logits = random.normals(n, random.uniform(0.1f, 8.0f));
    Options options;
    options.temperature = random.uniform(0.05f, 3.0f);
    if (random.integer(0, 1) == 1) options.top_k = static_cast<int32_t>(random.integer(1, 200));
    if (random.integer(0, 1) == 1) options.top_p = random.uniform(0.01f, 0.999f);
    if (random.integer(0, 1) == 1) options.min_p = random.uniform(0.0f, 0.3f);
    CAPTURE(round, n, options.temperature, options.top_k, options.top_p, options.min_p);
    const std::vector<double> expected = naive_probabilities(options, logits);
    CHECK(test::error_over_rms<double>(probabilities(options, logits), expected) < test::kFloatArithmetic);
  }
}

TEST_CASE("draws follow the distribution") {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  const std::vector<double> expected = {0.5, 0.3, 0.15, 0.05};
  constexpr int kDraws = 40'000;
  Sampler sampler({.seed = 3}, 4);
  std::vector<int> counts(4);
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sampler.sample(logits)->id)];
  for (size_t id = 0; id < 4; ++id) {
    const double deviation = std::sqrt(kDraws * expected[id] * (1 - expected[id]));
    CHECK(std::fabs(counts[id] - kDraws * expected[id]) < 4 * deviation);
  }
}

TEST_CASE("no removed id is ever drawn") {
  test::Random random(7);
  std::vector<float> logits = random.normals(1000, 2);
  for (size_t i = 0; i < logits.size(); i += 3) logits[i] = -kInfinity;
  const Options options{.top_k = 50, .top_p = 0.9f, .min_p = 0.01f, .seed = 1};
  const std::vector<float> p = probabilities(options, logits);
  Sampler sampler(options, logits.size());
  for (int i = 0; i < 5000; ++i) {
    const auto got = sampler.sample(logits);
    REQUIRE(got.has_value());
    if (p[static_cast<size_t>(got->id)] != got->probability || got->probability == 0) FAIL("id " << got->id);
  }
}

TEST_CASE("a seed stands for one sequence of ids, on every platform") {
  std::vector<float> logits(50);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 37 % 50) / 8;
  const auto draw = [&](uint64_t seed) {
    Sampler sampler({.temperature = 0.9f, .top_p = 0.95f, .seed = seed}, logits.size());
    std::vector<int32_t> ids;
    for (int i = 0; i < 12; ++i) ids.push_back(sampler.sample(logits)->id);
    return ids;
  };
  // Computed apart from this code, in double: splitmix64, xoshiro256**, and a draw in id order.
  CHECK(draw(42) == std::vector<int32_t>{4, 16, 31, 43, 47, 35, 31, 39, 35, 27, 31, 12});
  CHECK(draw(42) != draw(43));
}

TEST_CASE("a copy of a sampler goes on as the original would") {
  const std::vector<float> logits = test::Random(2).normals(300);
  Sampler original({.repetition_penalty = 1.3f, .seed = 9}, logits.size());
  for (int i = 0; i < 10; ++i) original.accept(original.sample(logits)->id);
  Sampler copy = original;
  for (int i = 0; i < 50; ++i) {
    const int32_t id = original.sample(logits)->id;
    REQUIRE(copy.sample(logits)->id == id);
    original.accept(id);
    copy.accept(id);
  }
}

TEST_CASE("new options start the random sequence of their seed and keep the history") {
  const std::vector<float> logits = test::Random(3).normals(300);
  const Options options{.repetition_penalty = 1.5f, .seed = 4};
  Sampler fresh(options, logits.size());
  Sampler used({.seed = 77}, logits.size());
  for (const int32_t id : {5, 6, 7}) {
    fresh.accept(id);
    used.accept(id);
  }
  static_cast<void>(used.sample(logits));
  used.set_options(options);
  for (int i = 0; i < 20; ++i) CHECK(used.sample(logits)->id == fresh.sample(logits)->id);
}

TEST_CASE("logits that are NaN, infinite or all removed are an error") {
  Sampler sampler({}, 3);
  Sampler greedy({.temperature = 0}, 3);
  for (const std::vector<float>& logits :
       {std::vector<float>{1, kNan, 2}, {-kNan, 1, 2}, {1, 2, kInfinity}, {-kInfinity, -kInfinity, -kInfinity}}) {
    for (Sampler* const one : {&sampler, &greedy}) {
      const auto got = one->sample(logits);
      REQUIRE(!got.has_value());
      CHECK(got.error().code == ErrorCode::kNonFinite);
    }
    std::vector<float> out(3);
    CHECK(!sampler.probabilities(logits, out).has_value());
  }
  CHECK(sampler.sample(std::vector<float>{-kInfinity, 0, -kInfinity})->id == 1);
}

TEST_CASE("extreme logits and temperatures give a distribution") {
  for (const float temperature : {1e-38f, 1e-6f, 1.0f, 1e6f, 3e38f}) {
    for (const std::vector<float>& logits :
         {std::vector<float>{3e38f, -3e38f, 0}, {1e-40f, 2e-40f, 0}, {5, 5, 5}, {0, -kInfinity, -1e30f}}) {
      for (const Options& options : {Options{}, Options{.top_k = 2}, Options{.top_p = 0.5f}, Options{.min_p = 0.5f}}) {
        Options with = options;
        with.temperature = temperature;
        const std::vector<float> p = probabilities(with, logits);
        CHECK(std::fabs(std::accumulate(p.begin(), p.end(), 0.0) - 1) < test::kFloatArithmetic);
      }
    }
  }
}

TEST_CASE("options out of range are refused by name") {
  const auto check = [](const Options& options, const char* name) {
    const auto got = validated(options);
    REQUIRE(!got.has_value());
    CHECK(got.error().code == ErrorCode::kInvalidArgument);
    CHECK(got.error().message.find(name) != std::string::npos);
  };
  CHECK(validated({}).has_value());
  CHECK(validated({.temperature = 0, .top_k = 1, .top_p = 1e-9f, .min_p = 0.99f, .repetition_penalty = 0.5f})
            .has_value());
  for (const float bad : {-0.1f, kNan, kInfinity, -kInfinity}) check({.temperature = bad}, "temperature");
  for (const int32_t bad : {-1, std::numeric_limits<int32_t>::min()}) check({.top_k = bad}, "top_k");
  for (const float bad : {0.0f, -1.0f, 1.01f, kNan, kInfinity}) check({.top_p = bad}, "top_p");
  for (const float bad : {-0.1f, 1.0f, kNan, kInfinity}) check({.min_p = bad}, "min_p");
  for (const float bad : {0.0f, -1.0f, kNan, kInfinity}) check({.repetition_penalty = bad}, "repetition_penalty");
}

TEST_CASE("log_probability is the logarithm of the softmax of the logits as they are") {
  const std::vector<float> logits = test::Random(4).normals(1000, 3);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  for (const int32_t id : {0, 1, 500, 999}) {
    const double expected = static_cast<double>(logits[static_cast<size_t>(id)]) - std::log(sum);
    CHECK(std::fabs(static_cast<double>(log_probability(logits, id)) - expected) < test::kFloatArithmetic);
  }
  CHECK(log_probability(std::vector<float>{0, -kInfinity}, 1) == -kInfinity);
  CHECK(log_probability(std::vector<float>{0, -kInfinity}, 0) == 0);
}

TEST_CASE("exp_weight is within 4 ulps of exp down to -87, exact at 0, and 0 far below") {
  double worst = 0;
  for (int i = 0; i <= 870'000; ++i) {
    const float x = static_cast<float>(i) * -1e-4f;
    worst = std::max(worst, test::ulps(exp_weight(x), std::exp(static_cast<double>(x))));
  }
  CHECK(worst < 4);
  CHECK(exp_weight(0.0f) == 1);
  CHECK(exp_weight(-0.0f) == 1);
  for (const float x : {-88.0f, -1000.0f, -3e38f, -kInfinity}) CHECK(exp_weight(x) == 0);
}

}  // namespace
}  // namespace sutra::sample
