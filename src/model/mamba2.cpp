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
  size_t input_bytes = 0;
  for_each_linear([&](const Linear& l) { input_bytes = std::max(input_bytes, l.input_bytes(n_tokens)); });
  b.mixer = Mamba2Mixer::carve(arena, config_.mixer, n_tokens, input_bytes);
  return b;
}

void Mamba2::forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, Workspace& workspace,
                     ThreadPool& pool, std::span<float> logits) const {
  const size_t n_tokens = ids.size();
  const size_t d_model = config_.d_model;
  SUTRA_ASSERT(n_tokens >= 1 && n_tokens <= workspace.max_tokens);
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);
  const Mamba2MixerConfig& m = config_.mixer;
  float* conv_state = state.field(layout_.fields[kConv]);
  float* ssm_state = state.field(layout_.fields[kSsm]);

  for (size_t t = 0; t < n_tokens; ++t) embeddings_.copy_row(static_cast<size_t>(ids[t]), b.x + t * d_model);
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
  state.n_tokens += n_tokens;

  if (wanted == LogitsWanted::kNone) return;
  const size_t n_wanted = wanted == LogitsWanted::kAll ? n_tokens : 1;
  SUTRA_ASSERT(logits.size() == n_wanted * config_.vocab_size);
  const float* x = b.x + (n_tokens - n_wanted) * d_model;
  kernels::rms_norm({x, n_wanted, d_model, data(norm_f_), config_.rms_norm_eps, b.x_norm});
  prepare_and_multiply(head_ ? *head_ : embeddings_, {b.x_norm, n_wanted, b.mixer.q}, logits.data(), pool);
}

template <class Visit>
void Mamba2::for_each_linear(const Visit& visit) const {
  visit(embeddings_);
  for (const Block& block : blocks_) block.mixer.for_each_linear(visit);
  if (head_) visit(*head_);
}

Result<Workspace> Mamba2::create_workspace(size_t max_tokens) const {
  Arena measure;
  carve(measure, max_tokens);
  Workspace workspace;
  SUTRA_ASSIGN(workspace.buffer, AlignedBuffer::create(measure.used()));
  workspace.max_tokens = max_tokens;
  return workspace;
}

uint64_t Mamba2::weight_bytes() const {
  uint64_t bytes = 0;
  for_each_linear([&](const Linear& linear) { bytes += linear.weight_bytes(); });
  return bytes;
}

Result<std::unique_ptr<Model>> Mamba2::create(const ModelConfig& config, WeightMap& tensors,
                                              const WeightOptions& options) {
  auto model = std::make_unique<Mamba2>();
  model->config_ = std::get<Mamba2Config>(config.architecture);
  const Mamba2Config& c = model->config_;
  model->layout_ = make_layout(c);
  SUTRA_ASSIGN(model->embeddings_,
               Linear::take(tensors, "backbone.embeddings", c.vocab_size, c.d_model, config, options));
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    const std::string p = concat("backbone.layers.", layer, ".");
    Block block;
    SUTRA_ASSIGN(block.norm, take_vector(tensors, p + "norm.weight", {c.d_model}));
    SUTRA_ASSIGN(block.mixer, Mamba2Mixer::take(tensors, p + "mixer.", c.mixer, config, options));
    model->blocks_.push_back(std::move(block));
  }
  SUTRA_ASSIGN(model->norm_f_, take_vector(tensors, "backbone.norm_f.weight", {c.d_model}));
  if (!c.tie_word_embeddings) {
    SUTRA_ASSIGN(model->head_, Linear::take(tensors, "lm_head", c.vocab_size, c.d_model, config, options));
  }
  return model;
}

}  // namespace sutra
