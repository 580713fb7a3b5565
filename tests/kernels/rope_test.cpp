#include "kernels/rope/rope.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

#include "support/guarded.h"
#include "support/parity.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

using kernels::rope_variants;
using kernels::RopeKernel;

struct Data {
  size_t n_tokens, n_heads, head_dim, rotary_dim, stride;
  std::vector<float> x, cos, sin;
};

Data random_data(size_t n_tokens, size_t n_heads, size_t head_dim, size_t rotary_dim, uint64_t seed) {
  Random random(seed);
  const size_t stride = n_heads * head_dim + 3;
  return {n_tokens,
          n_heads,
          head_dim,
          rotary_dim,
          stride,
          random.normals(n_tokens * stride),
          random.uniforms(n_tokens * rotary_dim / 2, -1.0f, 1.0f),
          random.uniforms(n_tokens * rotary_dim / 2, -1.0f, 1.0f)};
}

std::vector<float> run(RopeKernel kernel, const Data& d) {
  Guarded<float> x(d.x.size(), 1);
  std::copy(d.x.begin(), d.x.end(), x.data());
  kernel({.x = x.data(),
          .stride = d.stride,
          .n_tokens = d.n_tokens,
          .n_heads = d.n_heads,
          .head_dim = d.head_dim,
          .rotary_dim = d.rotary_dim,
          .cos = d.cos.data(),
          .sin = d.sin.data()});
  CHECK(x.intact());
  return {x.span().begin(), x.span().end()};
}

// (a, b) as a complex number times cos + i sin; everything else stays.
std::vector<double> oracle(const Data& d) {
  std::vector<double> y(d.x.begin(), d.x.end());
  const size_t half = d.rotary_dim / 2;
  for (size_t t = 0; t < d.n_tokens; ++t) {
    for (size_t h = 0; h < d.n_heads; ++h) {
      for (size_t i = 0; i < half; ++i) {
        const auto c = static_cast<double>(d.cos[t * half + i]), s = static_cast<double>(d.sin[t * half + i]);
        double& a = y[t * d.stride + h * d.head_dim + i];
        double& b = y[t * d.stride + h * d.head_dim + half + i];
        const double turned = a * c - b * s;
        b = a * s + b * c;
        a = turned;
      }
    }
  }
  return y;
}

TEST_CASE("rope agrees with double and gives the scalar bits for every width") {
  for_each_available(rope_variants(), [&](const auto& variant) {
    for (size_t rotary_dim = 0; rotary_dim <= 132; rotary_dim += 2) {
      for (const size_t rest : {size_t{0}, size_t{5}}) {
        if (rotary_dim + rest == 0) continue;
        CAPTURE(variant.name, rotary_dim, rest);
        const Data data = random_data(3, 2, rotary_dim + rest, rotary_dim, 3100 + rotary_dim);
        const std::vector<float> got = run(variant.fn, data);
        CHECK(error_over_rms<double>(got, oracle(data)) <= kFloatArithmetic);
        CHECK(difference(got, run(rope_variants()[0].fn, data)) == "");
      }
    }
  });
}

TEST_CASE("rotary angles are within 0.51 ulp at every position, also far away") {
  for (const double theta : {1.0, 10000.0, 500000.0, 1e7}) {
    std::vector<double> frequencies(48);
    kernels::rope_frequencies(theta, frequencies);
    for (size_t i = 0; i < frequencies.size(); ++i) {
      const double expected = std::pow(theta, -static_cast<double>(i) / 48);
      CAPTURE(theta, i);
      CHECK(std::fabs(frequencies[i] / expected - 1) < 5e-15);
    }
    for (const uint64_t first : {0u, 1u, 63u, 4095u, 131071u, 16777200u}) {
      constexpr size_t kTokens = 16;
      std::vector<float> cos(kTokens * 48), sin(kTokens * 48);
      kernels::rope_table(frequencies, first, kTokens, cos.data(), sin.data());
      for (size_t t = 0; t < kTokens; ++t) {
        for (size_t i = 0; i < 48; ++i) {
          const double angle = static_cast<double>(first + t) * frequencies[i];
          CAPTURE(theta, first + t, i);
          CHECK(ulps(cos[t * 48 + i], std::cos(angle)) <= 0.51);
          CHECK(ulps(sin[t * 48 + i], std::sin(angle)) <= 0.51);
        }
      }
    }
  }
}

}  // namespace
}  // namespace sutra::test
