#include "kernels/float_self_test.h"

#include <cstring>

#include "base/half.h"
#include "base/rng.h"

namespace sutra::kernels {
namespace {

// Small, with whole and partial vectors for every instruction set.
constexpr size_t kTokens = 2, kHeads = 2, kN = 21, kChannels = kHeads * kN, kStates = 16, kTaps = 4, kRows = 5;
constexpr size_t kSize = kTokens * kChannels;
constexpr size_t kStateSize = kHeads * kN * kN;  // the largest of the states
static_assert(kStateSize >= kStates * kChannels && kStateSize >= kTaps * kChannels);

struct Inputs {
  float a[kSize], b[kSize], c[kSize], row[kChannels], bc[kTokens * 2 * kStates], A[kStates * kChannels],
      state[kStateSize];
  uint16_t halves[kRows * kChannels];

  Inputs() {
    Rng rng(1);
    const auto fill = [&](auto& values, double low, double high) {
      for (float& value : values) value = static_cast<float>(low + (high - low) * rng.next_unit());
    };
    fill(a, -8.0, 8.0);
    fill(b, 0.0, 1.0);
    fill(c, -1.0, 1.0);
    fill(row, -1.0, 1.0);
    fill(bc, -1.0, 1.0);
    fill(A, -16.0, -1.0);
    fill(state, -1.0, 1.0);
    for (uint16_t& half : halves) half = f32_to_f16(static_cast<float>(rng.next_unit() - 0.5));
  }
};

// What a kernel leaves behind: its outputs and the state.
struct Outputs {
  static constexpr size_t kMaxResults = 12;
  float y[kMaxResults][kSize];
  float state[kStateSize];
};

// Runs `kernel(variant.fn, outputs)` for every available variant and compares with the first, which is the scalar one.
template <class Fn, class Kernel>
Status compare(std::string_view family, std::span<const Variant<Fn>> variants, const Inputs& in, const Kernel& kernel) {
  const auto run = [&](Fn fn, Outputs& out) {
    std::memset(&out, 0, sizeof(out));
    std::memcpy(out.state, in.state, sizeof(in.state));
    kernel(fn, out);
  };
  Outputs expected, got;
  run(variants[0].fn, expected);
  for (const Variant<Fn>& variant : variants) {
    if (!isa_available(variant.isa)) continue;
    run(variant.fn, got);
    if (std::memcmp(&got, &expected, sizeof(got)) != 0) {
      return fail(ErrorCode::kSelfTestFailed, "kernel ", family, ", variant '", variant.name,
                  "': other bits than the scalar variant's");
    }
  }
  return {};
}

}  // namespace

Status self_test_float_kernels(const FloatTables& tables) {
  const Inputs in;
  SUTRA_TRY(compare("gemm_f", tables.gemm_f, in, [&](GemmFKernel kernel, Outputs& out) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kF16}) {
      const void* data = dtype == Dtype::kF32 ? static_cast<const void*>(in.state) : in.halves;
      kernel({.w = {data, dtype, kRows, kChannels},
              .x = in.a,
              .n_tokens = kTokens,
              .first_row = 0,
              .last_row = kRows,
              .y = out.y[dtype == Dtype::kF32 ? 0 : 1],
              .y_stride = kRows});
    }
  }));
  SUTRA_TRY(compare("norm", tables.norm, in, [&](const NormKernels* kernels, Outputs& out) {
    kernels->layer_norm({in.a, kTokens, kChannels, in.row, in.row, 1e-5f, out.y[0]});
    kernels->rms_norm({in.a, kTokens, kChannels, in.row, 1e-5f, out.y[1]});
    kernels->group_norm({in.a, kTokens, kHeads, kN, in.row, in.row, 1e-5f, out.y[2]});
    kernels->l2_normalize({in.a, kTokens, kHeads, kN, in.row, out.y[3]});
  }));
  SUTRA_TRY(compare("elementwise", tables.elementwise, in, [&](const ElementwiseKernels* kernels, Outputs& out) {
    kernels->exp(in.a, kSize, out.y[0]);
    kernels->sigmoid(in.a, kSize, out.y[1]);
    kernels->tanh(in.a, kSize, out.y[2]);
    kernels->softplus(in.a, kSize, out.y[3]);
    kernels->mul_silu(in.b, in.a, kSize, out.y[4]);
    kernels->relu_squared(in.a, kSize, out.y[5]);
    kernels->rwkv7_decay(in.a, kSize, out.y[6]);
    const TokenShiftMix mix = {in.row, out.y[7]};
    kernels->token_shift_lerp({in.a, in.row, kTokens, kChannels, &mix, 1});
    kernels->rwkv7_add_bonus({in.a, in.b, in.c, in.row, kTokens, kHeads, kN, out.y[8]});
    kernels->rwkv6_decay(in.a, kSize, out.y[9]);
    const TokenShiftDdlerpMix ddlerp_mix = {in.row, in.c, out.y[10]};
    kernels->token_shift_ddlerp({in.a, in.row, kTokens, kChannels, &ddlerp_mix, 1});
    kernels->add_scaled(in.a, in.c, 0.3f, kSize, out.y[11]);
  }));
  SUTRA_TRY(compare("wkv", tables.wkv, in, [&](const WkvKernels* kernels, Outputs& out) {
    kernels->wkv4({.w = in.A,
                   .u = in.row,
                   .k = in.a,
                   .v = in.c,
                   .n_tokens = kTokens,
                   .n_channels = kChannels,
                   .first_channel = 0,
                   .last_channel = kChannels,
                   .aa = out.state,
                   .bb = out.state + kChannels,
                   .pp = out.state + 2 * kChannels,
                   .y = out.y[0]});
    kernels->wkv6({.r = in.a,
                   .w = in.b,
                   .w_stride = kChannels,
                   .u = in.row,
                   .k = in.c,
                   .v = in.a,
                   .n_tokens = kTokens,
                   .n_heads = kHeads,
                   .head_size = kN,
                   .first_head = 0,
                   .last_head = kHeads,
                   .state = out.state,
                   .y = out.y[1]});
    kernels->wkv7({.r = in.a,
                   .w = in.b,
                   .k = in.c,
                   .v = in.a,
                   .kk = in.c,
                   .a = in.b,
                   .n_tokens = kTokens,
                   .n_heads = kHeads,
                   .head_size = kN,
                   .first_head = 0,
                   .last_head = kHeads,
                   .state = out.state,
                   .y = out.y[2]});
  }));
  SUTRA_TRY(compare("selective_scan", tables.selective_scan, in, [&](SelectiveScanKernel kernel, Outputs& out) {
    kernel({.u = in.c,
            .dt = in.b,
            .A = in.A,
            .B = in.bc,
            .C = in.bc + kStates,
            .bc_stride = 2 * kStates,
            .D = in.row,
            .z = in.a,
            .z_stride = kChannels,
            .n_tokens = kTokens,
            .n_channels = kChannels,
            .n_state = kStates,
            .first_channel = 0,
            .last_channel = kChannels,
            .state = out.state,
            .y = out.y[0]});
  }));
  SUTRA_TRY(compare("ssd", tables.ssd, in, [&](SsdKernel kernel, Outputs& out) {
    kernel({.x = in.state,
            .B = in.state + kChannels,
            .C = in.state + kChannels + kStates,
            .stride = kChannels + 2 * kStates,
            .dt = in.b,
            .A = in.A,
            .D = in.row,
            .n_tokens = kTokens,
            .n_heads = kHeads,
            .head_dim = kN,
            .n_state = kStates,
            .n_groups = 1,
            .first_head = 0,
            .last_head = kHeads,
            .state = out.state,
            .y = out.y[0]});
  }));
  SUTRA_TRY(compare("rope", tables.rope, in, [&](RopeKernel kernel, Outputs& out) {
    std::memcpy(out.y[0], in.a, sizeof(in.a));
    kernel({.x = out.y[0],
            .stride = kChannels,
            .n_tokens = kTokens,
            .n_heads = 1,
            .head_dim = kChannels,
            .rotary_dim = kChannels - 2,
            .cos = in.b,
            .sin = in.c});
  }));
  SUTRA_TRY(compare("attention", tables.attention, in, [&](AttentionKernel kernel, Outputs& out) {
    // One head of kKeyDim channels whose cache is a page made of the state.
    constexpr size_t kKeyDim = 3;
    static_assert(2 * cache_page_floats(kKeyDim) <= kStateSize);
    float* const page = out.state;
    kernel({.q = in.a,
            .stride = kChannels,
            .n_tokens = kTokens,
            .n_queries = kHeads,
            .first_position = kN,
            .scale = 0.5f,
            .cache = {&page, 0, cache_page_floats(kKeyDim), kKeyDim},
            .y = out.y[0]});
  }));
  return compare("conv1d", tables.conv1d, in, [&](Conv1dKernel kernel, Outputs& out) {
    kernel({.x = in.a,
            .x_stride = kChannels,
            .n_tokens = kTokens,
            .n_channels = kChannels,
            .n_taps = kTaps,
            .first_channel = 0,
            .last_channel = kChannels,
            .weight = in.A,
            .bias = in.row,
            .activation = Conv1dActivation::kSilu,
            .state = out.state,
            .y = out.y[0]});
  });
}

}  // namespace sutra::kernels
