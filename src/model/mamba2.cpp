#include "model/mamba2.h"

#include <algorithm>

#include "kernels/norm/norm.h"

namespace sutra {
namespace {

enum Field : size_t { kConv, kSsm };

StateLayout make_layout(const Mamba2Config& c) {
  const Mamba2MixerConfig& m = c.mixer;
  StateLayout layout;
  layout.add({"conv", 0, c.n_layer, m.d_conv, m.conv_dim(), true, {c.n_layer, m.conv_dim(), m.d_conv}});
  layout.add(
      {"ssm", 0, c.n_layer * m.n_heads, m.d_state, m.head_dim, true, {c.n_layer, m.n_heads, m.head_dim, m.d_state}});
  return layout;
}

}  // namespace

// Every intermediate of a chunk of T tokens.
struct Mamba2::Buffers {
  float* x;       // [T, d_model] residual stream
  float* x_norm;  // [T, d_model]
  Mamba2Mixer::Buffers mixer;
};

Mamba2::Buffers Mamba2::carve(Arena& arena, size_t n_tokens) const {
  Buffers b{};
  b.x = arena.take<float>(n_tokens * config_.d_model);
  b.x_norm = arena.take<float>(n_tokens * config_.d_model);
  b.mixer = Mamba2Mixer::carve(arena, config_.mixer, n_tokens, n_tokens * sizes_.input_bytes);
  return b;
}

void Mamba2::run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const {
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);
  const size_t d_model = config_.d_model;
  const Mamba2MixerConfig& m = config_.mixer;
  float* conv_state = state.field(layout_.fields[kConv]) + first_layer_ * m.d_conv * m.conv_dim();
  float* ssm_state = state.field(layout_.fields[kSsm]) + first_layer_ * m.d_inner * m.d_state;
  for (const Block& block : blocks_) {
    // x ← x + mixer(RMSNorm(x))
    share(pool, n_tokens, 1, {n_tokens, d_model * kElementwiseCost}, [&](size_t first, size_t last) {
      kernels::rms_norm({b.x + first * d_model, last - first, d_model, data(block.norm), config_.rms_norm_eps,
                         b.x_norm + first * d_model});
      block.mixer.prepare(b.x_norm, n_tokens, first, last, b.mixer);
    });
    block.mixer.mix(b.x_norm, n_tokens, conv_state, ssm_state, b.mixer, 1.0f, b.x_norm, b.x, pool);
    conv_state += m.d_conv * m.conv_dim();
    ssm_state += m.d_inner * m.d_state;
  }
}

void Mamba2::measure(LinearSizes& sizes) const {
  for (const Block& block : blocks_) block.mixer.measure(sizes);
}

size_t Mamba2::layers_bytes(size_t n_tokens) const {
  Arena arena;
  carve(arena, n_tokens);
  return arena.used();
}

Result<std::unique_ptr<Model>> Mamba2::create(const ModelConfig& config, WeightMap& tensors,
                                              const WeightOptions& options) {
  auto model = std::make_unique<Mamba2>();
  model->config_ = std::get<Mamba2Config>(config.architecture);
  const Mamba2Config& c = model->config_;
  model->layout_ = make_layout(c);
  SUTRA_TRY(model->take_ends({c.rms_norm_eps}, tensors, config, options));
  for (size_t layer = options.part.first_layer; layer < options.part.last_layer; ++layer) {
    const std::string p = concat("backbone.layers.", layer, ".");
    Block block;
    SUTRA_ASSIGN(block.norm, take_vector(tensors, p + "norm.weight", {c.d_model}));
    SUTRA_ASSIGN(block.mixer, Mamba2Mixer::take(tensors, p + "mixer.", c.mixer, config, options));
    model->blocks_.push_back(std::move(block));
  }
  return model;
}

}  // namespace sutra
