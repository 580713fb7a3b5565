#include "kernels/ssd/ssd.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

#include "support/guarded.h"
#include "support/parity.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

using kernels::ssd_variants;
using kernels::SsdArgs;
using kernels::SsdKernel;

constexpr size_t kHeads = 4, kGroups = 2;

struct Data {
  size_t n_tokens, n_values, n_state, stride;
  std::vector<float> xBC, dt, A, D, state;
};

// x, B and C lie in one row, as the convolution leaves them, with something before, between and after.
Data random_data(size_t n_tokens, size_t n_values, size_t n_state, uint64_t seed) {
  Random random(seed);
  const size_t stride = kHeads * n_values + 2 * kGroups * n_state + 5;
  return {n_tokens,
          n_values,
          n_state,
          stride,
          random.normals(n_tokens * stride),
          random.uniforms(n_tokens * kHeads, 1e-3f, 1.0f),
          random.uniforms(kHeads, -16.0f, -0.5f),
          random.normals(kHeads),
          random.normals(kHeads * n_state * n_values)};
}

SsdArgs arguments(const Data& d, size_t first, size_t last) {
  const float* row = d.xBC.data() + first * d.stride;
  const float* B = row + kHeads * d.n_values + 2;
  return {.x = row + 1,
          .B = B,
          .C = B + kGroups * d.n_state,
          .stride = d.stride,
          .dt = d.dt.data() + first * kHeads,
          .A = d.A.data(),
          .D = d.D.data(),
          .n_tokens = last - first,
          .n_heads = kHeads,
          .head_dim = d.n_values,
          .n_state = d.n_state,
          .n_groups = kGroups,
          .first_head = 0,
          .last_head = kHeads,
          .state = nullptr,
          .y = nullptr};
}

struct Output {
  std::vector<float> y, state;
};

// Tokens [first, last) of the data, from the given state.
Output run(SsdKernel kernel, const Data& d, size_t first, size_t last, const std::vector<float>& state) {
  Guarded<float> y((last - first) * kHeads * d.n_values), s(state.size(), 1);
  std::copy(state.begin(), state.end(), s.data());
  SsdArgs args = arguments(d, first, last);
  args.state = s.data();
  args.y = y.data();
  kernel(args);
  CHECK(y.intact());
  CHECK(s.intact());
  return {{y.span().begin(), y.span().end()}, {s.span().begin(), s.span().end()}};
}

// h = exp(dt A) h + dt x Bᵀ, y = h C + D x, with the checkpoints' h [value][state], in double.
struct Exact {
  std::vector<double> y, state;
};
Exact oracle(const Data& d) {
  Exact exact{std::vector<double>(d.n_tokens * kHeads * d.n_values), {d.state.begin(), d.state.end()}};
  const SsdArgs args = arguments(d, 0, d.n_tokens);
  for (size_t t = 0; t < d.n_tokens; ++t) {
    for (size_t h = 0; h < kHeads; ++h) {
      const size_t g = h < kHeads / kGroups ? 0 : 1;
      const double dt = static_cast<double>(d.dt[t * kHeads + h]);
      const double decay = std::exp(dt * static_cast<double>(d.A[h]));
      for (size_t p = 0; p < d.n_values; ++p) {
        const auto x = static_cast<double>(args.x[t * d.stride + h * d.n_values + p]);
        double y = static_cast<double>(d.D[h]) * x;
        for (size_t s = 0; s < d.n_state; ++s) {
          double& state = exact.state[(h * d.n_state + s) * d.n_values + p];
          state = decay * state + dt * x * static_cast<double>(args.B[t * d.stride + g * d.n_state + s]);
          y += state * static_cast<double>(args.C[t * d.stride + g * d.n_state + s]);
        }
        exact.y[(t * kHeads + h) * d.n_values + p] = y;
      }
    }
  }
  return exact;
}

TEST_CASE("ssd agrees with double and gives the scalar bits for every head size") {
  for_each_available(ssd_variants(), [&](const auto& variant) {
    for (size_t n_values = 1; n_values <= 130; n_values += n_values < 67 ? 1 : 21) {
      for (const size_t n_state : {size_t{1}, size_t{16}, size_t{21}}) {
        CAPTURE(variant.name, n_values, n_state);
        const Data data = random_data(4, n_values, n_state, 2100 + n_values);
        const Output got = run(variant.fn, data, 0, 4, data.state);
        const Exact exact = oracle(data);
        CHECK(error_over_rms<double>(got.y, exact.y) <= kFloatArithmetic);
        CHECK(error_over_rms<double>(got.state, exact.state) <= kFloatArithmetic);
        const Output scalar = run(ssd_variants()[0].fn, data, 0, 4, data.state);
        CHECK(difference(got.y, scalar.y) == "");
        CHECK(difference(got.state, scalar.state) == "");
      }
    }
  });
}

TEST_CASE("ssd gives the same bits for any split of the tokens") {
  for_each_available(ssd_variants(), [&](const auto& variant) {
    for (const size_t n_values : {size_t{5}, size_t{64}}) {
      const Data data = random_data(9, n_values, 16, 91);
      const Output whole = run(variant.fn, data, 0, 9, data.state);
      for (size_t split = 0; split <= 9; ++split) {
        CAPTURE(variant.name, n_values, split);
        Output first = run(variant.fn, data, 0, split, data.state);
        const Output second = run(variant.fn, data, split, 9, first.state);
        first.y.insert(first.y.end(), second.y.begin(), second.y.end());
        CHECK(difference(first.y, whole.y) == "");
        CHECK(difference(second.state, whole.state) == "");
      }
    }
  });
}

TEST_CASE("ssd touches only the heads of its range") {
  for_each_available(ssd_variants(), [&](const auto& variant) {
    const Data d = random_data(3, 12, 7, 92);
    const Output whole = run(variant.fn, d, 0, 3, d.state);
    for (size_t first = 0; first <= kHeads; ++first) {
      for (size_t last = first; last <= kHeads; ++last) {
        CAPTURE(variant.name, first, last);
        std::vector<float> state = d.state;
        Guarded<float> y(whole.y.size());
        SsdArgs args = arguments(d, 0, 3);
        args.first_head = first;
        args.last_head = last;
        args.state = state.data();
        args.y = y.data();
        variant.fn(args);
        bool right = y.intact();
        for (size_t i = 0; i < y.size(); ++i) {
          const size_t head = i / d.n_values % kHeads;
          right = right && (head >= first && head < last ? same_bits(y[i], whole.y[i]) : std::isnan(y[i]));
        }
        for (size_t i = 0; i < state.size(); ++i) {
          const size_t head = i / (d.n_values * d.n_state);
          right = right && same_bits(state[i], head >= first && head < last ? whole.state[i] : d.state[i]);
        }
        CHECK(right);
      }
    }
  });
}

TEST_CASE("ssd forgets nothing with a step of zero") {
  for_each_available(ssd_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    Data data = random_data(1, 16, 8, 93);
    std::fill(data.dt.begin(), data.dt.end(), 0.0f);
    CHECK(difference(run(variant.fn, data, 0, 1, data.state).state, data.state) == "");
  });
}

}  // namespace
}  // namespace sutra::test
