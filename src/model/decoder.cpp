#include "model/decoder.h"

#include <algorithm>

#include "kernels/elementwise/elementwise.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"

namespace sutra {

DecoderNames decoder_names(const DecoderConfig& config) {
  if (config.name == "bamba" || config.name == "falcon_h1") {
    return {"model.final_layernorm", "pre_ff_layernorm", "feed_forward.", {"gate_proj", "up_proj", "down_proj"}};
  }
  if (config.name == "granitemoehybrid") {
    return {"model.norm", "post_attention_layernorm", "shared_mlp.", {"input_linear", "", "output_linear"}};
  }
  return {"model.norm", "post_attention_layernorm", "mlp.", {"gate_proj", "up_proj", "down_proj"}};
}

// Every intermediate of a chunk of T tokens.
struct Decoder::Buffers {
  float* x;        // [T, d_model] residual stream
  float* x_norm;   // [T, d_model]
  float* scratch;  // [T, d_model], where a layer has two mixers
  Attention::Buffers attention;
  Mamba2Mixer::Buffers mamba;  // where a layer is one
  GatedMlp::Buffers mlp;
};

Decoder::Buffers Decoder::carve(Arena& arena, size_t n_tokens) const {
  Buffers b{};
  b.x = arena.take<float>(n_tokens * config_.d_model);
  b.x_norm = arena.take<float>(n_tokens * config_.d_model);
  const bool has_pairs =
      std::ranges::any_of(blocks_, [](const Block& block) { return block.attention && block.mamba; });
  b.scratch = has_pairs ? arena.take<float>(n_tokens * config_.d_model) : b.x_norm;
  size_t input_bytes = 0;
  for_each_linear([&](const Linear& l) { input_bytes = std::max(input_bytes, l.input_bytes(n_tokens)); });
  b.attention = Attention::carve(arena, config_.attention, n_tokens, input_bytes);
  b.mamba = Mamba2Mixer::carve(arena, config_.mamba, n_tokens, input_bytes);
  b.mlp = GatedMlp::carve(arena, config_.dim_ffn, n_tokens, input_bytes);
  return b;
}

void Decoder::mix(const Block& block, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const size_t d_model = config_.d_model;
  const auto normalize = [&](const Tensor& weight, size_t first, size_t last) {
    kernels::rms_norm(
        {b.x + first * d_model, last - first, d_model, data(weight), config_.rms_norm_eps, b.x_norm + first * d_model});
  };
  const Work cost{n_tokens, d_model * kElementwiseCost};

  // x ← x + m_s · Mamba2(h) + m_a · Attention(h) with h = RMSNorm(x), or one of the two
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    normalize(block.mixer_norm, first, last);
    if (block.attention) block.attention->prepare(b.x_norm, n_tokens, first, last, b.attention);
    if (block.mamba) block.mamba->prepare(b.x_norm, n_tokens, first, last, b.mamba);
  });
  if (block.mamba) {
    const StateField* fields = &layout_.fields[block.mamba_field];
    block.mamba->mix(b.x_norm, n_tokens, state.field(fields[0]), state.field(fields[1]), b.mamba,
                     config_.mamba_multiplier, b.scratch, b.x, pool);
  }
  if (block.attention) {
    const StateField* fields = &layout_.fields[block.cache_field];
    block.attention->mix(b.x_norm, n_tokens, state, {&fields[0], &fields[1]}, b.attention, config_.attention_multiplier,
                         b.scratch, b.x, pool);
  }
  // x ← x + m_m · MLP(RMSNorm(x))
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    normalize(block.mlp_norm, first, last);
    block.mlp.prepare(b.x_norm, n_tokens, first, last, b.mlp);
  });
  block.mlp.mix(b.x_norm, n_tokens, b.mlp, config_.mlp_multiplier, b.x_norm, b.x, pool);
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
    if (block.mamba) block.mamba->for_each_linear(visit);
    if (block.attention) block.attention->for_each_linear(visit);
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
  if (c.has_attention[layer]) {
    SUTRA_ASSIGN(block.attention, Attention::take(tensors, p + "self_attn.", c.attention, config, options));
    block.cache_field = layout_.fields.size();
    layout_.add_cache(layer, c.attention.n_kv_heads, c.attention.head_dim);
  }
  if (c.has_mamba[layer]) {
    const Mamba2MixerConfig& m = c.mamba;
    SUTRA_ASSIGN(block.mamba, Mamba2Mixer::take(tensors, p + "mamba.", m, config, options));
    block.mamba_field = layout_.fields.size();
    layout_.add({concat("conv.", layer), 0, 1, m.d_conv, m.conv_dim(), true, {m.conv_dim(), m.d_conv}});
    layout_.add({concat("ssm.", layer), 0, m.n_heads, m.d_state, m.head_dim, true, {m.n_heads, m.head_dim, m.d_state}});
  }
  SUTRA_ASSIGN(block.mlp_norm, take_vector(tensors, concat(p, names.mlp_norm, ".weight"), {c.d_model}));
  SUTRA_ASSIGN(block.mlp, GatedMlp::take(tensors, concat(p, names.mlp), names.matrices, c, config, options));
  return block;
}

// GGUF files have what the frequencies of Llama 3 are divided by as a tensor.
Status Decoder::divide_frequencies(WeightMap& tensors, std::vector<double>& frequencies) {
  constexpr std::string_view kFactors = "rope_freqs.weight";
  if (frequencies.empty() || !tensors.contains(kFactors)) return {};
  SUTRA_ASSIGN(const Tensor factors, take_vector(tensors, kFactors, {frequencies.size()}));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float factor = factors.as<float>()[i];
    frequencies[i] /= static_cast<double>(factor);
    if (!(frequencies[i] > 0 && frequencies[i] <= 1)) {
      return fail(ErrorCode::kMalformed, "tensor '", kFactors, "': element ", i, " cannot be ", double{factor});
    }
  }
  return {};
}

Result<std::unique_ptr<Model>> Decoder::create(const ModelConfig& config, WeightMap& tensors,
                                               const WeightOptions& options) {
  auto model = std::make_unique<Decoder>();
  model->config_ = std::get<DecoderConfig>(config.architecture);
  const DecoderConfig& c = model->config_;
  model->layout_.max_tokens = c.max_tokens;
  model->frequencies_ = rotary_frequencies(c.attention.rope);
  SUTRA_TRY(divide_frequencies(tensors, model->frequencies_));
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
