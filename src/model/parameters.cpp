#include "model/parameters.h"

#include "model/decoder.h"
#include "model/parameter_list.h"

namespace sutra {
namespace {

// y = W2 f(W1 x) + bias
void add_low_rank(std::vector<Parameter>& out, const std::string& name, size_t n_embd, size_t rank, Initialise bias) {
  add_matrix(out, name + ".lora.0", rank, n_embd, fan_in(n_embd, 0.1));
  add_matrix(out, name + ".lora.2", n_embd, rank, fan_in(rank, 0.1));
  if (bias) out.push_back({name + ".lora.2.bias", {n_embd}, false, std::move(bias)});
}

void add_rwkv7_layer(const Rwkv7Config& c, size_t layer, std::vector<Parameter>& out) {
  const size_t n_embd = c.n_embd;
  const auto width = static_cast<double>(n_embd);
  const std::string p = concat("model.layers.", layer, ".");
  const std::string attn = p + "attn.";
  const double depth = static_cast<double>(layer) / static_cast<double>(std::max<size_t>(1, c.n_layer - 1));
  const double above = 1 - static_cast<double>(layer) / static_cast<double>(c.n_layer);
  const auto mix_of = [=](double power) {
    return by_channel([=](double i) { return 1 - std::pow(i / width, power); });
  };
  const auto mix = [&](std::string_view name, double power) {
    out.push_back({attn + std::string(name), {1, 1, n_embd}, false, mix_of(power)});
  };
  const auto vector = [&](std::string_view name, Initialise initialise) {
    out.push_back({attn + std::string(name), {n_embd}, false, std::move(initialise)});
  };
  const double last = std::max(1.0, width - 1);

  add_norm(out, p + "attn_norm", n_embd);
  mix("x_r", 0.2 * above);
  mix("x_w", 0.9 * above);
  mix("x_k", 0.7 * above);
  mix("x_v", 0.7 * above);
  mix("x_a", 0.9 * above);
  mix("x_g", 0.2 * above);
  add_matrix(out, attn + "r_proj", n_embd, n_embd, fan_in(n_embd, 0.5));
  add_matrix(out, attn + "k_proj", n_embd, n_embd, fan_in(n_embd, 0.05));
  add_matrix(out, attn + "v_proj", n_embd, n_embd, fan_in(n_embd, 0.5));
  add_matrix(out, attn + "o_proj", n_embd, n_embd, fan_in(n_embd, 0.05));
  add_low_rank(out, attn + "w_lora", n_embd, c.decay_low_rank,
               by_channel([=](double i) { return -6.5 + 5 * std::pow(i / last, 0.85 + std::sqrt(depth)); }));
  add_low_rank(out, attn + "a_lora", n_embd, c.a_low_rank,
               by_channel([=](double i) { return -0.19 + 0.4 * (i / last - 0.5); }));
  if (layer > 0) {
    add_low_rank(out, attn + "v_lora", n_embd, c.v_low_rank,
                 by_channel([=](double i) { return 0.73 - 0.4 * (i / last - 0.5); }));
  }
  add_low_rank(out, attn + "g_lora", n_embd, c.gate_low_rank, nullptr);
  vector("k_k", by_channel([=](double i) { return 0.71 - 0.1 * (i / last - 0.5); }));
  vector("k_a", constant(1.02));
  out.push_back({attn + "r_k", {c.n_head, c.head_size}, false, constant(-0.04)});
  const double ln_x = std::pow((1 + static_cast<double>(layer)) / static_cast<double>(c.n_layer), 0.7);
  add_norm(out, attn + "g_norm", n_embd, constant(ln_x));

  add_norm(out, p + "ffn_norm", n_embd);
  out.push_back({p + "ffn.x_k", {n_embd}, false, mix_of(std::pow(above, 4))});
  add_matrix(out, p + "ffn.key", c.dim_ffn, n_embd, fan_in(n_embd, 0.5));
  add_matrix(out, p + "ffn.value", n_embd, c.dim_ffn, fan_in(c.dim_ffn, 0.05));
}

std::vector<Parameter> parameters_of(const Rwkv7Config& c) {
  std::vector<Parameter> out;
  add_matrix(out, "model.embeddings", c.vocab_size, c.n_embd, uniform(1e-2));
  add_norm(out, "model.layers.0.pre_norm", c.n_embd);
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    const size_t first = out.size();
    add_rwkv7_layer(c, layer, out);
    set_layer(out, first, layer);
  }
  add_norm(out, "model.norm", c.n_embd);
  if (!c.tie_word_embeddings) add_matrix(out, "lm_head", c.vocab_size, c.n_embd, fan_in(c.n_embd, 0.5));
  return out;
}

// softplus of the bias is a step length between 0.001 and 0.1, uniform in its logarithm.
void initialise_dt_bias(Rng& rng, std::span<float> values) {
  for (float& v : values) {
    const double dt = std::exp(std::log(1e-3) + rng.next_unit() * std::log(100.0));
    v = static_cast<float>(dt + std::log(-std::expm1(-dt)));
  }
}

std::vector<Parameter> parameters_of(const MambaConfig& c) {
  std::vector<Parameter> out;
  add_matrix(out, "backbone.embeddings", c.vocab_size, c.d_model, uniform(0.02 * std::sqrt(3.0)));
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    const size_t first = out.size();
    const std::string p = concat("backbone.layers.", layer, ".");
    const std::string mixer = p + "mixer.";
    out.push_back({p + "norm.weight", {c.d_model}, false, constant(1)});
    add_matrix(out, mixer + "in_proj", 2 * c.d_inner, c.d_model, fan_in(c.d_model, 1));
    if (c.use_bias) out.push_back({mixer + "in_proj.bias", {2 * c.d_inner}, false, constant(0)});
    out.push_back({mixer + "conv1d.weight", {c.d_inner, 1, c.d_conv}, false, fan_in(c.d_conv, 1)});
    if (c.use_conv_bias) out.push_back({mixer + "conv1d.bias", {c.d_inner}, false, fan_in(c.d_conv, 1)});
    add_matrix(out, mixer + "x_proj", c.dt_rank + 2 * c.d_state, c.d_inner, fan_in(c.d_inner, 1));
    add_matrix(out, mixer + "dt_proj", c.d_inner, c.dt_rank, fan_in(c.dt_rank, 1));
    out.push_back({mixer + "dt_proj.bias", {c.d_inner}, false, initialise_dt_bias});
    const size_t d_state = c.d_state;
    out.push_back({mixer + "A_log", {c.d_inner, d_state}, false, [d_state](Rng&, std::span<float> values) {
                     for (size_t i = 0; i < values.size(); ++i) {
                       values[i] = static_cast<float>(std::log(static_cast<double>(i % d_state + 1)));
                     }
                   }});
    out.push_back({mixer + "D", {c.d_inner}, false, constant(1)});
    const double depth = std::sqrt(static_cast<double>(c.n_layer));
    add_matrix(out, mixer + "out_proj", c.d_model, c.d_inner, fan_in(c.d_inner, 1 / depth));
    if (c.use_bias) out.push_back({mixer + "out_proj.bias", {c.d_model}, false, constant(0)});
    set_layer(out, first, layer);
  }
  out.push_back({"backbone.norm_f.weight", {c.d_model}, false, constant(1)});
  if (!c.tie_word_embeddings) add_matrix(out, "lm_head", c.vocab_size, c.d_model, fan_in(c.d_model, 1));
  return out;
}

void add_bias(std::vector<Parameter>& out, const std::string& name, size_t n) {
  out.push_back({name + ".bias", {n}, false, constant(0)});
}

// A between −16 and −1, uniform.
void initialise_A_log(Rng& rng, std::span<float> values) {
  for (float& v : values) v = static_cast<float>(std::log(1 + 15 * rng.next_unit()));
}

// `depth` is the square root of the number of layers.
void add_mamba2_mixer(const Mamba2MixerConfig& c, const std::string& p, double depth, std::vector<Parameter>& out) {
  add_matrix(out, p + "in_proj", c.in_proj_dim(), c.d_model, fan_in(c.d_model, 1));
  if (c.use_bias) add_bias(out, p + "in_proj", c.in_proj_dim());
  out.push_back({p + "conv1d.weight", {c.conv_dim(), 1, c.d_conv}, false, fan_in(c.d_conv, 1)});
  if (c.use_conv_bias) out.push_back({p + "conv1d.bias", {c.conv_dim()}, false, fan_in(c.d_conv, 1)});
  out.push_back({p + "dt_bias", {c.n_heads}, false, initialise_dt_bias});
  out.push_back({p + "A_log", {c.n_heads}, false, initialise_A_log});
  out.push_back({p + "D", {c.n_heads}, false, constant(1)});
  if (c.norm_size > 0) out.push_back({p + "norm.weight", {c.d_inner}, false, constant(1)});
  add_matrix(out, p + "out_proj", c.d_model, c.d_inner, fan_in(c.d_inner, 1 / depth));
  if (c.use_bias) add_bias(out, p + "out_proj", c.d_model);
}

std::vector<Parameter> parameters_of(const Mamba2Config& c) {
  std::vector<Parameter> out;
  add_matrix(out, "backbone.embeddings", c.vocab_size, c.d_model, uniform(0.02 * std::sqrt(3.0)));
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    const size_t first = out.size();
    const std::string p = concat("backbone.layers.", layer, ".");
    out.push_back({p + "norm.weight", {c.d_model}, false, constant(1)});
    add_mamba2_mixer(c.mixer, p + "mixer.", std::sqrt(static_cast<double>(c.n_layer)), out);
    set_layer(out, first, layer);
  }
  out.push_back({"backbone.norm_f.weight", {c.d_model}, false, constant(1)});
  if (!c.tie_word_embeddings) add_matrix(out, "lm_head", c.vocab_size, c.d_model, fan_in(c.d_model, 1));
  return out;
}

void add_attention(const AttentionConfig& c, const std::string& p, double depth, std::vector<Parameter>& out) {
  const size_t q_dim = c.n_heads * c.head_dim, kv_dim = c.n_kv_heads * c.head_dim;
  const auto matrix = [&](const std::string& name, size_t n_out, size_t n_in, double gain) {
    add_matrix(out, p + name, n_out, n_in, fan_in(n_in, gain));
    if (c.use_bias) add_bias(out, p + name, n_out);
  };
  matrix("q_proj", q_dim, c.d_model, 1);
  matrix("k_proj", kv_dim, c.d_model, 1);
  matrix("v_proj", kv_dim, c.d_model, 1);
  matrix("o_proj", c.d_model, q_dim, 1 / depth);
}

std::vector<Parameter> parameters_of(const DecoderConfig& c) {
  const DecoderNames names = decoder_names(c);
  const double depth = std::sqrt(2 * static_cast<double>(c.n_layer));
  std::vector<Parameter> out;
  add_matrix(out, "model.embed_tokens", c.vocab_size, c.d_model, uniform(0.02 * std::sqrt(3.0)));
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    const size_t first = out.size();
    const std::string p = concat("model.layers.", layer, ".");
    out.push_back({p + "input_layernorm.weight", {c.d_model}, false, constant(1)});
    if (c.has_attention[layer]) add_attention(c.attention, p + "self_attn.", depth, out);
    if (c.has_mamba[layer]) add_mamba2_mixer(c.mamba, p + "mamba.", depth, out);
    out.push_back({concat(p, names.mlp_norm, ".weight"), {c.d_model}, false, constant(1)});
    const auto matrix = [&](std::string_view name, size_t n_out, size_t n_in, double gain) {
      add_matrix(out, concat(p, names.mlp, name), n_out, n_in, fan_in(n_in, gain));
      if (c.use_mlp_bias) add_bias(out, concat(p, names.mlp, name), n_out);
    };
    const bool has_up = !names.matrices.up.empty();
    matrix(names.matrices.gate, has_up ? c.dim_ffn : 2 * c.dim_ffn, c.d_model, 1);
    if (has_up) matrix(names.matrices.up, c.dim_ffn, c.d_model, 1);
    matrix(names.matrices.down, c.d_model, c.dim_ffn, 1 / depth);
    set_layer(out, first, layer);
  }
  out.push_back({concat(names.norm, ".weight"), {c.d_model}, false, constant(1)});
  if (!c.tie_word_embeddings) add_matrix(out, "lm_head", c.vocab_size, c.d_model, fan_in(c.d_model, 1));
  return out;
}

}  // namespace

std::vector<Parameter> parameters(const ModelConfig& config) {
  return std::visit([](const auto& c) { return parameters_of(c); }, config.architecture);
}

}  // namespace sutra
