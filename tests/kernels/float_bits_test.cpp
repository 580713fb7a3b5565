// Across platforms: parity tests compare variants on one machine, these fingerprints compare machines.
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "base/half.h"
#include "kernels/attention/attention.h"
#include "kernels/conv1d/conv1d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm_f/gemm_f.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "kernels/selective_scan/selective_scan.h"
#include "kernels/ssd/ssd.h"
#include "kernels/wkv/wkv.h"
#include "support/parity.h"
#include "support/random.h"

namespace sutra::test {
namespace {

// FNV-1a over the bits.
uint64_t fingerprint(const std::vector<float>& values) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const float value : values) {
    for (uint32_t bits = std::bit_cast<uint32_t>(value), i = 0; i < 4; ++i, bits >>= 8) {
      hash = (hash ^ (bits & 0xffu)) * 0x100000001b3u;
    }
  }
  return hash;
}

// Only uniform numbers: they need no function of the platform's own libm.
constexpr size_t kTokens = 3, kHeads = 2, kN = 37, kChannels = kHeads * kN;

// The constants were recorded on x86-64 and are required of AArch64 and WebAssembly, scalar and SIMD. They say nothing
// about right or wrong, which the oracles of the other tests decide. A change here is a change of every model's logits.
TEST_CASE("float kernels give the same bits on every platform") {
  Random random(2025);
  const auto uniforms = [&](float low, float high) { return random.uniforms(kTokens * kChannels, low, high); };
  const std::vector<float> x = uniforms(-20.0f, 20.0f), a = uniforms(0.0f, 1.0f), b = uniforms(-1.0f, 1.0f);
  const std::vector<float> r = uniforms(-1.0f, 1.0f), k = uniforms(-0.2f, 0.2f), w = uniforms(0.5f, 1.0f);
  const std::vector<float> row = random.uniforms(kChannels, -1.0f, 1.0f),
                           A = random.uniforms(16 * kChannels, -16.0f, -1.0f);
  const std::vector<float> bc = random.uniforms(kTokens * 32, -1.0f, 1.0f);
  const std::vector<float> taps = random.uniforms(4 * kChannels, -1.0f, 1.0f);
  std::vector<uint16_t> halves(5 * kChannels);
  for (uint16_t& half : halves) half = f32_to_f16(random.uniform(-1.0f, 1.0f));

  for_each_available(kernels::elementwise_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> all;
    const auto keep = [&](auto kernel) {
      std::vector<float> y(x.size());
      kernel(y.data());
      all.insert(all.end(), y.begin(), y.end());
    };
    const kernels::ElementwiseKernels& f = *variant.fn;
    for (const auto unary :
         {f.exp, f.sigmoid, f.tanh, f.softplus, f.silu, f.relu_squared, f.rwkv7_decay, f.rwkv6_decay}) {
      keep([&](float* y) { unary(x.data(), x.size(), y); });
    }
    keep([&](float* y) { f.tanh(b.data(), b.size(), y); });  // where it is a polynomial alone
    keep([&](float* y) { f.mul_silu(b.data(), x.data(), x.size(), y); });
    keep([&](float* y) { f.rwkv7_value_residual(b.data(), r.data(), x.data(), x.size(), y); });
    keep([&](float* y) { f.rwkv7_replacement_key(k.data(), a.data(), row.data(), kTokens, kChannels, y); });
    keep([&](float* y) {
      std::copy(b.begin(), b.end(), y);
      f.rwkv7_add_bonus({.r = r.data(),
                         .k = k.data(),
                         .v = x.data(),
                         .r_k = row.data(),
                         .n_tokens = kTokens,
                         .n_heads = kHeads,
                         .head_size = kN,
                         .y = y});
    });
    CHECK(fingerprint(all) == 0xaa7a3c7d09322de0u);
  });

  for_each_available(kernels::norm_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(x.size()), all;
    variant.fn->layer_norm({.x = x.data(),
                            .n_tokens = kTokens,
                            .n_channels = kChannels,
                            .weight = row.data(),
                            .bias = row.data(),
                            .eps = 1e-5f,
                            .y = y.data()});
    all.insert(all.end(), y.begin(), y.end());
    variant.fn->rms_norm({.x = x.data(),
                          .n_tokens = kTokens,
                          .n_channels = kChannels,
                          .weight = row.data(),
                          .eps = 1e-5f,
                          .y = y.data()});
    all.insert(all.end(), y.begin(), y.end());
    variant.fn->l2_normalize(
        {.x = x.data(), .n_tokens = kTokens, .n_heads = kHeads, .head_size = kN, .weight = row.data(), .y = y.data()});
    all.insert(all.end(), y.begin(), y.end());
    CHECK(fingerprint(all) == 0x36facab7caeeec40u);
  });

  for_each_available(kernels::gemm_f_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(kTokens * 5);
    variant.fn({.w = {halves.data(), Dtype::kF16, 5, kChannels},
                .x = x.data(),
                .n_tokens = kTokens,
                .first_row = 0,
                .last_row = 5,
                .y = y.data(),
                .y_stride = 5});
    CHECK(fingerprint(y) == 0xdfc60a5521d262a7u);
  });

  for_each_available(kernels::wkv_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(x.size()), state = Random(7).uniforms(kHeads * kN * kN, -1.0f, 1.0f);
    variant.fn->wkv7({.r = r.data(),
                      .w = w.data(),
                      .k = k.data(),
                      .v = b.data(),
                      .kk = k.data(),
                      .a = a.data(),
                      .n_tokens = kTokens,
                      .n_heads = kHeads,
                      .head_size = kN,
                      .first_head = 0,
                      .last_head = kHeads,
                      .state = state.data(),
                      .y = y.data()});
    y.insert(y.end(), state.begin(), state.end());
    CHECK(fingerprint(y) == 0x5bb425ff8055ed03u);
    std::vector<float> y4(x.size()), memory = Random(10).uniforms(3 * kChannels, 0.1f, 1.0f);
    variant.fn->wkv4({.w = A.data(),
                      .u = row.data(),
                      .k = x.data(),
                      .v = b.data(),
                      .n_tokens = kTokens,
                      .n_channels = kChannels,
                      .first_channel = 0,
                      .last_channel = kChannels,
                      .aa = memory.data(),
                      .bb = memory.data() + kChannels,
                      .pp = memory.data() + 2 * kChannels,
                      .y = y4.data()});
    y4.insert(y4.end(), memory.begin(), memory.end());
    CHECK(fingerprint(y4) == 0x3ea3f8902df651d3u);
    std::vector<float> y6(x.size()), state6 = Random(11).uniforms(kHeads * kN * kN, -1.0f, 1.0f);
    variant.fn->wkv6({.r = r.data(),
                      .w = w.data(),
                      .w_stride = kChannels,
                      .u = row.data(),
                      .k = k.data(),
                      .v = b.data(),
                      .n_tokens = kTokens,
                      .n_heads = kHeads,
                      .head_size = kN,
                      .first_head = 0,
                      .last_head = kHeads,
                      .state = state6.data(),
                      .y = y6.data()});
    y6.insert(y6.end(), state6.begin(), state6.end());
    CHECK(fingerprint(y6) == 0xf8ac0c5148b1407bu);
  });

  for_each_available(kernels::selective_scan_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(x.size()), state = Random(8).uniforms(16 * kChannels, -1.0f, 1.0f);
    variant.fn({.u = b.data(),
                .dt = a.data(),
                .A = A.data(),
                .B = bc.data(),
                .C = bc.data() + 16,
                .bc_stride = 32,
                .D = row.data(),
                .z = x.data(),
                .z_stride = kChannels,
                .n_tokens = kTokens,
                .n_channels = kChannels,
                .n_state = 16,
                .first_channel = 0,
                .last_channel = kChannels,
                .state = state.data(),
                .y = y.data()});
    y.insert(y.end(), state.begin(), state.end());
    CHECK(fingerprint(y) == 0x7bc710d45e8a02f1u);
  });

  for_each_available(kernels::conv1d_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(x.size()), state = Random(9).uniforms(4 * kChannels, -1.0f, 1.0f);
    variant.fn({.x = x.data(),
                .x_stride = kChannels,
                .n_tokens = kTokens,
                .n_channels = kChannels,
                .n_taps = 4,
                .first_channel = 0,
                .last_channel = kChannels,
                .weight = taps.data(),
                .bias = row.data(),
                .activation = kernels::Conv1dActivation::kSilu,
                .state = state.data(),
                .y = y.data()});
    CHECK(fingerprint(y) == 0xbe6b9fd9b288d9e2u);
  });
}

TEST_CASE("ssd, rotary positions and attention give the same bits on every platform") {
  constexpr size_t kKeyDim = 19, kSeen = kernels::kCachePageTokens + 11;
  Random random(2026);
  const std::vector<float> x = random.uniforms(kTokens * kChannels, -2.0f, 2.0f);
  const std::vector<float> dt = random.uniforms(kTokens * kHeads, 0.001f, 1.0f);
  const std::vector<float> A = random.uniforms(kHeads, -16.0f, -1.0f), D = random.uniforms(kHeads, -1.0f, 1.0f);
  const std::vector<float> kv = random.uniforms(kSeen * 2 * kKeyDim, -1.0f, 1.0f);

  for_each_available(kernels::ssd_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(kTokens * 2 * 16), state = Random(10).uniforms(2 * 16 * 16, -1.0f, 1.0f);
    variant.fn({.x = x.data(),
                .B = x.data() + 32,
                .C = x.data() + 48,
                .stride = kChannels,
                .dt = dt.data(),
                .A = A.data(),
                .D = D.data(),
                .n_tokens = kTokens,
                .n_heads = kHeads,
                .head_dim = 16,
                .n_state = 16,
                .n_groups = 1,
                .first_head = 0,
                .last_head = kHeads,
                .state = state.data(),
                .y = y.data()});
    y.insert(y.end(), state.begin(), state.end());
    CHECK(fingerprint(y) == 0x42fc90b8a0a8d466u);
  });

  // The angles are one code for all variants, and must be one for all platforms.
  std::vector<double> frequencies(kN / 2);
  kernels::rope_frequencies(500000.0, frequencies);
  std::vector<float> cos(kTokens * (kN / 2)), sin(cos.size());
  kernels::rope_table(frequencies, 100'000, kTokens, cos.data(), sin.data());
  for_each_available(kernels::rope_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y = x;
    variant.fn({.x = y.data(),
                .stride = kChannels,
                .n_tokens = kTokens,
                .n_heads = kHeads,
                .head_dim = kN,
                .rotary_dim = kN - 1,
                .cos = cos.data(),
                .sin = sin.data()});
    CHECK(fingerprint(y) == 0x6dbbbe2fe55adb07u);
  });

  std::vector<std::vector<float>> pages(2, std::vector<float>(2 * kernels::cache_page_floats(kKeyDim)));
  float* const starts[] = {pages[0].data(), pages[1].data()};
  const kernels::CacheHead head{starts, 0, kernels::cache_page_floats(kKeyDim), kKeyDim};
  kernels::cache_append({kv.data(), kv.data() + kKeyDim, 2 * kKeyDim, kSeen, 0, head});
  for_each_available(kernels::attention_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(x.size());
    variant.fn({.q = x.data(),
                .stride = kChannels,
                .n_tokens = kTokens,
                .n_queries = 3,
                .first_position = kSeen - kTokens,
                .scale = 0.7f,
                .cache = head,
                .y = y.data()});
    CHECK(fingerprint(y) == 0x94976de828aaa1f5u);
  });

  for_each_available(kernels::elementwise_variants(), [&](const auto& variant) {
    CAPTURE(variant.name);
    std::vector<float> y(x.size());
    variant.fn->scale(x.data(), 0.22f, x.size(), y.data());
    variant.fn->add_scaled(y.data(), x.data(), -1.7f, x.size(), y.data());
    CHECK(fingerprint(y) == 0x0ae5c27eca032381u);
  });
}

}  // namespace
}  // namespace sutra::test
