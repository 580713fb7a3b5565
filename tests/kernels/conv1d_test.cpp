#include "kernels/conv1d/conv1d.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

#include "support/guarded.h"
#include "support/parity.h"
#include "support/random.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

using kernels::conv1d_variants;
using kernels::Conv1dActivation;
using kernels::Conv1dArgs;
using kernels::Conv1dKernel;

struct Data {
  size_t n_tokens, n_channels, n_taps, x_stride;
  std::vector<float> x, weight, bias, state;
};

// x lies in rows twice as wide, as in_proj leaves it.
Data random_data(size_t n_tokens, size_t n_channels, size_t n_taps, uint64_t seed) {
  Random random(seed);
  return {n_tokens,
          n_channels,
          n_taps,
          2 * n_channels,
          random.normals(n_tokens * 2 * n_channels),
          random.normals(n_taps * n_channels),
          random.normals(n_channels),
          random.normals(n_taps * n_channels)};
}

Conv1dArgs arguments(const Data& d, size_t first, size_t last, bool full) {
  return {.x = d.x.data() + first * d.x_stride,
          .x_stride = d.x_stride,
          .n_tokens = last - first,
          .n_channels = d.n_channels,
          .n_taps = d.n_taps,
          .first_channel = 0,
          .last_channel = d.n_channels,
          .weight = d.weight.data(),
          .bias = full ? d.bias.data() : nullptr,
          .activation = full ? Conv1dActivation::kSilu : Conv1dActivation::kNone,
          .state = nullptr,
          .y = nullptr};
}

struct Output {
  std::vector<float> y, state;
};

// `full`: with bias and silu.
Output run(Conv1dKernel kernel, const Data& d, size_t first, size_t last, const std::vector<float>& state,
           bool full = true) {
  Guarded<float> y((last - first) * d.n_channels), s(state.size(), 1);
  std::copy(state.begin(), state.end(), s.data());
  Conv1dArgs args = arguments(d, first, last, full);
  args.state = s.data();
  args.y = y.data();
  kernel(args);
  CHECK(y.intact());
  CHECK(s.intact());
  return {{y.span().begin(), y.span().end()}, {s.span().begin(), s.span().end()}};
}

// The last inputs of a channel: the state's rows, then x.
double input_at(const Data& d, size_t channel, size_t index) {
  return static_cast<double>(index < d.n_taps ? d.state[index * d.n_channels + channel]
                                              : d.x[(index - d.n_taps) * d.x_stride + channel]);
}

std::vector<double> oracle(const Data& d, bool full) {
  std::vector<double> exact(d.n_tokens * d.n_channels);
  for (size_t t = 0; t < d.n_tokens; ++t) {
    for (size_t c = 0; c < d.n_channels; ++c) {
      double y = full ? static_cast<double>(d.bias[c]) : 0.0;
      for (size_t k = 0; k < d.n_taps; ++k) {
        y += static_cast<double>(d.weight[k * d.n_channels + c]) * input_at(d, c, t + 1 + k);
      }
      exact[t * d.n_channels + c] = full ? y / (1.0 + std::exp(-y)) : y;
    }
  }
  return exact;
}

TEST_CASE("conv1d agrees with double, keeps the last raw inputs and gives the scalar bits at every width") {
  for_each_available(conv1d_variants(), [&](const auto& variant) {
    for (size_t n_channels = 1; n_channels <= 150; n_channels += n_channels < 33 ? 1 : 39) {
      for (const size_t n_taps : {size_t{1}, size_t{2}, size_t{4}, size_t{7}}) {
        for (const bool full : {false, true}) {
          CAPTURE(variant.name, n_channels, n_taps, full);
          const Data data = random_data(5, n_channels, n_taps, 1500 + n_channels);
          const Output got = run(variant.fn, data, 0, 5, data.state, full);
          CHECK(error_over_rms<double>(got.y, oracle(data, full)) <= kFloatArithmetic);
          bool state_right = true;
          for (size_t k = 0; k < n_taps; ++k) {
            for (size_t c = 0; c < n_channels; ++c) {
              state_right = state_right &&
                            static_cast<double>(got.state[k * n_channels + c]) == input_at(data, c, data.n_tokens + k);
            }
          }
          CHECK(state_right);
          const Output scalar = run(conv1d_variants()[0].fn, data, 0, 5, data.state, full);
          CHECK(difference(got.y, scalar.y) == "");
          CHECK(difference(got.state, scalar.state) == "");
        }
      }
    }
  });
}

TEST_CASE("conv1d gives the same bits for any split of the tokens") {
  for_each_available(conv1d_variants(), [&](const auto& variant) {
    const Data data = random_data(9, 21, 4, 94);
    const Output whole = run(variant.fn, data, 0, 9, data.state);
    for (size_t split = 0; split <= 9; ++split) {
      CAPTURE(variant.name, split);
      Output first = run(variant.fn, data, 0, split, data.state);
      const Output second = run(variant.fn, data, split, 9, first.state);
      first.y.insert(first.y.end(), second.y.begin(), second.y.end());
      CHECK(difference(first.y, whole.y) == "");
      CHECK(difference(second.state, whole.state) == "");
    }
  });
}

TEST_CASE("conv1d touches only the channels of its range") {
  constexpr size_t kChannels = 19;
  for_each_available(conv1d_variants(), [&](const auto& variant) {
    const Data data = random_data(3, kChannels, 4, 95);
    const Output whole = run(variant.fn, data, 0, 3, data.state);
    for (size_t first = 0; first <= kChannels; ++first) {
      for (size_t last = first; last <= kChannels; ++last) {
        CAPTURE(variant.name, first, last);
        std::vector<float> state = data.state;
        Guarded<float> y(3 * kChannels);
        Conv1dArgs args = arguments(data, 0, 3, true);
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

}  // namespace
}  // namespace sutra::test
