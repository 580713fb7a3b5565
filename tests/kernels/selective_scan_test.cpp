#include "kernels/selective_scan/selective_scan.h"

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

using kernels::selective_scan_variants;
using kernels::SelectiveScanArgs;
using kernels::SelectiveScanKernel;

struct Data {
  size_t n_tokens, n_channels, n_state;
  size_t bc_stride, z_stride;
  std::vector<float> u, dt, A, bc, D, z, state;
};

// B, C and z lie in wider rows, as the projections leave them.
Data random_data(size_t n_tokens, size_t n_channels, size_t n_state, uint64_t seed) {
  Random random(seed);
  const size_t bc_stride = 2 * n_state + 3;
  const size_t z_stride = 2 * n_channels;
  const size_t size = n_tokens * n_channels;
  return {n_tokens,
          n_channels,
          n_state,
          bc_stride,
          z_stride,
          random.normals(size),
          random.uniforms(size, 1e-3f, 1.0f),
          random.uniforms(n_state * n_channels, -16.0f, -0.5f),
          random.normals(n_tokens * bc_stride),
          random.normals(n_channels),
          random.normals(n_tokens * z_stride),
          random.normals(n_state * n_channels)};
}

SelectiveScanArgs arguments(const Data& d, size_t first, size_t last, bool gated) {
  return {.u = d.u.data() + first * d.n_channels,
          .dt = d.dt.data() + first * d.n_channels,
          .A = d.A.data(),
          .B = d.bc.data() + first * d.bc_stride + 3,
          .C = d.bc.data() + first * d.bc_stride + 3 + d.n_state,
          .bc_stride = d.bc_stride,
          .D = d.D.data(),
          .z = gated ? d.z.data() + first * d.z_stride + d.n_channels : nullptr,
          .z_stride = d.z_stride,
          .n_tokens = last - first,
          .n_channels = d.n_channels,
          .n_state = d.n_state,
          .first_channel = 0,
          .last_channel = d.n_channels,
          .state = nullptr,
          .y = nullptr};
}

struct Output {
  std::vector<float> y, state;
};

Output run(SelectiveScanKernel kernel, const Data& d, size_t first, size_t last, const std::vector<float>& state,
           bool gated = true) {
  Guarded<float> y((last - first) * d.n_channels), h(state.size(), 1);
  std::copy(state.begin(), state.end(), h.data());
  SelectiveScanArgs args = arguments(d, first, last, gated);
  args.state = h.data();
  args.y = y.data();
  kernel(args);
  CHECK(y.intact());
  CHECK(h.intact());
  return {{y.span().begin(), y.span().end()}, {h.span().begin(), h.span().end()}};
}

struct Exact {
  std::vector<double> y, state;
};
Exact oracle(const Data& d, bool gated) {
  Exact exact{std::vector<double>(d.u.size()), {d.state.begin(), d.state.end()}};
  for (size_t t = 0; t < d.n_tokens; ++t) {
    for (size_t c = 0; c < d.n_channels; ++c) {
      const double u = static_cast<double>(d.u[t * d.n_channels + c]);
      const double dt = static_cast<double>(d.dt[t * d.n_channels + c]);
      double y = static_cast<double>(d.D[c]) * u;
      for (size_t s = 0; s < d.n_state; ++s) {
        double& h = exact.state[s * d.n_channels + c];
        h = std::exp(dt * static_cast<double>(d.A[s * d.n_channels + c])) * h +
            dt * u * static_cast<double>(d.bc[t * d.bc_stride + 3 + s]);
        y += static_cast<double>(d.bc[t * d.bc_stride + 3 + d.n_state + s]) * h;
      }
      const double z = static_cast<double>(d.z[t * d.z_stride + d.n_channels + c]);
      exact.y[t * d.n_channels + c] = gated ? y * z / (1.0 + std::exp(-z)) : y;
    }
  }
  return exact;
}

TEST_CASE("selective_scan agrees with double and gives the scalar bits for every number of channels and states") {
  for_each_available(selective_scan_variants(), [&](const auto& variant) {
    for (size_t n_channels = 1; n_channels <= 33; ++n_channels) {
      for (const size_t n_state : {size_t{0}, size_t{1}, size_t{5}, size_t{16}, size_t{17}, size_t{37}}) {
        for (const bool gated : {false, true}) {
          CAPTURE(variant.name, n_channels, n_state, gated);
          const Data data = random_data(4, n_channels, n_state, 1300 + n_channels);
          const Output got = run(variant.fn, data, 0, 4, data.state, gated);
          const Exact exact = oracle(data, gated);
          CHECK(error_over_rms<double>(got.y, exact.y) <= kFloatArithmetic);
          CHECK(error_over_rms<double>(got.state, exact.state) <= kFloatArithmetic);
          const Output scalar = run(selective_scan_variants()[0].fn, data, 0, 4, data.state, gated);
          CHECK(difference(got.y, scalar.y) == "");
          CHECK(difference(got.state, scalar.state) == "");
        }
      }
    }
  });
}

// The variants take a shorter exponential where a bound allows it: mixed here with exponents on and beyond the bound.
TEST_CASE("selective_scan gives the scalar bits over several blocks of channels, whatever the exponents") {
  constexpr size_t kChannels = 150;
  Data data = random_data(3, kChannels, 16, 1777);
  Random random(1778);
  for (size_t c = 0; c < kChannels; ++c) {
    if (c % 3 == 0) continue;
    for (size_t s = 0; s < 16; ++s) data.A[s * kChannels + c] = random.uniform(-120.0f, c % 3 == 1 ? 0.0f : 120.0f);
    data.dt[kChannels + c] = c % 2 == 0 ? -1.0f : 0.75f;
  }
  data.A[7 * kChannels + 4] = std::numeric_limits<float>::quiet_NaN();
  data.A[0] = -std::numeric_limits<float>::infinity();
  data.dt[0] = 0.0f;
  for_each_available(selective_scan_variants(), [&](const auto& variant) {
    for (const size_t n_tokens : {size_t{1}, size_t{3}}) {
      CAPTURE(variant.name, n_tokens);
      const Output got = run(variant.fn, data, 0, n_tokens, data.state);
      const Output scalar = run(selective_scan_variants()[0].fn, data, 0, n_tokens, data.state);
      CHECK(difference(got.y, scalar.y) == "");
      CHECK(difference(got.state, scalar.state) == "");
    }
  });
}

TEST_CASE("selective_scan gives the same bits for any split of the tokens") {
  for_each_available(selective_scan_variants(), [&](const auto& variant) {
    for (const size_t n_state : {size_t{16}, size_t{20}}) {
      const Data data = random_data(9, 21, n_state, 91);
      const Output whole = run(variant.fn, data, 0, 9, data.state);
      for (size_t split = 0; split <= 9; ++split) {
        CAPTURE(variant.name, n_state, split);
        Output first = run(variant.fn, data, 0, split, data.state);
        const Output second = run(variant.fn, data, split, 9, first.state);
        first.y.insert(first.y.end(), second.y.begin(), second.y.end());
        CHECK(difference(first.y, whole.y) == "");
        CHECK(difference(second.state, whole.state) == "");
      }
    }
  });
}

TEST_CASE("selective_scan touches only the channels of its range") {
  constexpr size_t kChannels = 19;
  for_each_available(selective_scan_variants(), [&](const auto& variant) {
    const Data data = random_data(3, kChannels, 16, 92);
    const Output whole = run(variant.fn, data, 0, 3, data.state);
    for (size_t first = 0; first <= kChannels; ++first) {
      for (size_t last = first; last <= kChannels; ++last) {
        CAPTURE(variant.name, first, last);
        std::vector<float> state = data.state;
        Guarded<float> y(data.u.size());
        SelectiveScanArgs args = arguments(data, 0, 3, true);
        args.first_channel = first;
        args.last_channel = last;
        args.state = state.data();
        args.y = y.data();
        variant.fn(args);
        bool right = y.intact();
        for (size_t i = 0; i < y.size(); ++i) {
          const bool inside = i % kChannels >= first && i % kChannels < last;
          right = right && (inside ? same_bits(y[i], whole.y[i]) : std::isnan(y[i]));
        }
        for (size_t i = 0; i < state.size(); ++i) {
          const bool inside = i % kChannels >= first && i % kChannels < last;
          right = right && same_bits(state[i], inside ? whole.state[i] : data.state[i]);
        }
        CHECK(right);
      }
    }
  });
}

TEST_CASE("selective_scan keeps its state at dt = 0 and forgets it at a large dt, without NaN") {
  for_each_available(selective_scan_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    Data data = random_data(1, 9, 16, 93);
    std::fill(data.dt.begin(), data.dt.end(), 0.0f);
    CHECK(difference(run(variant.fn, data, 0, 1, data.state).state, data.state) == "");
    std::fill(data.dt.begin(), data.dt.end(), 1e4f);
    std::fill(data.u.begin(), data.u.end(), 0.0f);
    for (const float value : run(variant.fn, data, 0, 1, data.state).state) CHECK(value == 0.0f);
  });
}

}  // namespace
}  // namespace sutra::test
