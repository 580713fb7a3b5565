#include "model/mamba.h"

#include <algorithm>

#include "kernels/conv1d/conv1d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/norm/norm.h"
#include "kernels/selective_scan/selective_scan.h"

namespace sutra {
namespace {

// Channels that one thread takes at a time in the convolution and the scan: the widest vector.
constexpr size_t kChannelGrain = 16;

enum Field : size_t { kConv, kSsm };

StateLayout make_layout(const MambaConfig& c) {
  StateLayout layout;
  layout.add({"conv", 0, c.n_layer, c.d_conv, c.d_inner, true, {c.n_layer, c.d_inner, c.d_conv}});
  layout.add({"ssm", 0, c.n_layer, c.d_state, c.d_inner, true, {c.n_layer, c.d_inner, c.d_state}});
  return layout;
}

}  // namespace

// Every intermediate of a chunk of T tokens.
struct Mamba::Buffers {
  float* x;       // [T, d_model] residual stream
  float* x_norm;  // [T, d_model]
  float* u_z;     // [T, 2 · d_inner]: u, then z
  float* u;       // [T, d_inner] after the convolution
  float* dt_B_C;  // [T, dt_rank + 2 · d_state]
  float* dt_low;  // [T, dt_rank]: its first columns, dense
  float* dt;      // [T, d_inner]
  float* y;       // [T, d_inner]
  std::byte* q;   // integers of whatever is multiplied next
};

Mamba::Buffers Mamba::carve(Arena& arena, size_t n_tokens) const {
  Buffers b{};
  b.x = arena.take<float>(n_tokens * config_.d_model);
  b.x_norm = arena.take<float>(n_tokens * config_.d_model);
  b.u_z = arena.take<float>(n_tokens * 2 * config_.d_inner);
  b.u = arena.take<float>(n_tokens * config_.d_inner);
  b.dt_B_C = arena.take<float>(n_tokens * (config_.dt_rank + 2 * config_.d_state));
  b.dt_low = arena.take<float>(n_tokens * config_.dt_rank);
  b.dt = arena.take<float>(n_tokens * config_.d_inner);
  b.y = arena.take<float>(n_tokens * config_.d_inner);
  b.q = arena.take<std::byte>(n_tokens * sizes_.input_bytes);
  return b;
}

// [u; z] = W_in h and u = silu(conv1d(u)), for some channels: the convolution needs no others'.
void Mamba::project(const Block& block, const LinearInput& h, size_t first, size_t last, const Buffers& b,
                    float* conv_state) const {
  const size_t d_inner = config_.d_inner;
  if (first == 0 && last == d_inner) {
    block.in_proj.multiply(h, 0, 2 * d_inner, b.u_z, 2 * d_inner);
  } else {
    block.in_proj.multiply(h, first, last, b.u_z, 2 * d_inner);
    block.in_proj.multiply(h, d_inner + first, d_inner + last, b.u_z, 2 * d_inner);
  }
  for (size_t t = 0; t < h.n_tokens && config_.use_bias; ++t) {
    for (const size_t column : {first, d_inner + first}) {
      float* u_z = b.u_z + t * 2 * d_inner + column;
      kernels::add_bias(u_z, data(block.in_proj_bias) + column, 1, last - first, u_z);
    }
  }
  kernels::conv1d({b.u_z, 2 * d_inner, h.n_tokens, d_inner, config_.d_conv, first, last, data(block.conv1d),
                   data_or_null(block.conv1d_bias), kernels::Conv1dActivation::kSilu, conv_state, b.u});
}

// dt = softplus(W_dt dt + b) and y = selective_scan(u, dt, A, B, C, D) ⊙ silu(z) (⊙ out_scale), for some channels.
void Mamba::scan(const Block& block, const LinearInput& dt_low, size_t first, size_t last, const Buffers& b,
                 float* ssm_state) const {
  const size_t d_inner = config_.d_inner, dt_rank = config_.dt_rank;
  block.dt_proj.multiply(dt_low, first, last, b.dt, d_inner);
  for (size_t t = 0; t < dt_low.n_tokens; ++t) {
    float* dt = b.dt + t * d_inner + first;
    kernels::add_bias(dt, data(block.dt_bias) + first, 1, last - first, dt);
    kernels::softplus(dt, last - first, dt);
  }
  kernels::SelectiveScanArgs scan{};
  scan.u = b.u;
  scan.dt = b.dt;
  scan.A = data(block.A);
  scan.B = b.dt_B_C + dt_rank;
  scan.C = b.dt_B_C + dt_rank + config_.d_state;
  scan.bc_stride = dt_rank + 2 * config_.d_state;
  scan.D = data(block.D);
  scan.z = b.u_z + d_inner;
  scan.z_stride = 2 * d_inner;
  scan.n_tokens = dt_low.n_tokens;
  scan.n_channels = d_inner;
  scan.n_state = config_.d_state;
  scan.first_channel = first;
  scan.last_channel = last;
  scan.state = ssm_state;
  scan.y = b.y;
  kernels::selective_scan(scan);
  for (size_t t = 0; t < dt_low.n_tokens && !block.out_scale.bytes().empty(); ++t) {
    float* y = b.y + t * d_inner + first;
    kernels::mul(y, data(block.out_scale) + first, last - first, y);
  }
}

// FalconMamba: one token's dt, B and C, each by itself and without weights.
void Mamba::normalize_dt_B_C(float* dt_B_C) const {
  const size_t dt_rank = config_.dt_rank, d_state = config_.d_state;
  float* B = dt_B_C + dt_rank;
  float* C = B + d_state;
  kernels::rms_norm({dt_B_C, 1, dt_rank, nullptr, *config_.mixer_rms_eps, dt_B_C});
  kernels::rms_norm({B, 1, d_state, nullptr, *config_.mixer_rms_eps, B});
  kernels::rms_norm({C, 1, d_state, nullptr, *config_.mixer_rms_eps, C});
}

void Mamba::mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const Block& block = blocks_[layer - first_layer_];
  const size_t d_model = config_.d_model, d_inner = config_.d_inner, d_state = config_.d_state;
  const size_t dt_rank = config_.dt_rank;
  const size_t bc_stride = dt_rank + 2 * d_state;
  float* conv_state = state.field(layout_.fields[kConv]) + layer * config_.d_conv * d_inner;
  float* ssm_state = state.field(layout_.fields[kSsm]) + layer * d_state * d_inner;
  // The rows of z follow those of u: where they do not begin at a tile of W_in, channels cannot be shared out.
  const size_t channel_grain = d_inner % kChannelGrain == 0 ? kChannelGrain : d_inner;
  const Work cost{n_tokens, d_inner * kElementwiseCost};

  const LinearInput h{b.x_norm, n_tokens, b.q};
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    kernels::rms_norm({b.x + first * d_model, last - first, d_model, data(block.norm), config_.rms_norm_eps,
                       b.x_norm + first * d_model});
    block.in_proj.prepare(h, first, last);
  });
  share(pool, d_inner, channel_grain, {n_tokens, d_model * 2 * d_inner},
        [&](size_t first, size_t last) { project(block, h, first, last, b, conv_state); });

  // [dt; B; C] = W_x u
  const LinearInput u{b.u, n_tokens, b.q};
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) { block.x_proj.prepare(u, first, last); });
  const Product x_proj{&block.x_proj, u, b.dt_B_C, bc_stride};
  multiply_all({&x_proj, 1}, pool);

  const LinearInput dt_low{b.dt_low, n_tokens, b.q};
  for (size_t t = 0; t < n_tokens; ++t) {
    if (config_.mixer_rms_eps) normalize_dt_B_C(b.dt_B_C + t * bc_stride);
    std::copy_n(b.dt_B_C + t * bc_stride, dt_rank, b.dt_low + t * dt_rank);
  }
  block.dt_proj.prepare(dt_low, 0, n_tokens);
  share(pool, d_inner, channel_grain, {n_tokens, d_inner * (dt_rank + d_state * kElementwiseCost)},
        [&](size_t first, size_t last) { scan(block, dt_low, first, last, b, ssm_state); });

  const LinearInput y{b.y, n_tokens, b.q};
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) { block.out_proj.prepare(y, first, last); });
  multiply_add(block.out_proj, y, config_.use_bias ? data(block.out_proj_bias) : nullptr, b.x_norm, b.x, pool);
}

void Mamba::run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const {
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);
  for (size_t layer = first_layer_; layer < first_layer_ + blocks_.size(); ++layer) {
    mix(layer, state, n_tokens, b, pool);
  }
}

void Mamba::measure(LinearSizes& sizes) const {
  for (const Block& block : blocks_) {
    for (const Linear* linear : {&block.in_proj, &block.x_proj, &block.dt_proj, &block.out_proj}) sizes.add(*linear);
  }
}

size_t Mamba::layers_bytes(size_t n_tokens) const {
  Arena arena;
  carve(arena, n_tokens);
  return arena.used();
}

Result<Mamba::Block> Mamba::take_block(size_t layer, WeightMap& tensors, const ModelConfig& config,
                                       const WeightOptions& options) const {
  const MambaConfig& c = config_;
  const std::string p = concat("backbone.layers.", layer, ".");
  const std::string mixer = p + "mixer.";
  const auto linear = [&](std::string_view name, size_t n_out, size_t n_in) {
    return Linear::take(tensors, mixer + std::string(name), n_out, n_in, config, options);
  };
  Block b;
  SUTRA_ASSIGN(b.norm, take_vector(tensors, p + "norm.weight", {c.d_model}));
  SUTRA_ASSIGN(b.in_proj, linear("in_proj", 2 * c.d_inner, c.d_model));
  SUTRA_ASSIGN(b.conv1d, take_transposed(tensors, mixer + "conv1d.weight", {c.d_inner, 1, c.d_conv}));
  if (c.use_conv_bias) {
    SUTRA_ASSIGN(b.conv1d_bias, take_vector(tensors, mixer + "conv1d.bias", {c.d_inner}));
  }
  SUTRA_ASSIGN(b.x_proj, linear("x_proj", c.dt_rank + 2 * c.d_state, c.d_inner));
  SUTRA_ASSIGN(b.dt_proj, linear("dt_proj", c.d_inner, c.dt_rank));
  SUTRA_ASSIGN(b.dt_bias, take_vector(tensors, mixer + "dt_proj.bias", {c.d_inner}));
  // GGUF files have A itself.
  if (tensors.contains(mixer + "A")) {
    SUTRA_ASSIGN(b.A, take_transposed(tensors, mixer + "A", {c.d_inner, c.d_state}));
  } else {
    SUTRA_ASSIGN(b.A, take_transposed(tensors, mixer + "A_log", {c.d_inner, c.d_state}));
    negative_exp(b.A);
  }
  SUTRA_ASSIGN(b.D, take_vector(tensors, mixer + "D", {c.d_inner}));
  SUTRA_ASSIGN(b.out_scale, take_vector_if_any(tensors, mixer + "out_scale", {c.d_inner}));
  SUTRA_ASSIGN(b.out_proj, linear("out_proj", c.d_model, c.d_inner));
  if (c.use_bias) {
    SUTRA_ASSIGN(b.in_proj_bias, take_vector(tensors, mixer + "in_proj.bias", {2 * c.d_inner}));
    SUTRA_ASSIGN(b.out_proj_bias, take_vector(tensors, mixer + "out_proj.bias", {c.d_model}));
  }
  return b;
}

Result<std::unique_ptr<Model>> Mamba::create(const ModelConfig& config, WeightMap& tensors,
                                             const WeightOptions& options) {
  auto model = std::make_unique<Mamba>();
  model->config_ = std::get<MambaConfig>(config.architecture);
  const MambaConfig& c = model->config_;
  model->layout_ = make_layout(c);
  SUTRA_TRY(model->take_ends({c.rms_norm_eps}, tensors, config, options));
  for (size_t layer = options.part.first_layer; layer < options.part.last_layer; ++layer) {
    SUTRA_ASSIGN(Block block, model->take_block(layer, tensors, config, options));
    model->blocks_.push_back(std::move(block));
  }
  return model;
}

}  // namespace sutra
