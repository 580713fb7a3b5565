#include "kernels/wkv/wkv4.h"

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
  size_t n_tokens, n_channels;
  std::vector<float> w, u, k, v;
};

Data random_data(size_t n_tokens, size_t n_channels, uint64_t seed) {
  Random random(seed);
  return {n_tokens,
          n_channels,
          random.uniforms(n_channels, -4.0f, -1e-3f),
          random.normals(n_channels),
          random.normals(n_tokens * n_channels),
          random.normals(n_tokens * n_channels)};
}

struct Memory {
  std::vector<float> aa, bb, pp;
  explicit Memory(size_t n_channels) : aa(n_channels), bb(n_channels), pp(n_channels, kernels::kWkv4InitialExponent) {}
};

// Tokens [first, last) of the data, channels [first_channel, last_channel).
std::vector<float> run(const kernels::WkvKernels* kernels, const Data& d, size_t first, size_t last, Memory& memory,
                       size_t first_channel, size_t last_channel) {
  const size_t n = d.n_channels;
  Guarded<float> y((last - first) * n), aa(n, 1), bb(n, 2), pp(n);
  std::copy(memory.aa.begin(), memory.aa.end(), aa.data());
  std::copy(memory.bb.begin(), memory.bb.end(), bb.data());
  std::copy(memory.pp.begin(), memory.pp.end(), pp.data());
  kernels->wkv4({.w = d.w.data(),
                 .u = d.u.data(),
                 .k = d.k.data() + first * n,
                 .v = d.v.data() + first * n,
                 .n_tokens = last - first,
                 .n_channels = n,
                 .first_channel = first_channel,
                 .last_channel = last_channel,
                 .aa = aa.data(),
                 .bb = bb.data(),
                 .pp = pp.data(),
                 .y = y.data()});
  CHECK((y.intact() && aa.intact() && bb.intact() && pp.intact()));
  std::copy_n(aa.data(), n, memory.aa.begin());
  std::copy_n(bb.data(), n, memory.bb.begin());
  std::copy_n(pp.data(), n, memory.pp.begin());
  return {y.span().begin(), y.span().end()};
}

// The sums as the paper writes them, without a running maximum: Σ e^{(t−1−i)w + k_i} v_i + e^{u + k_t} v_t over the same
// without v.
std::vector<double> oracle(const Data& d) {
  const size_t n = d.n_channels;
  std::vector<double> y(d.k.size());
  for (size_t c = 0; c < n; ++c) {
    for (size_t t = 0; t < d.n_tokens; ++t) {
      double numerator = 0, denominator = 0;
      const auto add = [&](double exponent, size_t i) {
        numerator += std::exp(exponent) * static_cast<double>(d.v[i * n + c]);
        denominator += std::exp(exponent);
      };
      for (size_t i = 0; i < t; ++i) {
        add(static_cast<double>(t - 1 - i) * static_cast<double>(d.w[c]) + static_cast<double>(d.k[i * n + c]), i);
      }
      add(static_cast<double>(d.u[c]) + static_cast<double>(d.k[t * n + c]), t);
      y[t * n + c] = numerator / denominator;
    }
  }
  return y;
}

TEST_CASE("wkv4 agrees with the paper's sums in double and gives the scalar bits at every tail") {
  for_each_available(wkv_variants(), [&](const auto& variant) {
    for (size_t n = 1; n <= 67; ++n) {
      CAPTURE(variant.name, n);
      const Data data = random_data(9, n, 4100 + n);
      Memory memory(n), scalar_memory(n);
      const std::vector<float> got = run(variant.fn, data, 0, 9, memory, 0, n);
      CHECK(error_over_rms<double>(got, oracle(data)) <= kFloatArithmetic);
      CHECK(difference(got, run(wkv_variants()[0].fn, data, 0, 9, scalar_memory, 0, n)) == "");
      CHECK(difference(memory.aa, scalar_memory.aa) == "");
      CHECK(difference(memory.bb, scalar_memory.bb) == "");
      CHECK(difference(memory.pp, scalar_memory.pp) == "");
    }
  });
}

TEST_CASE("wkv4 gives the same bits for any split of tokens and channels") {
  constexpr size_t kTokens = 6, kChannels = 35;
  for_each_available(wkv_variants(), [&](const auto& variant) {
    const Data data = random_data(kTokens, kChannels, 42);
    Memory whole_memory(kChannels);
    const std::vector<float> whole = run(variant.fn, data, 0, kTokens, whole_memory, 0, kChannels);
    for (size_t split = 0; split <= kTokens; ++split) {
      CAPTURE(variant.name, split);
      Memory memory(kChannels);
      std::vector<float> got = run(variant.fn, data, 0, split, memory, 0, kChannels);
      const std::vector<float> rest = run(variant.fn, data, split, kTokens, memory, 0, kChannels);
      got.insert(got.end(), rest.begin(), rest.end());
      CHECK(difference(got, whole) == "");
      CHECK(difference(memory.aa, whole_memory.aa) == "");
    }
    for (size_t split = 0; split <= kChannels; ++split) {
      CAPTURE(variant.name, split);
      Memory memory(kChannels);
      const std::vector<float> low = run(variant.fn, data, 0, kTokens, memory, 0, split);
      const std::vector<float> high = run(variant.fn, data, 0, kTokens, memory, split, kChannels);
      bool right = true;
      for (size_t i = 0; i < whole.size(); ++i) {
        const bool is_low = i % kChannels < split;
        right = right && same_bits(is_low ? low[i] : high[i], whole[i]) && std::isnan(is_low ? high[i] : low[i]);
      }
      CHECK(right);
      CHECK(difference(memory.bb, whole_memory.bb) == "");
    }
  });
}

TEST_CASE("wkv4 stays finite for keys far apart, and the first token answers its own value") {
  for_each_available(wkv_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    Data data = random_data(3, 4, 43);
    data.k = {-1e4f, 1e4f, 0.0f, 300.0f, 1e4f, -1e4f, 300.0f, -300.0f, 0.0f, 0.0f, -300.0f, 300.0f};
    Memory memory(4);
    const std::vector<float> y = run(variant.fn, data, 0, 3, memory, 0, 4);
    for (const float value : y) CHECK(std::isfinite(value));
    for (size_t c = 0; c < 4; ++c) CHECK(y[c] == data.v[c]);
  });
}

}  // namespace
}  // namespace sutra::test
