// The float kernels against vectors that independent implementations made (torch in double; tests/golden/ops/ is a copy
// of the project's own golden data).
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/conv1d/conv1d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm_f/gemm_f.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "kernels/selective_scan/selective_scan.h"
#include "kernels/ssd/ssd.h"
#include "kernels/wkv/wkv.h"
#include "support/golden.h"
#include "support/tolerance.h"

namespace sutra::test {
namespace {

class Golden {
 public:
  explicit Golden(const std::string& name) : tensors_(load_tensors(golden_path("ops/" + name + ".safetensors"))) {}
  [[nodiscard]] std::vector<float> operator[](std::string_view name) const {
    CAPTURE(name);
    const Tensor* tensor = tensors_.find(name);
    REQUIRE(tensor != nullptr);
    REQUIRE(tensor->dtype() == Dtype::kF32);
    const std::span<const float> values = tensor->as<float>();
    return {values.begin(), values.end()};
  }

 private:
  TensorMap tensors_;
};

// Part `index` of `n_parts` equal ones: one sequence of a batch.
std::vector<float> part(const std::vector<float>& values, size_t index, size_t n_parts) {
  const auto size = static_cast<std::ptrdiff_t>(values.size() / n_parts);
  const auto first = values.begin() + static_cast<std::ptrdiff_t>(index) * size;
  return {first, first + size};
}

// [rows, cols] → [cols, rows]
std::vector<float> transposed(const std::vector<float>& values, size_t n_rows, size_t n_cols) {
  std::vector<float> result(values.size());
  for (size_t i = 0; i < n_rows; ++i) {
    for (size_t j = 0; j < n_cols; ++j) result[j * n_rows + i] = values[i * n_cols + j];
  }
  return result;
}

void check_close(const std::vector<float>& got, const std::vector<float>& expected) {
  CHECK(error_over_rms<float>(got, expected) <= kGoldenOperator);
}

// Runs the body with each instruction set that this machine has.
template <class Body>
void with_each_isa(const Body& body) {
  for (const kernels::Isa isa : kernels::kAllIsas) {
    if (!kernels::isa_available(isa)) continue;
    REQUIRE(kernels::force_isa(isa).has_value());
    CAPTURE(kernels::isa_name(isa));
    body();
  }
  REQUIRE(kernels::force_isa(std::nullopt).has_value());
}

TEST_CASE("gemm_f with add_bias reproduces the golden linear layer") {
  const Golden golden("linear");
  constexpr size_t kTokens = 15, kIn = 7, kOut = 9;
  const std::vector<float> weight = golden["in.W"], bias = golden["in.b"], x = golden["in.x"];
  with_each_isa([&] {
    std::vector<float> y(kTokens * kOut);
    kernels::gemm_f({.w = {weight.data(), Dtype::kF32, kOut, kIn},
                     .x = x.data(),
                     .n_tokens = kTokens,
                     .first_row = 0,
                     .last_row = kOut,
                     .y = y.data(),
                     .y_stride = kOut});
    kernels::add_bias(y.data(), bias.data(), kTokens, kOut, y.data());
    check_close(y, golden["out.y"]);
  });
}

TEST_CASE("norms reproduce the golden norms") {
  const Golden layer("layernorm"), rms("rmsnorm"), group("groupnorm"), l2("l2norm");
  with_each_isa([&] {
    const std::vector<float> layer_x = layer["in.x"], layer_w = layer["in.w"], layer_b = layer["in.b"];
    std::vector<float> y(layer_x.size());
    kernels::layer_norm({.x = layer_x.data(),
                         .n_tokens = 15,
                         .n_channels = 16,
                         .weight = layer_w.data(),
                         .bias = layer_b.data(),
                         .eps = 1e-5f,
                         .y = y.data()});
    check_close(y, layer["out.y"]);

    const std::vector<float> rms_x = rms["in.x"], rms_w = rms["in.w"];
    y.resize(rms_x.size());
    kernels::rms_norm(
        {.x = rms_x.data(), .n_tokens = 4, .n_channels = 16, .weight = rms_w.data(), .eps = 1e-5f, .y = y.data()});
    check_close(y, rms["out.y"]);

    const std::vector<float> group_x = group["in.x"], group_w = group["in.w"], group_b = group["in.b"];
    y.resize(group_x.size());
    kernels::group_norm({.x = group_x.data(),
                         .n_tokens = 7,
                         .n_heads = 2,
                         .head_size = 8,
                         .weight = group_w.data(),
                         .bias = group_b.data(),
                         .eps = 64e-5f,
                         .y = y.data()});
    check_close(y, group["out.y"]);

    const std::vector<float> l2_x = l2["in.x"];
    y.resize(l2_x.size());
    kernels::l2_normalize(
        {.x = l2_x.data(), .n_tokens = 5, .n_heads = 2, .head_size = 8, .weight = nullptr, .y = y.data()});
    check_close(y, l2["out.y"]);
  });
}

TEST_CASE("element-wise kernels reproduce the golden values, extremes included") {
  const Golden golden("elementwise");
  const std::vector<float> x = golden["x"];
  const std::pair<const char*, void (*)(const float*, size_t, float*)> kFunctions[] = {
      {"sigmoid", kernels::sigmoid},    {"silu", kernels::silu}, {"softplus", kernels::softplus},
      {"relu2", kernels::relu_squared}, {"tanh", kernels::tanh}, {"decay7", kernels::rwkv7_decay},
      {"decay6", kernels::rwkv6_decay},
  };
  with_each_isa([&] {
    std::vector<float> y(x.size());
    for (const auto& [name, function] : kFunctions) {
      function(x.data(), x.size(), y.data());
      const std::vector<float> expected = golden[std::string("y.") + name];
      for (size_t i = 0; i < x.size(); ++i) {
        CAPTURE(name, x[i], y[i], expected[i]);
        CHECK(std::fabs(y[i] - expected[i]) <= 1e-6f + 2e-6f * std::fabs(expected[i]));
      }
    }
  });
}

TEST_CASE("wkv7 reproduces the golden recurrence from a given state") {
  const Golden golden("wkv7");
  constexpr size_t kBatch = 2, kTokens = 11, kHeads = 2, kN = 8;
  with_each_isa([&] {
    for (size_t b = 0; b < kBatch; ++b) {
      const auto in = [&](const char* name) { return part(golden[std::string("in.") + name], b, kBatch); };
      const std::vector<float> r = in("r"), k = in("k"), v = in("v");
      // The golden operator takes decay = exp(−exp(w)), a = −kk and b = kk·a.
      std::vector<float> w = in("w"), kk = in("a"), a = in("b");
      for (float& value : w) value = static_cast<float>(std::exp(-std::exp(static_cast<double>(value))));
      for (float& value : kk) value = -value;
      for (size_t i = 0; i < a.size(); ++i) a[i] /= kk[i];
      // Golden states are [value, key].
      const auto by_key = [&](const std::vector<float>& state) {
        std::vector<float> result;
        for (size_t h = 0; h < kHeads; ++h) {
          const std::vector<float> head = transposed(part(state, h, kHeads), kN, kN);
          result.insert(result.end(), head.begin(), head.end());
        }
        return result;
      };
      std::vector<float> state = by_key(in("s0")), y(r.size());
      kernels::wkv7({.r = r.data(),
                     .w = w.data(),
                     .k = k.data(),
                     .v = v.data(),
                     .kk = kk.data(),
                     .a = a.data(),
                     .n_tokens = kTokens,
                     .n_heads = kHeads,
                     .head_size = kN,
                     .first_head = 0,
                     .last_head = kHeads,
                     .state = state.data(),
                     .y = y.data()});
      check_close(y, part(golden["out.y"], b, kBatch));
      check_close(state, by_key(part(golden["out.sT"], b, kBatch)));
    }
  });
}

TEST_CASE("wkv4 reproduces the golden recurrence from a given state") {
  const Golden golden("wkv4");
  constexpr size_t kBatch = 2, kTokens = 11, kChannels = 16;
  const std::vector<float> u = golden["in.u"];
  // The golden operator takes time_decay.
  std::vector<float> w = golden["in.w"];
  for (float& value : w) value = static_cast<float>(-std::exp(static_cast<double>(value)));
  with_each_isa([&] {
    for (size_t b = 0; b < kBatch; ++b) {
      const auto in = [&](const char* name) { return part(golden[std::string("in.") + name], b, kBatch); };
      const std::vector<float> k = in("k"), v = in("v");
      std::vector<float> aa = in("aa"), bb = in("bb"), pp = in("pp"), y(k.size());
      kernels::wkv4({.w = w.data(),
                     .u = u.data(),
                     .k = k.data(),
                     .v = v.data(),
                     .n_tokens = kTokens,
                     .n_channels = kChannels,
                     .first_channel = 0,
                     .last_channel = kChannels,
                     .aa = aa.data(),
                     .bb = bb.data(),
                     .pp = pp.data(),
                     .y = y.data()});
      check_close(y, part(golden["out.y"], b, kBatch));
      check_close(aa, part(golden["out.aa"], b, kBatch));
      check_close(bb, part(golden["out.bb"], b, kBatch));
    }
  });
}

TEST_CASE("wkv6 reproduces the golden recurrences of RWKV-5 and RWKV-6 from a given state") {
  constexpr size_t kBatch = 2, kTokens = 11, kHeads = 2, kN = 8, kChannels = kHeads * kN;
  for (const bool per_token : {false, true}) {
    const Golden golden(per_token ? "wkv6" : "wkv5");
    const std::vector<float> u = golden["in.u"];
    with_each_isa([&] {
      for (size_t b = 0; b < kBatch; ++b) {
        const auto in = [&](const char* name) { return part(golden[std::string("in.") + name], b, kBatch); };
        const std::vector<float> r = in("r"), k = in("k"), v = in("v");
        const std::vector<float> w_raw = per_token ? in("w") : golden["in.w"];
        std::vector<float> w(w_raw.size()), state = in("s0"), y(r.size());
        kernels::rwkv6_decay(w_raw.data(), w.size(), w.data());
        kernels::wkv6({.r = r.data(),
                       .w = w.data(),
                       .w_stride = per_token ? kChannels : 0,
                       .u = u.data(),
                       .k = k.data(),
                       .v = v.data(),
                       .n_tokens = kTokens,
                       .n_heads = kHeads,
                       .head_size = kN,
                       .first_head = 0,
                       .last_head = kHeads,
                       .state = state.data(),
                       .y = y.data()});
        check_close(y, part(golden["out.y"], b, kBatch));
        check_close(state, part(golden["out.sT"], b, kBatch));
      }
    });
  }
}

TEST_CASE("softplus and selective_scan reproduce the golden scan from a given state") {
  const Golden golden("selective-scan");
  constexpr size_t kBatch = 2, kTokens = 11, kChannels = 16, kStates = 5;
  const std::vector<float> A = transposed(golden["in.A"], kChannels, kStates), D = golden["in.D"];
  const std::vector<float> dt_bias = golden["in.delta_bias"];
  with_each_isa([&] {
    for (size_t b = 0; b < kBatch; ++b) {
      const auto in = [&](const char* name) { return part(golden[std::string("in.") + name], b, kBatch); };
      const std::vector<float> u = in("u"), B = in("B"), C = in("C"), z = in("z");
      std::vector<float> dt = in("delta"), y(u.size());
      kernels::add_bias(dt.data(), dt_bias.data(), kTokens, kChannels, dt.data());
      kernels::softplus(dt.data(), dt.size(), dt.data());
      std::vector<float> state = transposed(in("h0"), kChannels, kStates);
      kernels::selective_scan({.u = u.data(),
                               .dt = dt.data(),
                               .A = A.data(),
                               .B = B.data(),
                               .C = C.data(),
                               .bc_stride = kStates,
                               .D = D.data(),
                               .z = z.data(),
                               .z_stride = kChannels,
                               .n_tokens = kTokens,
                               .n_channels = kChannels,
                               .n_state = kStates,
                               .first_channel = 0,
                               .last_channel = kChannels,
                               .state = state.data(),
                               .y = y.data()});
      check_close(y, part(golden["out.y"], b, kBatch));
      check_close(state, transposed(part(golden["out.hT"], b, kBatch), kChannels, kStates));
    }
  });
}

TEST_CASE("conv1d reproduces the golden convolution from a given state, of which it reads the last K - 1 rows") {
  const Golden golden("causal-conv1d");
  constexpr size_t kBatch = 2, kTokens = 11, kChannels = 16, kTaps = 4;
  const std::vector<float> weight = transposed(golden["in.w"], kChannels, kTaps), bias = golden["in.b"];
  with_each_isa([&] {
    for (size_t b = 0; b < kBatch; ++b) {
      const std::vector<float> x = part(golden["in.x"], b, kBatch), before = part(golden["in.s0"], b, kBatch);
      std::vector<float> state(kChannels, std::numeric_limits<float>::quiet_NaN()), y(x.size());
      state.insert(state.end(), before.begin(), before.end());
      kernels::conv1d({.x = x.data(),
                       .x_stride = kChannels,
                       .n_tokens = kTokens,
                       .n_channels = kChannels,
                       .n_taps = kTaps,
                       .first_channel = 0,
                       .last_channel = kChannels,
                       .weight = weight.data(),
                       .bias = bias.data(),
                       .activation = kernels::Conv1dActivation::kSilu,
                       .state = state.data(),
                       .y = y.data()});
      check_close(y, part(golden["out.y"], b, kBatch));
      CHECK(std::vector<float>(state.begin() + kChannels, state.end()) == part(golden["out.sT"], b, kBatch));
    }
  });
}

TEST_CASE("softplus and ssd reproduce the golden recurrence from a given state") {
  const Golden golden("ssd");
  constexpr size_t kBatch = 2, kTokens = 11, kHeads = 2, kN = 8, kStates = 5, kWidth = kHeads * kN;
  constexpr size_t kStride = kWidth + 2 * kStates;
  const std::vector<float> A = golden["in.A"], D = golden["in.D"], dt_bias = golden["in.dt_bias"];
  with_each_isa([&] {
    for (size_t b = 0; b < kBatch; ++b) {
      const auto in = [&](const char* name) { return part(golden[std::string("in.") + name], b, kBatch); };
      const auto by_state = [&](const std::vector<float>& state) {
        std::vector<float> result;
        for (size_t h = 0; h < kHeads; ++h) {
          const std::vector<float> head = transposed(part(state, h, kHeads), kN, kStates);
          result.insert(result.end(), head.begin(), head.end());
        }
        return result;
      };
      // Rows of x, B and C side by side.
      const std::vector<float> x = in("x"), B = in("B"), C = in("C");
      std::vector<float> rows;
      for (size_t t = 0; t < kTokens; ++t) {
        for (const auto& [values, n] : {std::pair{&x, kWidth}, std::pair{&B, kStates}, std::pair{&C, kStates}}) {
          const auto row = part(*values, t, kTokens);
          CHECK(row.size() == n);
          rows.insert(rows.end(), row.begin(), row.end());
        }
      }
      std::vector<float> dt = in("dt"), state = by_state(in("h0")), y(x.size());
      kernels::add_bias(dt.data(), dt_bias.data(), kTokens, kHeads, dt.data());
      kernels::softplus(dt.data(), dt.size(), dt.data());
      kernels::ssd({.x = rows.data(),
                    .B = rows.data() + kWidth,
                    .C = rows.data() + kWidth + kStates,
                    .stride = kStride,
                    .dt = dt.data(),
                    .A = A.data(),
                    .D = D.data(),
                    .n_tokens = kTokens,
                    .n_heads = kHeads,
                    .head_dim = kN,
                    .n_state = kStates,
                    .n_groups = 1,
                    .first_head = 0,
                    .last_head = kHeads,
                    .state = state.data(),
                    .y = y.data()});
      check_close(y, part(golden["out.y"], b, kBatch));
      check_close(state, by_state(part(golden["out.hT"], b, kBatch)));
    }
  });
}

TEST_CASE("rope and attention reproduce the golden attention with grouped queries") {
  const Golden golden("attention-rope-gqa");
  constexpr size_t kBatch = 2, kTokens = 9, kHeads = 4, kKvHeads = 2, kN = 8;
  std::array<double, kN / 2> frequencies{};
  kernels::rope_frequencies(10000.0, frequencies);
  std::vector<float> cos(kTokens * kN / 2), sin(cos.size());
  kernels::rope_table(frequencies, 0, kTokens, cos.data(), sin.data());
  with_each_isa([&] {
    for (size_t b = 0; b < kBatch; ++b) {
      const auto in = [&](const char* name) { return part(golden[std::string("in.") + name], b, kBatch); };
      std::vector<float> q = in("q"), k = in("k"), y(q.size());
      const std::vector<float> v = in("v");
      kernels::rope({q.data(), kHeads * kN, kTokens, kHeads, kN, kN, cos.data(), sin.data()});
      kernels::rope({k.data(), kKvHeads * kN, kTokens, kKvHeads, kN, kN, cos.data(), sin.data()});
      check_close(q, part(golden["out.q_rot"], b, kBatch));
      check_close(k, part(golden["out.k_rot"], b, kBatch));
      constexpr size_t kPlane = kernels::cache_page_floats(kN);
      std::vector<float> page(2 * kKvHeads * kPlane);
      float* const start = page.data();
      for (size_t h = 0; h < kKvHeads; ++h) {
        const kernels::CacheHead head{&start, h * kPlane, (kKvHeads + h) * kPlane, kN};
        kernels::cache_append({k.data() + h * kN, v.data() + h * kN, kKvHeads * kN, kTokens, 0, head});
        const size_t first = h * (kHeads / kKvHeads) * kN;
        kernels::attention({q.data() + first, kHeads * kN, kTokens, kHeads / kKvHeads, 0,
                            static_cast<float>(1 / std::sqrt(double{kN})), head, y.data() + first});
      }
      check_close(y, part(golden["out.y"], b, kBatch));
    }
  });
}

}  // namespace
}  // namespace sutra::test
