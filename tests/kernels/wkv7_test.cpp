#include "kernels/wkv/wkv.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

#include "support/guarded.h"
#include "support/parity.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

using kernels::wkv_variants;

struct Data {
  size_t n_tokens, n_heads, n;
  std::vector<float> r, w, k, v, kk, a, state;
};

// Inputs as a model makes them: decays in (e^−0.61, 1), kk of length 1 per head, a in (0, 1).
Data random_data(size_t n_tokens, size_t n_heads, size_t n, uint64_t seed) {
  Random random(seed);
  const size_t size = n_tokens * n_heads * n;
  Data d{n_tokens,
         n_heads,
         n,
         random.normals(size),
         random.uniforms(size, 0.55f, 1.0f),
         random.normals(size),
         random.normals(size),
         random.normals(size),
         random.uniforms(size, 0.0f, 1.0f),
         random.normals(n_heads * n * n)};
  for (size_t start = 0; start < size; start += n) {
    double squares = 0.0;
    for (size_t i = 0; i < n; ++i)
      squares += static_cast<double>(d.kk[start + i]) * static_cast<double>(d.kk[start + i]);
    for (size_t i = 0; i < n; ++i) d.kk[start + i] /= static_cast<float>(std::sqrt(squares));
  }
  return d;
}

struct Output {
  std::vector<float> y, state;
};

// Tokens [first, last) of the data, from the given state.
Output run(const kernels::WkvKernels* kernels, const Data& d, size_t first, size_t last,
           const std::vector<float>& state) {
  const size_t row = d.n_heads * d.n;
  Guarded<float> y((last - first) * row), s(state.size(), 1);
  std::copy(state.begin(), state.end(), s.data());
  const size_t at = first * row;
  kernels->wkv7({.r = d.r.data() + at,
                 .w = d.w.data() + at,
                 .k = d.k.data() + at,
                 .v = d.v.data() + at,
                 .kk = d.kk.data() + at,
                 .a = d.a.data() + at,
                 .n_tokens = last - first,
                 .n_heads = d.n_heads,
                 .head_size = d.n,
                 .first_head = 0,
                 .last_head = d.n_heads,
                 .state = s.data(),
                 .y = y.data()});
  CHECK(y.intact());
  CHECK(s.intact());
  return {{y.span().begin(), y.span().end()}, {s.span().begin(), s.span().end()}};
}

// S_t = S diag(w) − (S kk)(kk ⊙ a)ᵀ + v kᵀ, y = S r, with the paper's S [value][key], in double.
struct Exact {
  std::vector<double> y, state;
};
Exact oracle(const Data& d) {
  const size_t n = d.n;
  Exact exact{std::vector<double>(d.r.size()), std::vector<double>(d.state.size())};
  for (size_t h = 0; h < d.n_heads; ++h) {
    std::vector<std::vector<double>> S(n, std::vector<double>(n));
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) S[i][j] = static_cast<double>(d.state[(h * n + j) * n + i]);
    }
    for (size_t t = 0; t < d.n_tokens; ++t) {
      const size_t at = (t * d.n_heads + h) * n;
      const auto in = [&](const std::vector<float>& values, size_t i) { return static_cast<double>(values[at + i]); };
      for (size_t i = 0; i < n; ++i) {
        double removed = 0.0, y = 0.0;
        for (size_t j = 0; j < n; ++j) removed += S[i][j] * in(d.kk, j);
        for (size_t j = 0; j < n; ++j) {
          S[i][j] = S[i][j] * in(d.w, j) - removed * in(d.kk, j) * in(d.a, j) + in(d.v, i) * in(d.k, j);
          y += S[i][j] * in(d.r, j);
        }
        exact.y[at + i] = y;
      }
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) exact.state[(h * n + j) * n + i] = S[i][j];
    }
  }
  return exact;
}

TEST_CASE("wkv7 agrees with double and gives the scalar bits at every head size") {
  for_each_available(wkv_variants(), [&](const auto& variant) {
    for (size_t n = 1; n <= 130; n += n < 67 ? 1 : 21) {
      CAPTURE(variant.name, n);
      const Data data = random_data(4, 2, n, 1100 + n);
      const Output got = run(variant.fn, data, 0, 4, data.state);
      const Exact exact = oracle(data);
      CHECK(error_over_rms<double>(got.y, exact.y) <= kFloatArithmetic);
      CHECK(error_over_rms<double>(got.state, exact.state) <= kFloatArithmetic);
      const Output scalar = run(wkv_variants()[0].fn, data, 0, 4, data.state);
      CHECK(difference(got.y, scalar.y) == "");
      CHECK(difference(got.state, scalar.state) == "");
    }
  });
}

TEST_CASE("wkv7 gives the same bits for any split of the tokens") {
  for_each_available(wkv_variants(), [&](const auto& variant) {
    for (const size_t n : {size_t{5}, size_t{32}, size_t{64}}) {
      const Data data = random_data(9, 2, n, 81);
      const Output whole = run(variant.fn, data, 0, 9, data.state);
      for (size_t split = 0; split <= 9; ++split) {
        CAPTURE(variant.name, n, split);
        Output first = run(variant.fn, data, 0, split, data.state);
        const Output second = run(variant.fn, data, split, 9, first.state);
        first.y.insert(first.y.end(), second.y.begin(), second.y.end());
        CHECK(difference(first.y, whole.y) == "");
        CHECK(difference(second.state, whole.state) == "");
      }
      Output steps{{}, data.state};
      for (size_t t = 0; t < 9; ++t) {
        const Output step = run(variant.fn, data, t, t + 1, steps.state);
        steps.y.insert(steps.y.end(), step.y.begin(), step.y.end());
        steps.state = step.state;
      }
      CHECK(difference(steps.y, whole.y) == "");
      CHECK(difference(steps.state, whole.state) == "");
    }
  });
}

TEST_CASE("wkv7 touches only the heads of its range") {
  constexpr size_t kHeads = 4, kN = 12;
  for_each_available(wkv_variants(), [&](const auto& variant) {
    const Data d = random_data(3, kHeads, kN, 82);
    const Output whole = run(variant.fn, d, 0, 3, d.state);
    for (size_t first = 0; first <= kHeads; ++first) {
      for (size_t last = first; last <= kHeads; ++last) {
        CAPTURE(variant.name, first, last);
        std::vector<float> state = d.state;
        Guarded<float> y(d.r.size());
        variant.fn->wkv7({.r = d.r.data(),
                          .w = d.w.data(),
                          .k = d.k.data(),
                          .v = d.v.data(),
                          .kk = d.kk.data(),
                          .a = d.a.data(),
                          .n_tokens = 3,
                          .n_heads = kHeads,
                          .head_size = kN,
                          .first_head = first,
                          .last_head = last,
                          .state = state.data(),
                          .y = y.data()});
        bool right = y.intact();
        for (size_t i = 0; i < y.size(); ++i) {
          const size_t head = i / kN % kHeads;
          right = right && (head >= first && head < last ? same_bits(y[i], whole.y[i]) : std::isnan(y[i]));
        }
        for (size_t i = 0; i < state.size(); ++i) {
          const size_t head = i / (kN * kN);
          right = right && same_bits(state[i], head >= first && head < last ? whole.state[i] : d.state[i]);
        }
        CHECK(right);
      }
    }
  });
}

TEST_CASE("wkv7 forgets nothing with decay 1 and everything with decay 0") {
  for_each_available(wkv_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    Data data = random_data(1, 1, 16, 83);
    std::fill(data.kk.begin(), data.kk.end(), 0.0f);
    std::fill(data.k.begin(), data.k.end(), 0.0f);
    std::fill(data.w.begin(), data.w.end(), 1.0f);
    CHECK(difference(run(variant.fn, data, 0, 1, data.state).state, data.state) == "");
    std::fill(data.w.begin(), data.w.end(), 0.0f);
    for (const float value : run(variant.fn, data, 0, 1, data.state).y) CHECK(value == 0.0f);
  });
}

}  // namespace
}  // namespace sutra::test
