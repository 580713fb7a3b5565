#include "kernels/wkv/wkv6.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

#include "kernels/wkv/wkv.h"
#include "support/guarded.h"
#include "support/parity.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

using kernels::wkv_variants;

struct Data {
  size_t n_tokens, n_heads, n;
  std::vector<float> r, w, u, k, v, state;
};

Data random_data(size_t n_tokens, size_t n_heads, size_t n, uint64_t seed) {
  Random random(seed);
  const size_t size = n_tokens * n_heads * n;
  return {n_tokens,
          n_heads,
          n,
          random.normals(size),
          random.uniforms(size, 0.05f, 1.0f),
          random.normals(n_heads * n),
          random.normals(size),
          random.normals(size),
          random.normals(n_heads * n * n)};
}

struct Output {
  std::vector<float> y, state;
};

enum class Decay : uint8_t { kPerToken, kConstant };

// Tokens [first, last) of heads [first_head, last_head), from the given state.
Output run(const kernels::WkvKernels* kernels, const Data& d, Decay decay, size_t first, size_t last,
           const std::vector<float>& state, size_t first_head, size_t last_head) {
  const size_t row = d.n_heads * d.n;
  const size_t w_stride = decay == Decay::kPerToken ? row : 0;
  Guarded<float> y((last - first) * row), s(state.size(), 1);
  std::copy(state.begin(), state.end(), s.data());
  kernels->wkv6({.r = d.r.data() + first * row,
                 .w = d.w.data() + first * w_stride,
                 .w_stride = w_stride,
                 .u = d.u.data(),
                 .k = d.k.data() + first * row,
                 .v = d.v.data() + first * row,
                 .n_tokens = last - first,
                 .n_heads = d.n_heads,
                 .head_size = d.n,
                 .first_head = first_head,
                 .last_head = last_head,
                 .state = s.data(),
                 .y = y.data()});
  CHECK(y.intact());
  CHECK(s.intact());
  return {{y.span().begin(), y.span().end()}, {s.span().begin(), s.span().end()}};
}

Output run_all(const kernels::WkvKernels* kernels, const Data& d, Decay decay) {
  return run(kernels, d, decay, 0, d.n_tokens, d.state, 0, d.n_heads);
}

// y = (S + (u ⊙ k) vᵀ)ᵀ r, S ← diag(w) S + k vᵀ, in double.
struct Exact {
  std::vector<double> y, state;
};
Exact oracle(const Data& d, Decay decay) {
  const size_t n = d.n;
  Exact exact{std::vector<double>(d.r.size()), std::vector<double>(d.state.begin(), d.state.end())};
  for (size_t h = 0; h < d.n_heads; ++h) {
    double* S = exact.state.data() + h * n * n;
    for (size_t t = 0; t < d.n_tokens; ++t) {
      const size_t at = (t * d.n_heads + h) * n;
      const float* w = d.w.data() + (decay == Decay::kPerToken ? at : h * n);
      for (size_t i = 0; i < n; ++i) {
        double y = 0.0;
        for (size_t j = 0; j < n; ++j) {
          const double kv = static_cast<double>(d.k[at + j]) * static_cast<double>(d.v[at + i]);
          y += (S[j * n + i] + static_cast<double>(d.u[h * n + j]) * kv) * static_cast<double>(d.r[at + j]);
          S[j * n + i] = S[j * n + i] * static_cast<double>(w[j]) + kv;
        }
        exact.y[at + i] = y;
      }
    }
  }
  return exact;
}

TEST_CASE("wkv6 agrees with double and gives the scalar bits at every head size, for both kinds of decay") {
  for_each_available(wkv_variants(), [&](const auto& variant) {
    for (const Decay decay : {Decay::kPerToken, Decay::kConstant}) {
      for (size_t n = 1; n <= 130; n += n < 67 ? 1 : 21) {
        CAPTURE(variant.name, n);
        const Data data = random_data(4, 2, n, 6100 + n);
        const Output got = run_all(variant.fn, data, decay);
        const Exact exact = oracle(data, decay);
        CHECK(error_over_rms<double>(got.y, exact.y) <= kFloatArithmetic);
        CHECK(error_over_rms<double>(got.state, exact.state) <= kFloatArithmetic);
        const Output scalar = run_all(wkv_variants()[0].fn, data, decay);
        CHECK(difference(got.y, scalar.y) == "");
        CHECK(difference(got.state, scalar.state) == "");
      }
    }
  });
}

TEST_CASE("wkv6 gives the same bits for any split of the tokens") {
  for_each_available(wkv_variants(), [&](const auto& variant) {
    for (const size_t n : {size_t{5}, size_t{32}, size_t{64}}) {
      const Data data = random_data(7, 2, n, 61);
      const Output whole = run_all(variant.fn, data, Decay::kPerToken);
      for (size_t split = 0; split <= 7; ++split) {
        CAPTURE(variant.name, n, split);
        Output first = run(variant.fn, data, Decay::kPerToken, 0, split, data.state, 0, 2);
        const Output second = run(variant.fn, data, Decay::kPerToken, split, 7, first.state, 0, 2);
        first.y.insert(first.y.end(), second.y.begin(), second.y.end());
        CHECK(difference(first.y, whole.y) == "");
        CHECK(difference(second.state, whole.state) == "");
      }
    }
  });
}

TEST_CASE("wkv6 touches only the heads of its range") {
  constexpr size_t kHeads = 3, kN = 12;
  for_each_available(wkv_variants(), [&](const auto& variant) {
    const Data d = random_data(3, kHeads, kN, 62);
    const Output whole = run_all(variant.fn, d, Decay::kPerToken);
    for (size_t first = 0; first <= kHeads; ++first) {
      for (size_t last = first; last <= kHeads; ++last) {
        CAPTURE(variant.name, first, last);
        const Output part = run(variant.fn, d, Decay::kPerToken, 0, 3, d.state, first, last);
        bool right = true;
        for (size_t i = 0; i < part.y.size(); ++i) {
          const size_t head = i / kN % kHeads;
          right = right && (head >= first && head < last ? same_bits(part.y[i], whole.y[i]) : std::isnan(part.y[i]));
        }
        for (size_t i = 0; i < part.state.size(); ++i) {
          const size_t head = i / (kN * kN);
          right = right && same_bits(part.state[i], head >= first && head < last ? whole.state[i] : d.state[i]);
        }
        CHECK(right);
      }
    }
  });
}

}  // namespace
}  // namespace sutra::test
