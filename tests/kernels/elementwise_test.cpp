#include "kernels/elementwise/elementwise.h"

#include <bit>
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

using kernels::elementwise_variants;
using kernels::ElementwiseKernels;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
// Every tail up to twice the widest vector (16 lanes), and one more.
constexpr size_t kLargestTail = 33;

struct Unary {
  const char* name;
  ElementwiseKernels::Unary ElementwiseKernels::*kernel;
  double (*exact)(double);
  double max_ulps;      // for normal results
  double max_absolute;  // for denormal results, and silu's tail
};

double exact_sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// The bounds that elementwise.h states.
const Unary kUnary[] = {
    {"exp", &ElementwiseKernels::exp, [](double x) { return std::exp(x); }, 1.0, 0x1p-149},
    {"sigmoid", &ElementwiseKernels::sigmoid, exact_sigmoid, 2.5, 0x1p-149},
    {"tanh", &ElementwiseKernels::tanh, [](double x) { return std::tanh(x); }, 2.0, 0x1p-149},
    {"softplus", &ElementwiseKernels::softplus, [](double x) { return x > 40.0 ? x : std::log1p(std::exp(x)); }, 3.5,
     0x1p-148},
    {"silu", &ElementwiseKernels::silu,
     [](double x) { return x == -std::numeric_limits<double>::infinity() ? -0.0 : x * exact_sigmoid(x); }, 3.5, 1e-43},
    {"relu_squared", &ElementwiseKernels::relu_squared, [](double x) { return x > 0.0 ? x * x : x * 0.0; }, 0.5,
     0x1p-150},
    {"rwkv6_decay", &ElementwiseKernels::rwkv6_decay, [](double x) { return std::exp(-std::exp(x)); }, 0.0, 1e-7},
    {"rwkv7_decay", &ElementwiseKernels::rwkv7_decay,
     [](double x) { return std::exp(-std::exp(-0.5) * exact_sigmoid(x)); }, 1.5, 0x1p-149},
};

// Ordinary arguments and every kind of special one, in an order that puts them at changing lanes.
std::vector<float> mixed_arguments(size_t n, uint64_t seed) {
  constexpr float kSpecial[] = {0.0f,    -0.0f,    kInf,    -kInf,   kNan,  0x1p-149f, -0x1p-149f, 0x1p-126f, 88.72284f,
                                88.73f,  -87.4f,   -103.9f, -104.1f, 20.0f, 0.625f,    -0.625f,    1e30f,     -1e30f,
                                3.4e38f, -3.4e38f, 1.0f,    -1.0f,   9.02f, 0.5f,      17.0f};
  Random random(seed);
  std::vector<float> values(n);
  for (float& value : values) {
    const int64_t kind = random.integer(0, 2);
    if (kind == 0) value = kSpecial[random.integer(0, std::ssize(kSpecial) - 1)];
    if (kind == 1) value = random.uniform(-1.0f, 1.0f);
    if (kind == 2) value = random.uniform(-30.0f, 30.0f);
  }
  return values;
}

TEST_CASE("element-wise functions stay within their stated distance of double, over the whole range") {
  // All exponents and both signs with spread mantissas, and the useful range closely.
  std::vector<float> x;
  for (uint64_t pattern = 0; pattern <= 0xffffffffu; pattern += 65521) {
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(pattern)));
  }
  for (int i = -1100000; i <= 1100000; i += 11) x.push_back(static_cast<float>(i) * 1e-4f);
  std::vector<float> y(x.size());
  for_each_available(elementwise_variants(), [&](const auto& variant) {
    for (const Unary& unary : kUnary) {
      (variant.fn->*unary.kernel)(x.data(), x.size(), y.data());
      double worst = 0.0;
      float worst_at = 0.0f;
      for (size_t i = 0; i < x.size(); ++i) {
        const double exact = unary.exact(static_cast<double>(x[i]));
        if (std::fabs(static_cast<double>(y[i]) - exact) <= unary.max_absolute) continue;
        const double error = ulps(y[i], exact);
        if (!(error <= worst)) {
          worst = error;
          worst_at = x[i];
        }
      }
      CAPTURE(variant.name, unary.name, worst_at);
      CHECK(worst <= unary.max_ulps);
    }
  });
}

TEST_CASE("element-wise functions have their limits at infinity and keep NaN") {
  const std::vector<float> x = {kInf, -kInf, kNan, 0.0f, -0.0f};
  const std::vector<std::pair<const char*, std::vector<float>>> expected = {
      {"exp", {kInf, 0.0f, kNan, 1.0f, 1.0f}},          {"sigmoid", {1.0f, 0.0f, kNan, 0.5f, 0.5f}},
      {"tanh", {1.0f, -1.0f, kNan, 0.0f, -0.0f}},       {"silu", {kInf, -0.0f, kNan, 0.0f, -0.0f}},
      {"relu_squared", {kInf, 0.0f, kNan, 0.0f, 0.0f}},
  };
  std::vector<float> y(x.size());
  for_each_available(elementwise_variants(), [&](const auto& variant) {
    for (const Unary& unary : kUnary) {
      for (const auto& [name, values] : expected) {
        if (std::string_view(unary.name) != name) continue;
        (variant.fn->*unary.kernel)(x.data(), x.size(), y.data());
        CAPTURE(variant.name, name);
        for (size_t i = 0; i < x.size(); ++i) {
          CAPTURE(x[i], y[i]);
          // -0 and 0 are told apart only for the odd functions.
          if (values[i] == 0.0f && name != std::string_view("tanh"))
            CHECK(y[i] == 0.0f);
          else
            CHECK(same_bits(y[i], values[i]));
        }
      }
    }
    const float large[] = {20.5f, 50.0f, 1e4f, kInf};
    float result[4];
    variant.fn->softplus(large, 4, result);
    for (size_t i = 0; i < 4; ++i) CHECK(result[i] == large[i]);
  });
}

TEST_CASE("element-wise variants give the scalar bits at every tail, write nothing else, and work in place") {
  const ElementwiseKernels& scalar = *elementwise_variants()[0].fn;
  for_each_available(elementwise_variants(), [&](const auto& variant) {
    for (size_t n = 0; n <= kLargestTail; ++n) {
      CAPTURE(variant.name, n);
      const std::vector<float> a = mixed_arguments(n, 11 + n);
      const std::vector<float> b = mixed_arguments(n, 1011 + n);
      const std::vector<float> c = mixed_arguments(n, 2011 + n);
      std::vector<float> expected(n);
      Guarded<float> y(n, n % 3);
      const auto check = [&](const char* name) {
        CAPTURE(name);
        CHECK(difference(y.span(), expected) == "");
        CHECK(y.intact());
        y.poison();
      };
      for (const Unary& unary : kUnary) {
        (scalar.*unary.kernel)(a.data(), n, expected.data());
        (variant.fn->*unary.kernel)(a.data(), n, y.data());
        check(unary.name);
        std::copy(a.begin(), a.end(), y.data());
        (variant.fn->*unary.kernel)(y.data(), n, y.data());
        check(unary.name);
      }
      for (const auto kernel : {&ElementwiseKernels::add, &ElementwiseKernels::mul, &ElementwiseKernels::mul_silu}) {
        (scalar.*kernel)(a.data(), b.data(), n, expected.data());
        (variant.fn->*kernel)(a.data(), b.data(), n, y.data());
        check("binary");
        std::copy(a.begin(), a.end(), y.data());
        (variant.fn->*kernel)(y.data(), b.data(), n, y.data());
        check("binary, first operand in place");
        std::copy(b.begin(), b.end(), y.data());
        (variant.fn->*kernel)(a.data(), y.data(), n, y.data());
        check("binary, second operand in place");
      }
      scalar.rwkv7_replacement_key(a.data(), b.data(), c.data(), 1, n, expected.data());
      variant.fn->rwkv7_replacement_key(a.data(), b.data(), c.data(), 1, n, y.data());
      check("rwkv7_replacement_key");
      scalar.rwkv7_value_residual(a.data(), b.data(), c.data(), n, expected.data());
      variant.fn->rwkv7_value_residual(a.data(), b.data(), c.data(), n, y.data());
      check("rwkv7_value_residual");
      scalar.add_bias(a.data(), b.data(), 1, n, expected.data());
      variant.fn->add_bias(a.data(), b.data(), 1, n, y.data());
      check("add_bias");
    }
  });
}

TEST_CASE("binary element-wise kernels compute their formulas for several tokens") {
  constexpr size_t kTokens = 3, kChannels = 21;
  Random random(21);
  const std::vector<float> a = random.normals(kTokens * kChannels), b = random.normals(kTokens * kChannels);
  const std::vector<float> row = random.normals(kChannels);
  for_each_available(elementwise_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(a.size());
    const auto check = [&](auto exact) {
      for (size_t i = 0; i < a.size(); ++i) {
        const double expected =
            exact(static_cast<double>(a[i]), static_cast<double>(b[i]), static_cast<double>(row[i % kChannels]));
        CHECK(std::fabs(static_cast<double>(y[i]) - expected) <= 1e-6 * (1.0 + std::fabs(expected)));
      }
    };
    variant.fn->add(a.data(), b.data(), a.size(), y.data());
    check([](double p, double q, double) { return p + q; });
    variant.fn->mul(a.data(), b.data(), a.size(), y.data());
    check([](double p, double q, double) { return p * q; });
    variant.fn->mul_silu(a.data(), b.data(), a.size(), y.data());
    check([](double p, double q, double) { return p * q * exact_sigmoid(q); });
    variant.fn->add_bias(a.data(), row.data(), kTokens, kChannels, y.data());
    check([](double p, double, double r) { return p + r; });
    variant.fn->rwkv7_replacement_key(a.data(), b.data(), row.data(), kTokens, kChannels, y.data());
    check([](double p, double q, double r) { return p * (1.0 + (q - 1.0) * r); });
    variant.fn->rwkv7_value_residual(a.data(), b.data(), b.data(), a.size(), y.data());
    check([](double p, double q, double) { return p + (q - p) * exact_sigmoid(q); });
  });
}

// Two mixes over T tokens, from the row before the first.
std::vector<float> shifted(const ElementwiseKernels& kernels, const float* x, const float* x_prev, size_t n_tokens,
                           size_t n_channels, const std::vector<float>& mix) {
  Guarded<float> first(n_tokens * n_channels), second(n_tokens * n_channels, 1);
  const kernels::TokenShiftMix mixes[] = {{mix.data(), first.data()}, {mix.data() + n_channels, second.data()}};
  kernels.token_shift_lerp(
      {.x = x, .x_prev = x_prev, .n_tokens = n_tokens, .n_channels = n_channels, .mixes = mixes, .n_mixes = 2});
  CHECK(first.intact());
  CHECK(second.intact());
  std::vector<float> result(first.span().begin(), first.span().end());
  result.insert(result.end(), second.span().begin(), second.span().end());
  return result;
}

TEST_CASE("token_shift_lerp mixes each token with the one before it, the same for any split of the tokens") {
  constexpr size_t kTokens = 4;
  for_each_available(elementwise_variants(), [&](const auto& variant) {
    for (size_t n = 1; n <= kLargestTail; ++n) {
      CAPTURE(variant.name, n);
      Random random(300 + n);
      const std::vector<float> x = random.normals(kTokens * n), x_prev = random.normals(n),
                               mix = random.uniforms(2 * n, 0.0f, 1.0f);
      const std::vector<float> got = shifted(*variant.fn, x.data(), x_prev.data(), kTokens, n, mix);
      CHECK(difference(got, shifted(*elementwise_variants()[0].fn, x.data(), x_prev.data(), kTokens, n, mix)) == "");
      for (size_t m = 0; m < 2; ++m) {
        for (size_t t = 0; t < kTokens; ++t) {
          const float* before = t == 0 ? x_prev.data() : &x[(t - 1) * n];
          const std::vector<float> step = shifted(*variant.fn, &x[t * n], before, 1, n, mix);
          for (size_t c = 0; c < n; ++c) {
            const double now = static_cast<double>(x[t * n + c]);
            const double expected = now + (static_cast<double>(before[c]) - now) * static_cast<double>(mix[m * n + c]);
            CHECK(std::fabs(static_cast<double>(got[(m * kTokens + t) * n + c]) - expected) <= 1e-6);
            CHECK(same_bits(got[(m * kTokens + t) * n + c], step[m * n + c]));
          }
        }
      }
    }
  });
}

TEST_CASE("token_shift_ddlerp is token_shift_lerp with interpolations that depend on the token, also in place") {
  constexpr size_t kTokens = 3;
  for_each_available(elementwise_variants(), [&](const auto& variant) {
    for (size_t n = 1; n <= kLargestTail; ++n) {
      CAPTURE(variant.name, n);
      Random random(400 + n);
      const std::vector<float> x = random.normals(kTokens * n), x_prev = random.normals(n);
      const std::vector<float> mix = random.normals(2 * n), offset = random.normals(kTokens * n);
      const auto run = [&](const ElementwiseKernels& kernels) {
        Guarded<float> apart(kTokens * n), in_place(kTokens * n, 1);
        std::copy(offset.begin(), offset.end(), in_place.data());
        const kernels::TokenShiftDdlerpMix mixes[] = {{mix.data(), offset.data(), apart.data()},
                                                      {mix.data() + n, in_place.data(), in_place.data()}};
        kernels.token_shift_ddlerp({.x = x.data(),
                                    .x_prev = x_prev.data(),
                                    .n_tokens = kTokens,
                                    .n_channels = n,
                                    .mixes = mixes,
                                    .n_mixes = 2});
        CHECK((apart.intact() && in_place.intact()));
        std::vector<float> result(apart.span().begin(), apart.span().end());
        result.insert(result.end(), in_place.span().begin(), in_place.span().end());
        return result;
      };
      const std::vector<float> got = run(*variant.fn);
      CHECK(difference(got, run(*elementwise_variants()[0].fn)) == "");
      for (size_t i = 0; i < got.size(); ++i) {
        const size_t m = i / (kTokens * n), at = i % (kTokens * n), c = at % n;
        const double now = static_cast<double>(x[at]);
        const double before = static_cast<double>(at < n ? x_prev[c] : x[at - n]);
        const double share = static_cast<double>(mix[m * n + c]) + static_cast<double>(offset[at]);
        CHECK(std::fabs(static_cast<double>(got[i]) - (now + (before - now) * share)) <= 1e-5);
      }
    }
  });
}

TEST_CASE("rwkv7_add_bonus adds the head's sum times v, per head") {
  constexpr size_t kTokens = 2, kHeads = 3;
  for_each_available(elementwise_variants(), [&](const auto& variant) {
    for (size_t n = 1; n <= 67; ++n) {
      CAPTURE(variant.name, n);
      Random random(500 + n);
      const size_t size = kTokens * kHeads * n;
      const std::vector<float> r = random.normals(size), k = random.normals(size), v = random.normals(size);
      const std::vector<float> start = random.normals(size), r_k = random.normals(kHeads * n);
      std::vector<double> expected(start.begin(), start.end());
      for (size_t row = 0; row < kTokens * kHeads; ++row) {
        double bonus = 0.0;
        for (size_t i = 0; i < n; ++i) {
          bonus += static_cast<double>(r[row * n + i]) * static_cast<double>(k[row * n + i]) *
                   static_cast<double>(r_k[row % kHeads * n + i]);
        }
        for (size_t i = 0; i < n; ++i) expected[row * n + i] += bonus * static_cast<double>(v[row * n + i]);
      }
      const auto run = [&](const ElementwiseKernels& kernels) {
        Guarded<float> y(size);
        std::copy(start.begin(), start.end(), y.data());
        kernels.rwkv7_add_bonus({.r = r.data(),
                                 .k = k.data(),
                                 .v = v.data(),
                                 .r_k = r_k.data(),
                                 .n_tokens = kTokens,
                                 .n_heads = kHeads,
                                 .head_size = n,
                                 .y = y.data()});
        CHECK(y.intact());
        return std::vector<float>(y.span().begin(), y.span().end());
      };
      const std::vector<float> got = run(*variant.fn);
      CHECK(error_over_rms<double>(got, expected) <= kFloatArithmetic);
      CHECK(difference(got, run(*elementwise_variants()[0].fn)) == "");
    }
  });
}

}  // namespace
}  // namespace sutra::test
