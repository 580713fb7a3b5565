#include "kernels/attention/attention.h"

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

using kernels::attention_variants;
using kernels::AttentionKernel;
using kernels::kCachePageTokens;

// Positions [0, n) of one head of keys and values with some queries each, in rows wider than they need.
struct Data {
  size_t n_tokens, n_queries, head_dim, stride;
  float scale;
  std::vector<float> q, k, v;
};

Data random_data(size_t n_tokens, size_t n_queries, size_t head_dim, uint64_t seed) {
  Random random(seed);
  const size_t stride = n_queries * head_dim + 3;
  return {n_tokens,
          n_queries,
          head_dim,
          stride,
          2.0f / std::sqrt(static_cast<float>(head_dim)),
          random.normals(n_tokens * stride),
          random.normals(n_tokens * stride),
          random.normals(n_tokens * stride)};
}

// Pages for so many tokens, poisoned: what no token has written must not be read.
class Cache {
 public:
  Cache(size_t n_tokens, size_t head_dim) : head_dim_(head_dim) {
    const size_t n_pages = (n_tokens + kCachePageTokens - 1) / kCachePageTokens;
    pages_.assign(n_pages, std::vector<float>(2 * kernels::cache_page_floats(head_dim) + 7,
                                              std::numeric_limits<float>::quiet_NaN()));
    for (auto& page : pages_) starts_.push_back(page.data());
  }
  [[nodiscard]] kernels::CacheHead head() const {
    return {starts_.data(), 3, kernels::cache_page_floats(head_dim_) + 5, head_dim_};
  }

 private:
  size_t head_dim_;
  std::vector<std::vector<float>> pages_;
  std::vector<float*> starts_;
};

// Tokens [first, last), after those before.
std::vector<float> run(AttentionKernel kernel, const Data& d, size_t first, size_t last, const Cache& cache) {
  const size_t n = last - first;
  const float* q = d.q.data() + first * d.stride;
  kernels::cache_append(
      {d.k.data() + first * d.stride, d.v.data() + first * d.stride, d.stride, n, first, cache.head()});
  Guarded<float> y(n * d.stride, 1);
  kernel({.q = q,
          .stride = d.stride,
          .n_tokens = n,
          .n_queries = d.n_queries,
          .first_position = first,
          .scale = d.scale,
          .cache = cache.head(),
          .y = y.data()});
  CHECK(y.intact());
  std::vector<float> dense;
  for (size_t t = 0; t < n; ++t) {
    const float* row = y.data() + t * d.stride;
    dense.insert(dense.end(), row, row + d.n_queries * d.head_dim);
    for (size_t i = d.n_queries * d.head_dim; i < d.stride; ++i) CHECK(std::isnan(row[i]));
  }
  return dense;
}

// softmax(scale · q kᵀ) v in double, two passes.
std::vector<double> oracle(const Data& d) {
  std::vector<double> out;
  const auto at = [&](const std::vector<float>& values, size_t t, size_t i) {
    return static_cast<double>(values[t * d.stride + i]);
  };
  for (size_t t = 0; t < d.n_tokens; ++t) {
    for (size_t g = 0; g < d.n_queries; ++g) {
      std::vector<double> weights(t + 1);
      double total = 0, largest = -std::numeric_limits<double>::infinity();
      for (size_t j = 0; j <= t; ++j) {
        for (size_t i = 0; i < d.head_dim; ++i) weights[j] += at(d.q, t, g * d.head_dim + i) * at(d.k, j, i);
        weights[j] *= static_cast<double>(d.scale);
        largest = std::max(largest, weights[j]);
      }
      for (double& weight : weights) total += weight = std::exp(weight - largest);
      for (size_t i = 0; i < d.head_dim; ++i) {
        double y = 0;
        for (size_t j = 0; j <= t; ++j) y += weights[j] / total * at(d.v, j, i);
        out.push_back(y);
      }
    }
  }
  return out;
}

TEST_CASE("attention agrees with double and gives the scalar bits for every head size") {
  for_each_available(attention_variants(), [&](const auto& variant) {
    for (size_t head_dim = 1; head_dim <= 130; head_dim += head_dim < 35 ? 1 : 19) {
      CAPTURE(variant.name, head_dim);
      const Data data = random_data(21, 3, head_dim, 4100 + head_dim);
      const Cache cache(21, head_dim), scalar_cache(21, head_dim);
      const std::vector<float> got = run(variant.fn, data, 0, 21, cache);
      CHECK(error_over_rms<double>(got, oracle(data)) <= kFloatArithmetic);
      CHECK(difference(got, run(attention_variants()[0].fn, data, 0, 21, scalar_cache)) == "");
    }
  });
}

TEST_CASE("attention over several pages agrees with double, token by token and at once, to the bit") {
  constexpr size_t kTokens = 2 * kCachePageTokens + 37, kHeadDim = 16;
  for_each_available(attention_variants(), [&](const auto& variant) {
    for (const size_t n_queries : {size_t{1}, size_t{4}, size_t{11}}) {
      CAPTURE(variant.name, n_queries);
      const Data data = random_data(kTokens, n_queries, kHeadDim, 51);
      const Cache cache(kTokens, kHeadDim), scalar_cache(kTokens, kHeadDim), step_cache(kTokens, kHeadDim);
      const std::vector<float> whole = run(variant.fn, data, 0, kTokens, cache);
      CHECK(error_over_rms<double>(whole, oracle(data)) <= kFloatArithmetic);
      CHECK(difference(whole, run(attention_variants()[0].fn, data, 0, kTokens, scalar_cache)) == "");
      std::vector<float> steps;
      for (size_t t = 0; t < kTokens; ++t) {
        const std::vector<float> step = run(variant.fn, data, t, t + 1, step_cache);
        steps.insert(steps.end(), step.begin(), step.end());
      }
      CHECK(difference(steps, whole) == "");
    }
  });
}

TEST_CASE("attention stays finite where scores are large, and one token alone is its own value") {
  for_each_available(attention_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    Data data = random_data(kCachePageTokens + 5, 2, 24, 52);
    data.scale = 1000.0f;
    const Cache cache(data.n_tokens, 24);
    const std::vector<float> y = run(variant.fn, data, 0, data.n_tokens, cache);
    bool finite = true;
    for (const float value : y) finite = finite && std::isfinite(value);
    CHECK(finite);
    for (size_t i = 0; i < 48; ++i) CHECK(y[i] == data.v[i % 24]);
  });
}

}  // namespace
}  // namespace sutra::test
