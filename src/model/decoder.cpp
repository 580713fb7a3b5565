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
  const size_t input_bytes = n_tokens * sizes_.input_bytes;
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

void Decoder::run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const {
  SUTRA_ASSERT(layout_.n_page_floats() == 0 ||
               state.n_tokens + n_tokens <= uint64_t{state.pages.size()} * kernels::kCachePageTokens);
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);
  kernels::rope_table(frequencies_, state.n_tokens, n_tokens, b.attention.cos, b.attention.sin);
  for (const Block& block : blocks_) mix(block, state, n_tokens, b, pool);
}

void Decoder::measure(LinearSizes& sizes) const {
  for (const Block& block : blocks_) {
    if (block.mamba) block.mamba->measure(sizes);
    if (block.attention) block.attention->measure(sizes);
    block.mlp.measure(sizes);
  }
}

size_t Decoder::layers_bytes(size_t n_tokens) const {
  Arena arena;
  carve(arena, n_tokens);
  return arena.used();
}

// The fields of a layer's mixers.
void Decoder::add_state(size_t layer, Block& block) {
  const DecoderConfig& c = config_;
  if (c.has_attention[layer]) {
    block.cache_field = layout_.fields.size();
    layout_.add_cache(layer, c.attention.n_kv_heads, c.attention.head_dim);
  }
  if (c.has_mamba[layer]) {
    const Mamba2MixerConfig& m = c.mamba;
    block.mamba_field = layout_.fields.size();
    layout_.add({concat("conv.", layer), 0, 1, m.d_conv, m.conv_dim(), true, {m.conv_dim(), m.d_conv}});
    layout_.add({concat("ssm.", layer), 0, m.n_heads, m.d_state, m.head_dim, true, {m.n_heads, m.head_dim, m.d_state}});
  }
}

Status Decoder::take_block(size_t layer, WeightMap& tensors, const ModelConfig& config, const WeightOptions& options,
                           Block& block) const {
  const DecoderConfig& c = config_;
  const DecoderNames names = decoder_names(c);
  const std::string p = concat("model.layers.", layer, ".");
  SUTRA_ASSIGN(block.mixer_norm, take_vector(tensors, p + "input_layernorm.weight", {c.d_model}));
  if (c.has_attention[layer]) {
    SUTRA_ASSIGN(block.attention, Attention::take(tensors, p + "self_attn.", c.attention, config, options));
  }
  if (c.has_mamba[layer]) {
    SUTRA_ASSIGN(block.mamba, Mamba2Mixer::take(tensors, p + "mamba.", c.mamba, config, options));
  }
  SUTRA_ASSIGN(block.mlp_norm, take_vector(tensors, concat(p, names.mlp_norm, ".weight"), {c.d_model}));
  SUTRA_ASSIGN(block.mlp, GatedMlp::take(tensors, concat(p, names.mlp), names.matrices, c, config, options));
  return {};
}

// GGUF files have what the frequencies of Llama 3 are divided by as a tensor.
Status Decoder::divide_frequencies(WeightMap& tensors, std::vector<double>& frequencies) {
  if (frequencies.empty() || !tensors.contains(kRopeFactorsName)) return {};
  SUTRA_ASSIGN(const Tensor factors, take_vector(tensors, kRopeFactorsName, {frequencies.size()}));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float factor = factors.as<float>()[i];
    frequencies[i] /= static_cast<double>(factor);
    if (!(frequencies[i] > 0 && frequencies[i] <= 1)) {
      return fail(ErrorCode::kMalformed, "tensor '", kRopeFactorsName, "': element ", i, " cannot be ", double{factor});
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
  const Ends ends{c.rms_norm_eps, c.embedding_multiplier, 1.0f / c.logits_scaling};
  SUTRA_TRY(model->take_ends(ends, tensors, config, options));
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    Block block;
    model->add_state(layer, block);
    if (layer < options.part.first_layer || layer >= options.part.last_layer) continue;
    SUTRA_TRY(model->take_block(layer, tensors, config, options, block));
    model->blocks_.push_back(std::move(block));
  }
  return model;
}

}  // namespace sutra
