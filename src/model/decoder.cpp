#include "model/decoder.h"

#include <algorithm>

#include "kernels/elementwise/elementwise.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"

namespace sutra {

DecoderNames decoder_names(const DecoderConfig& config) {
  if (config.name == "bamba") {
    return {"model.final_layernorm", "pre_ff_layernorm", "feed_forward.", {"gate_proj", "up_proj", "down_proj"}};
  }
  if (config.name == "granitemoehybrid") {
    return {"model.norm", "post_attention_layernorm", "shared_mlp.", {"input_linear", "", "output_linear"}};
  }
  return {"model.norm", "post_attention_layernorm", "mlp.", {"gate_proj", "up_proj", "down_proj"}};
}

// Every intermediate of a chunk of T tokens.
struct Decoder::Buffers {
  float* x;       // [T, d_model] residual stream
  float* x_norm;  // [T, d_model]
  Attention::Buffers attention;
  Mamba2Mixer::Buffers mamba;  // where a layer is one
  GatedMlp::Buffers mlp;
};

Decoder::Buffers Decoder::carve(Arena& arena, size_t n_tokens) const {
  Buffers b{};
  b.x = arena.take<float>(n_tokens * config_.d_model);
  b.x_norm = arena.take<float>(n_tokens * config_.d_model);
  size_t input_bytes = 0;
  for_each_linear([&](const Linear& l) { input_bytes = std::max(input_bytes, l.input_bytes(n_tokens)); });
  b.attention = Attention::carve(arena, config_.attention, n_tokens, input_bytes);
  b.mamba = Mamba2Mixer::carve(arena, config_.mamba, n_tokens, input_bytes);
  b.mlp = GatedMlp::carve(arena, config_.dim_ffn, n_tokens, input_bytes);
  return b;
}

void Decoder::mix(const Block& block, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const size_t d_model = config_.d_model;
  const float scale = config_.residual_multiplier;
  const auto* attention = std::get_if<Attention>(&block.mixer);
  const auto* mamba = std::get_if<Mamba2Mixer>(&block.mixer);
  const StateField* fields = &layout_.fields[block.field];
  const auto normalize = [&](const Tensor& weight, size_t first, size_t last) {
    kernels::rms_norm(
        {b.x + first * d_model, last - first, d_model, data(weight), config_.rms_norm_eps, b.x_norm + first * d_model});
  };
  const Work cost{n_tokens, d_model * kElementwiseCost};

  // x ← x + mixer(RMSNorm(x)) · residual_multiplier
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    normalize(block.mixer_norm, first, last);
    if (attention != nullptr) attention->prepare(b.x_norm, n_tokens, first, last, b.attention);
    if (mamba != nullptr) mamba->prepare(b.x_norm, n_tokens, first, last, b.mamba);
  });
  if (attention != nullptr) {
    attention->mix(b.x_norm, n_tokens, state, {&fields[0], &fields[1]}, b.attention, scale, b.x_norm, b.x, pool);
  } else {
    mamba->mix(b.x_norm, n_tokens, state.field(fields[0]), state.field(fields[1]), b.mamba, scale, b.x_norm, b.x, pool);
  }
  // x ← x + MLP(RMSNorm(x)) · residual_multiplier
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    normalize(block.mlp_norm, first, last);
    block.mlp.prepare(b.x_norm, n_tokens, first, last, b.mlp);
  });
  block.mlp.mix(b.x_norm, n_tokens, b.mlp, scale, b.x_norm, b.x, pool);
}

void Decoder::forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, Workspace& workspace,
                      ThreadPool& pool, std::span<float> logits) const {
  const size_t n_tokens = ids.size();
  const size_t d_model = config_.d_model;
  SUTRA_ASSERT(n_tokens >= 1 && n_tokens <= workspace.max_tokens);
  SUTRA_ASSERT(layout_.n_page_floats() == 0 ||
               state.n_tokens + n_tokens <= uint64_t{state.pages.size()} * kernels::kCachePageTokens);
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);

  for (size_t t = 0; t < n_tokens; ++t) {
    float* x = b.x + t * d_model;
    embeddings_.copy_row(static_cast<size_t>(ids[t]), x);
    kernels::scale(x, config_.embedding_multiplier, d_model, x);
  }
  kernels::rope_table(frequencies_, state.n_tokens, n_tokens, b.attention.cos, b.attention.sin);
  for (const Block& block : blocks_) mix(block, state, n_tokens, b, pool);
  state.n_tokens += n_tokens;

  if (wanted == LogitsWanted::kNone) return;
  const size_t n_wanted = wanted == LogitsWanted::kAll ? n_tokens : 1;
  SUTRA_ASSERT(logits.size() == n_wanted * config_.vocab_size);
  const float* x = b.x + (n_tokens - n_wanted) * d_model;
  kernels::rms_norm({x, n_wanted, d_model, data(norm_), config_.rms_norm_eps, b.x_norm});
  // Logits are divided by logits_scaling; their input is shorter.
  kernels::scale(b.x_norm, 1.0f / config_.logits_scaling, n_wanted * d_model, b.x_norm);
  prepare_and_multiply(head_ ? *head_ : embeddings_, {b.x_norm, n_wanted, b.attention.q_q}, logits.data(), pool);
}

template <class Visit>
void Decoder::for_each_linear(const Visit& visit) const {
  visit(embeddings_);
  for (const Block& block : blocks_) {
    std::visit([&](const auto& mixer) { mixer.for_each_linear(visit); }, block.mixer);
    block.mlp.for_each_linear(visit);
  }
  if (head_) visit(*head_);
}

Result<Workspace> Decoder::create_workspace(size_t max_tokens) const {
  Arena measure;
  carve(measure, max_tokens);
  Workspace workspace;
  SUTRA_ASSIGN(workspace.buffer, AlignedBuffer::create(measure.used()));
  workspace.max_tokens = max_tokens;
  return workspace;
}

uint64_t Decoder::weight_bytes() const {
  uint64_t bytes = 0;
  for_each_linear([&](const Linear& linear) { bytes += linear.weight_bytes(); });
  return bytes;
}

Result<Decoder::Block> Decoder::take_block(size_t layer, WeightMap& tensors, const ModelConfig& config,
                                           const WeightOptions& options) {
  const DecoderConfig& c = config_;
  const DecoderNames names = decoder_names(c);
  const std::string p = concat("model.layers.", layer, ".");
  Block block;
  SUTRA_ASSIGN(block.mixer_norm, take_vector(tensors, p + "input_layernorm.weight", {c.d_model}));
  block.field = layout_.fields.size();
  if (c.is_attention[layer]) {
    SUTRA_ASSIGN(block.mixer, Attention::take(tensors, p + "self_attn.", c.attention, config, options));
    layout_.add_cache(layer, c.attention.n_kv_heads, c.attention.head_dim);
  } else {
    const Mamba2MixerConfig& m = c.mamba;
    SUTRA_ASSIGN(block.mixer, Mamba2Mixer::take(tensors, p + "mamba.", m, config, options));
    layout_.add({concat("conv.", layer), 0, 1, m.d_conv, m.conv_dim(), true, {m.conv_dim(), m.d_conv}});
    layout_.add({concat("ssm.", layer), 0, m.n_heads, m.d_state, m.head_dim, true, {m.n_heads, m.head_dim, m.d_state}});
  }
  SUTRA_ASSIGN(block.mlp_norm, take_vector(tensors, concat(p, names.mlp_norm, ".weight"), {c.d_model}));
  SUTRA_ASSIGN(block.mlp, GatedMlp::take(tensors, concat(p, names.mlp), names.matrices, c.d_model, c.dim_ffn,
                                         c.use_mlp_bias, config, options));
  return block;
}

Result<std::unique_ptr<Model>> Decoder::create(const ModelConfig& config, WeightMap& tensors,
                                               const WeightOptions& options) {
  auto model = std::make_unique<Decoder>();
  model->config_ = std::get<DecoderConfig>(config.architecture);
  const DecoderConfig& c = model->config_;
  model->layout_.max_tokens = c.max_tokens;
  model->frequencies_ = rotary_frequencies(c.attention.rope);
  SUTRA_ASSIGN(model->embeddings_,
               Linear::take(tensors, "model.embed_tokens", c.vocab_size, c.d_model, config, options));
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    SUTRA_ASSIGN(Block block, model->take_block(layer, tensors, config, options));
    model->blocks_.push_back(std::move(block));
  }
  SUTRA_ASSIGN(model->norm_, take_vector(tensors, concat(decoder_names(c).norm, ".weight"), {c.d_model}));
  if (!c.tie_word_embeddings) {
    SUTRA_ASSIGN(model->head_, Linear::take(tensors, "lm_head", c.vocab_size, c.d_model, config, options));
  }
  return model;
}

}  // namespace sutra
