#include "model/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "quant/weight_map.h"

namespace sutra {
namespace {

constexpr float kRwkvGroupNormEps = 64e-5f;
constexpr size_t kNoContextLimit = size_t{1} << 20;  // llama.cpp wants a length; there is none

const TensorEntry* find_tensor(const GgufHeader& header, std::string_view name) {
  const auto found = std::ranges::find(header.tensors, name, &TensorEntry::name);
  return found == header.tensors.end() ? nullptr : &*found;
}

// Rows of the embedding.
Result<uint64_t> vocab_size(const GgufHeader& header) {
  constexpr std::string_view kName = "token_embd.weight";
  const TensorEntry* const tensor = find_tensor(header, kName);
  if (tensor == nullptr) return fail(ErrorCode::kNotFound, "tensor '", kName, "' is missing");
  if (tensor->shape.n_dims() != 2) {
    return wrong_shape(kName, "2 dimensions", tensor->shape);
  }
  return tensor->shape[0];
}

// The text of config.json, key by key. The first error stays and is the result.
class ConfigText {
 public:
  ConfigText(const GgufHeader& header, std::string_view architecture) : header_(header), architecture_(architecture) {}

  // What a block of the file has.
  [[nodiscard]] bool has_tensor(std::string_view name) const { return find_tensor(header_, name) != nullptr; }
  [[nodiscard]] const GgufMetadata& metadata() const { return header_.metadata; }
  // Behind the architecture's name.
  [[nodiscard]] std::string key(std::string_view name) const { return concat(architecture_, ".", name); }

  // The values of the metadata; 0, false and nothing where they are not there, and with an error that is kept.
  uint64_t required_uint(std::string_view name) {
    const auto value = metadata().required_uint(key(name));
    if (!value) keep(value.error());
    return value.value_or(0);
  }
  uint64_t uint_or(std::string_view name, uint64_t fallback) {
    const auto value = metadata().find_uint(key(name));
    if (!value) keep(value.error());
    return value ? value->value_or(fallback) : fallback;
  }
  bool bool_or(std::string_view name, bool fallback) {
    const auto value = metadata().find_bool(key(name));
    if (!value) keep(value.error());
    return value ? value->value_or(fallback) : fallback;
  }
  std::string_view text_or(std::string_view name, std::string_view fallback) {
    const auto value = metadata().find_string(key(name));
    if (!value) keep(value.error());
    return value ? value->value_or(fallback) : fallback;
  }

  void add_uint(std::string_view json_key, std::string_view name) { add(json_key, concat(required_uint(name))); }
  void add_float(std::string_view json_key, std::string_view name) {
    const auto value = metadata().required_float(key(name));
    value ? add_number(json_key, name, *value) : keep(value.error());
  }
  // Nothing where the metadata has none.
  void add_float_if_any(std::string_view json_key, std::string_view name) {
    const auto value = metadata().find_float(key(name));
    if (!value) return keep(value.error());
    if (*value) add_number(json_key, name, **value);
  }
  void add(std::string_view json_key, std::string_view json) { json_.add(json_key, json); }
  void add_bool(std::string_view json_key, bool value) { json_.add_bool(json_key, value); }
  void keep(Error error) {
    if (!error_) error_ = std::move(error);
  }
  void keep_unsupported(std::string message) { keep({ErrorCode::kUnsupported, std::move(message)}); }

  Result<std::string> finish() {
    if (error_) return std::unexpected(std::move(*error_));
    return json_.text();
  }

 private:
  void add_number(std::string_view json_key, std::string_view name, double value) {
    const auto number = static_cast<float>(value);
    std::isfinite(number) ? add(json_key, json_number(number))
                          : keep({ErrorCode::kMalformed, concat("metadata '", key(name), "' is ", value)});
  }

  const GgufHeader& header_;
  std::string_view architecture_;
  JsonText json_;
  std::optional<Error> error_;
};

void add_rwkv6(ConfigText& config) {
  config.add("model_type", "\"rwkv6\"");
  config.add_uint("hidden_size", "embedding_length");
  config.add_uint("head_size", "wkv.head_size");
  config.add_uint("intermediate_size", "feed_forward_length");
  config.add_uint("time_mix_extra_dim", "time_mix_extra_dim");
  config.add_uint("time_decay_extra_dim", "time_decay_extra_dim");
  config.add_float("layer_norm_epsilon", "attention.layer_norm_epsilon");
  config.add("rescale_every", concat(config.uint_or("rescale_every_n_layers", 0)));
}

void add_rwkv7(ConfigText& config) {
  config.add("model_type", "\"rwkv7\"");
  config.add_uint("hidden_size", "embedding_length");
  config.add_uint("head_dim", "wkv.head_size");
  config.add_uint("intermediate_size", "feed_forward_length");
  config.add_uint("decay_low_rank_dim", "attention.decay_lora_rank");
  config.add_uint("a_low_rank_dim", "attention.iclr_lora_rank");
  config.add_uint("v_low_rank_dim", "attention.value_residual_mix_lora_rank");
  config.add_uint("gate_low_rank_dim", "attention.gate_lora_rank");
  config.add_float("norm_eps", "attention.layer_norm_epsilon");
  config.add("group_norm_epsilon", "64e-5");  // kRwkvGroupNormEps
}

void add_mamba(ConfigText& config) {
  const bool has_norms = config.bool_or("ssm.dt_b_c_rms", false);
  config.add("model_type", has_norms ? "\"falcon_mamba\"" : "\"mamba\"");
  config.add_uint("hidden_size", "embedding_length");
  config.add_uint("intermediate_size", "ssm.inner_size");
  config.add_uint("state_size", "ssm.state_size");
  config.add_uint("conv_kernel", "ssm.conv_kernel");
  config.add_uint("time_step_rank", "ssm.time_step_rank");
  config.add_float("layer_norm_epsilon", "attention.layer_norm_rms_epsilon");
  if (has_norms) config.add_float("mixer_rms_eps", "attention.layer_norm_rms_epsilon");
  config.add_bool("use_conv_bias", config.has_tensor("blk.0.ssm_conv1d.bias"));
  config.add_bool("use_bias", config.has_tensor("blk.0.ssm_in.bias"));
}

// `a` / `b`, which has to be a whole number; 1 where an error is kept already.
uint64_t quotient(ConfigText& config, std::string_view what, uint64_t a, uint64_t b) {
  if (b != 0 && a != 0 && a % b == 0) return a / b;
  config.keep_unsupported(concat("the GGUF file's ", what, " is ", a, ", no multiple of ", b));
  return 1;
}

// The keys of a Mamba-2 layer, called as transformers calls them.
struct Mamba2Keys {
  std::string_view n_heads, head_dim, d_state, n_groups, d_conv, conv_bias, bias;
};
constexpr Mamba2Keys kMamba2Keys = {"num_heads",   "head_dim",      "state_size", "n_groups",
                                    "conv_kernel", "use_conv_bias", "use_bias"};
constexpr Mamba2Keys kHybridKeys = {"mamba_n_heads", "mamba_d_head",    "mamba_d_state",  "mamba_n_groups",
                                    "mamba_d_conv",  "mamba_conv_bias", "mamba_proj_bias"};
// `block` is one that has such a layer, "blk.0.".
void add_mamba2_mixer(const Mamba2Keys& keys, std::string_view block, ConfigText& config) {
  const uint64_t d_inner = config.required_uint("ssm.inner_size");
  const uint64_t n_heads = config.required_uint("ssm.time_step_rank");
  config.add(keys.n_heads, concat(n_heads));
  config.add(keys.head_dim, concat(quotient(config, "ssm.inner_size", d_inner, n_heads)));
  config.add_uint(keys.d_state, "ssm.state_size");
  config.add_uint(keys.n_groups, "ssm.group_count");
  config.add_uint(keys.d_conv, "ssm.conv_kernel");
  config.add_bool(keys.conv_bias, config.has_tensor(concat(block, "ssm_conv1d.bias")));
  config.add_bool(keys.bias, config.has_tensor(concat(block, "ssm_in.bias")));
}

// Where the width decides about the inner one, and llama.cpp norms each group by itself.
void add_expanded_mamba2(std::string_view expand_key, const Mamba2Keys& keys, std::string_view block,
                         ConfigText& config) {
  config.add(expand_key, concat(quotient(config, "ssm.inner_size", config.required_uint("ssm.inner_size"),
                                         config.required_uint("embedding_length"))));
  add_mamba2_mixer(keys, block, config);
  config.add("grouped_rms_norm", "true");
}

void add_mamba2(ConfigText& config) {
  config.add("model_type", "\"mamba2\"");
  config.add_uint("hidden_size", "embedding_length");
  config.add_float("layer_norm_epsilon", "attention.layer_norm_rms_epsilon");
  add_expanded_mamba2("expand", kMamba2Keys, "blk.0.", config);
}

// What llama and granitehybrid share; the number of key-value heads is given.
uint64_t head_dim_of(ConfigText& config) {
  const uint64_t n_heads = config.required_uint("attention.head_count");
  const uint64_t d_model = config.required_uint("embedding_length");
  return config.uint_or("attention.key_length", n_heads == 0 ? 0 : d_model / n_heads);
}

void add_attention(uint64_t n_kv_heads, ConfigText& config) {
  const uint64_t n_heads = config.required_uint("attention.head_count");
  const uint64_t d_model = config.required_uint("embedding_length");
  const uint64_t head_dim = head_dim_of(config);
  if (config.uint_or("attention.value_length", head_dim) != head_dim) {
    config.keep_unsupported("attention with keys and values of different lengths is not supported");
  }
  if (const uint64_t n_experts = config.uint_or("expert_count", 0); n_experts != 0) {
    config.keep_unsupported(concat("mixtures of experts are not supported, found ", n_experts, " experts"));
  }
  config.add("hidden_size", concat(d_model));
  config.add("num_attention_heads", concat(n_heads));
  config.add("num_key_value_heads", concat(n_kv_heads));
  config.add("head_dim", concat(head_dim));
  config.add_uint("intermediate_size", "feed_forward_length");
  config.add_uint("max_position_embeddings", "context_length");
  config.add_float("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  config.add_bool("mlp_bias", config.has_tensor("blk.0.ffn_gate.bias"));
}

// llama.cpp takes a factor without a type as linear.
void add_rope(ConfigText& config) {
  config.add_float_if_any("rope_theta", "rope.freq_base");
  const std::string_view scaling = config.text_or("rope.scaling.type", "linear");
  if (scaling == "none") return;
  if (scaling != "linear") {
    return config.keep_unsupported(
        concat("rope.scaling.type \"", printable(scaling), "\" is not supported; \"none\" and \"linear\" are"));
  }
  for (const std::string_view key : {"rope.scaling.factor", "rope.scale_linear"}) {
    const auto factor = config.metadata().find_float(config.key(key));
    if (!factor) return config.keep(factor.error());
    if (!*factor || **factor == 0) continue;
    return config.add(
        "rope_scaling",
        concat("{\"rope_type\": \"linear\", \"factor\": ", json_number(static_cast<float>(**factor)), "}"));
  }
}

// Models whose heads turn whole.
void add_whole_rope(ConfigText& config) {
  const uint64_t head_dim = head_dim_of(config);
  if (config.uint_or("rope.dimension_count", head_dim) != head_dim) {
    config.keep_unsupported("rotary positions of a part of each head are not supported for this architecture");
  }
  add_rope(config);
}

void add_llama(ConfigText& config) {
  config.add("model_type", "\"llama\"");
  const uint64_t n_heads = config.uint_or("attention.head_count", 0);
  add_attention(config.uint_or("attention.head_count_kv", n_heads), config);
  config.add_bool("attention_bias", config.has_tensor("blk.0.attn_q.bias"));
  add_whole_rope(config);
}

// Heads of keys and values by layer; of a layer of Mamba-2 none.
std::vector<uint64_t> kv_heads_by_layer(ConfigText& config) {
  const std::string name = config.key("attention.head_count_kv");
  const uint64_t n_layer = config.required_uint("block_count");
  std::vector<uint64_t> heads;
  const auto array = config.metadata().find_array(name, GgufType::kI32);
  if (!array) {
    config.keep(array.error());
  } else if (*array == nullptr) {
    config.keep({ErrorCode::kNotFound, concat("metadata '", name, "' is missing")});
  } else if ((*array)->size() != n_layer) {
    config.keep({ErrorCode::kMalformed,
                 concat("metadata '", name, "' has ", (*array)->size(), " elements for ", n_layer, " layers")});
  } else {
    for (size_t i = 0; i < (*array)->size(); ++i) heads.push_back(static_cast<uint64_t>(std::max(0, (*array)->i32(i))));
  }
  return heads;
}

// Bamba where it has rotary positions, which llama.cpp takes for granted, Granite 4 where it has none.
void add_granite_hybrid(ConfigText& config) {
  const bool is_bamba = config.bool_or("rope.scaling.finetuned", true);
  const std::vector<uint64_t> heads = kv_heads_by_layer(config);
  uint64_t n_kv_heads = 0;
  std::string types, attention_layers, first_mamba;
  for (size_t layer = 0; layer < heads.size(); ++layer) {
    const bool is_attention = heads[layer] != 0;
    if (is_attention && n_kv_heads != 0 && heads[layer] != n_kv_heads) {
      config.keep_unsupported("layers with different numbers of key-value heads are not supported");
    }
    if (is_attention) {
      n_kv_heads = heads[layer];
      attention_layers += concat(attention_layers.empty() ? "" : ", ", layer);
    } else if (first_mamba.empty()) {
      first_mamba = concat("blk.", layer, ".");
    }
    types += concat(types.empty() ? "" : ", ", is_attention ? "\"attention\"" : "\"mamba\"");
  }
  config.add("model_type", is_bamba ? "\"bamba\"" : "\"granitemoehybrid\"");
  // A model of Mamba-2 layers alone has no heads.
  add_attention(n_kv_heads == 0 ? config.required_uint("attention.head_count") : n_kv_heads, config);
  add_expanded_mamba2("mamba_expand", kHybridKeys, first_mamba, config);
  if (is_bamba) {
    config.add("attn_layer_indices", concat("[", attention_layers, "]"));
    config.add_uint("attn_rotary_emb", "rope.dimension_count");
    for (const std::string_view multiplier : {"attention.scale", "embedding_scale", "residual_scale", "logit_scale"}) {
      if (config.metadata().find(config.key(multiplier)) != nullptr) {
        config.keep_unsupported(concat("granitehybrid with rotary positions and ", multiplier, " is not supported"));
      }
    }
    return add_rope(config);
  }
  config.add("layer_types", concat("[", types, "]"));
  const uint64_t dim_ffn = config.required_uint("feed_forward_length");
  config.add("shared_intermediate_size", concat(config.uint_or("expert_shared_feed_forward_length", dim_ffn)));
  config.metadata().find(config.key("attention.scale")) != nullptr
      ? config.add_float("attention_multiplier", "attention.scale")
      : config.add("attention_multiplier",
                   json_number(static_cast<float>(
                       1 / std::sqrt(static_cast<double>(std::max<uint64_t>(1, head_dim_of(config)))))));
  config.add_float_if_any("embedding_multiplier", "embedding_scale");
  config.add_float_if_any("residual_multiplier", "residual_scale");
  config.add_float_if_any("logits_scaling", "logit_scale");
}

// Its factors are in the weights.
void add_falcon_h1(ConfigText& config) {
  config.add("model_type", "\"falcon_h1\"");
  const uint64_t n_heads = config.uint_or("attention.head_count", 0);
  add_attention(config.uint_or("attention.head_count_kv", n_heads), config);
  config.add_uint("mamba_d_ssm", "ssm.inner_size");
  add_mamba2_mixer(kHybridKeys, "blk.0.", config);
  config.add_bool("mamba_rms_norm", config.has_tensor("blk.0.ssm_norm.weight"));
  config.add("mamba_norm_before_gate", "false");
  add_whole_rope(config);
}

// The same keys, written.
class MetadataWriter {
 public:
  MetadataWriter(std::string_view architecture, GgufMetadata& out) : architecture_(architecture), out_(out) {}
  void add_uint(std::string_view name, size_t value) { out_.add_u32(key(name), static_cast<uint32_t>(value)); }
  void add_float(std::string_view name, float value) { out_.add_f32(key(name), value); }
  void add_bool(std::string_view name, bool value) { out_.add_bool(key(name), value); }
  void add_text(std::string_view name, std::string value) { out_.add_text(key(name), std::move(value)); }
  void add_i32s(std::string_view name, const std::vector<int32_t>& values) { out_.add_i32s(key(name), values); }

 private:
  [[nodiscard]] std::string key(std::string_view name) const { return concat(architecture_, ".", name); }

  std::string_view architecture_;
  GgufMetadata& out_;
};

// Recurrent models, which llama.cpp wants a context and heads of as well.
void write_no_attention(MetadataWriter& out) {
  out.add_uint("context_length", kNoContextLimit);
  out.add_uint("attention.head_count", 0);
}

Status check_group_norm(float eps) {
  if (eps == kRwkvGroupNormEps) return {};
  return fail(ErrorCode::kUnsupported, "RWKV in GGUF has an epsilon of ", double{kRwkvGroupNormEps},
              " for ln_x, this model one of ", double{eps});
}

Status write_rwkv6(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<Rwkv6Config>(config.architecture);
  SUTRA_TRY(check_group_norm(c.group_norm_eps));
  write_no_attention(out);
  out.add_uint("wkv.head_size", c.head_size);
  out.add_uint("feed_forward_length", c.dim_ffn);
  out.add_uint("time_mix_extra_dim", c.mix_low_rank);
  out.add_uint("time_decay_extra_dim", c.decay_low_rank);
  out.add_uint("rescale_every_n_layers", 0);  // needed where halves overflow, and sums are in float32
  out.add_float("attention.layer_norm_epsilon", c.layer_norm_eps);
  return {};
}

Status write_rwkv7(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<Rwkv7Config>(config.architecture);
  SUTRA_TRY(check_group_norm(c.group_norm_eps));
  write_no_attention(out);
  out.add_uint("wkv.head_size", c.head_size);
  out.add_uint("feed_forward_length", c.dim_ffn);
  out.add_uint("attention.decay_lora_rank", c.decay_low_rank);
  out.add_uint("attention.iclr_lora_rank", c.a_low_rank);
  out.add_uint("attention.value_residual_mix_lora_rank", c.v_low_rank);
  out.add_uint("attention.gate_lora_rank", c.gate_low_rank);
  out.add_float("attention.layer_norm_epsilon", c.layer_norm_eps);
  return {};
}

// llama.cpp has none where Mamba's projections may have one.
Status check_no_bias(bool use_bias) {
  return use_bias ? fail(ErrorCode::kUnsupported, "in GGUF, Mamba's in_proj and out_proj have no bias") : Status();
}

Status write_mamba(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<MambaConfig>(config.architecture);
  if (c.mixer_rms_eps && *c.mixer_rms_eps != c.rms_norm_eps) {
    return fail(ErrorCode::kUnsupported,
                "FalconMamba in GGUF has one epsilon, this model two: ", double{c.rms_norm_eps}, " and ",
                double{*c.mixer_rms_eps});
  }
  SUTRA_TRY(check_no_bias(c.use_bias));
  write_no_attention(out);
  out.add_uint("feed_forward_length", 0);
  out.add_uint("ssm.conv_kernel", c.d_conv);
  out.add_uint("ssm.inner_size", c.d_inner);
  out.add_uint("ssm.state_size", c.d_state);
  out.add_uint("ssm.time_step_rank", c.dt_rank);
  out.add_float("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  out.add_bool("ssm.dt_b_c_rms", c.mixer_rms_eps.has_value());
  return {};
}

Status write_mamba2_mixer(const Mamba2MixerConfig& c, MetadataWriter& out) {
  SUTRA_TRY(check_no_bias(c.use_bias));
  if (c.norm_size != 0 && c.norm_size != c.d_inner / c.n_groups) {
    return fail(ErrorCode::kUnsupported, "Mamba-2 in GGUF has a norm of each of its ", c.n_groups,
                " groups, this model one of all channels");
  }
  if (c.time_step_min > 0 || c.time_step_max <= std::numeric_limits<float>::max()) {
    return fail(ErrorCode::kUnsupported, "Mamba-2 in GGUF has no limits of its time steps, this model has ",
                double{c.time_step_min}, " and ", double{c.time_step_max});
  }
  out.add_uint("ssm.conv_kernel", c.d_conv);
  out.add_uint("ssm.inner_size", c.d_inner);
  out.add_uint("ssm.state_size", c.d_state);
  out.add_uint("ssm.time_step_rank", c.n_heads);
  out.add_uint("ssm.group_count", c.n_groups);
  return {};
}

Status write_mamba2(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<Mamba2Config>(config.architecture);
  write_no_attention(out);
  out.add_uint("feed_forward_length", 0);
  out.add_float("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  return write_mamba2_mixer(c.mixer, out);
}

void write_attention(const DecoderConfig& c, MetadataWriter& out) {
  out.add_uint("context_length", c.max_tokens);
  out.add_uint("feed_forward_length", c.dim_ffn);
  out.add_uint("attention.head_count", c.attention.n_heads);
  out.add_uint("attention.key_length", c.attention.head_dim);
  out.add_uint("attention.value_length", c.attention.head_dim);
  out.add_float("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
}

void write_rope(const RopeConfig& rope, MetadataWriter& out) {
  out.add_uint("rope.dimension_count", rope.rotary_dim);
  out.add_float("rope.freq_base", static_cast<float>(rope.theta));
  // The factors of kLlama3 are a tensor (gguf_names.h).
  if (rope.scaling != RopeConfig::Scaling::kLinear) return;
  out.add_text("rope.scaling.type", "linear");
  out.add_float("rope.scaling.factor", static_cast<float>(rope.factor));
}

Status write_llama(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<DecoderConfig>(config.architecture);
  write_attention(c, out);
  out.add_uint("attention.head_count_kv", c.attention.n_kv_heads);
  write_rope(c.attention.rope, out);
  return {};
}

Status write_hybrid(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<DecoderConfig>(config.architecture);
  if (c.use_mlp_bias || c.attention.use_bias) {
    return fail(ErrorCode::kUnsupported, "hybrids with biases are not written as GGUF");
  }
  const bool is_bamba = c.name == "bamba";
  if (is_bamba != (c.attention.rope.rotary_dim != 0)) {
    return fail(ErrorCode::kUnsupported, "in GGUF, Bamba has rotary positions and Granite 4 none");
  }
  write_attention(c, out);
  std::vector<int32_t> n_kv_heads;
  for (const bool is_attention : c.has_attention) {
    n_kv_heads.push_back(is_attention ? static_cast<int32_t>(c.attention.n_kv_heads) : 0);
  }
  out.add_i32s("attention.head_count_kv", n_kv_heads);
  out.add_bool("rope.scaling.finetuned", is_bamba);
  if (is_bamba) {
    write_rope(c.attention.rope, out);
  } else {
    out.add_float("attention.scale", c.attention.scale);
    out.add_float("embedding_scale", c.embedding_multiplier);
    out.add_float("residual_scale", c.mlp_multiplier);
    out.add_float("logit_scale", c.logits_scaling);
  }
  return write_mamba2_mixer(c.mamba, out);
}

Status write_falcon_h1(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<DecoderConfig>(config.architecture);
  if (c.mamba.norm_size != 0 && c.mamba.norm_before_gate) {
    return fail(ErrorCode::kUnsupported, "Falcon-H1 in GGUF has its norm after the gate, this model before");
  }
  write_attention(c, out);
  out.add_uint("attention.head_count_kv", c.attention.n_kv_heads);
  write_rope(c.attention.rope, out);
  return write_mamba2_mixer(c.mamba, out);
}

// Readers are found by the file's word for an architecture, writers by ours.
struct Reader {
  std::string_view gguf_name;
  void (*add_config)(ConfigText& config);
};
constexpr Reader kReaders[] = {
    {"rwkv6", add_rwkv6},         {"rwkv7", add_rwkv7}, {"mamba", add_mamba},
    {"mamba2", add_mamba2},       {"llama", add_llama}, {"granitehybrid", add_granite_hybrid},
    {"falcon-h1", add_falcon_h1},
};
struct Writer {
  std::string_view name, gguf_name;
  Status (*write)(const ModelConfig& config, MetadataWriter& out);
};
constexpr Writer kWriters[] = {
    {"rwkv6", "rwkv6", write_rwkv6},
    {"rwkv7", "rwkv7", write_rwkv7},
    {"mamba", "mamba", write_mamba},
    {"mamba2", "mamba2", write_mamba2},
    {"llama", "llama", write_llama},
    {"bamba", "granitehybrid", write_hybrid},
    {"granitemoehybrid", "granitehybrid", write_hybrid},
    {"falcon_h1", "falcon-h1", write_falcon_h1},
};

// bos_token_id and eos_token_id, all inside the vocabulary.
Status add_token_ids(const GgufHeader& header, uint64_t n_vocab, ConfigText& config) {
  const auto find_id = [&](std::string_view name) -> Result<std::optional<uint64_t>> {
    const std::string key = concat("tokenizer.ggml.", name, "_token_id");
    SUTRA_ASSIGN(const auto id, header.metadata.find_uint(key));
    if (id && *id >= n_vocab) {
      return fail(ErrorCode::kMalformed, "metadata '", key, "': expected an id below ", n_vocab, ", found ", *id);
    }
    return id;
  };
  SUTRA_ASSIGN(const auto bos, find_id("bos"));
  if (bos) config.add("bos_token_id", std::to_string(*bos));
  std::string ends;
  // End of text, of a turn, of a message.
  for (const std::string_view name : {"eos", "eot", "eom"}) {
    SUTRA_ASSIGN(const auto id, find_id(name));
    if (id) ends += concat(ends.empty() ? "" : ", ", *id);
  }
  if (!ends.empty()) config.add("eos_token_id", concat("[", ends, "]"));
  return {};
}

}  // namespace

Result<std::string> gguf_config(const GgufHeader& header) {
  const GgufMetadata& metadata = header.metadata;
  SUTRA_ASSIGN(const std::string_view name, metadata.required_string("general.architecture"));
  const auto reader = std::ranges::find(kReaders, name, &Reader::gguf_name);
  if (reader == std::end(kReaders)) {
    std::string known;
    for (const Reader& one : kReaders) known += concat(known.empty() ? "" : ", ", one.gguf_name);
    return fail(ErrorCode::kUnsupported, "the GGUF file's architecture '", printable(name),
                "' is not supported; these are: ", known);
  }
  SUTRA_ASSIGN(const auto n_parts, metadata.find_uint("split.count"));
  if (n_parts.value_or(1) > 1) {
    return fail(ErrorCode::kUnsupported, "the GGUF file is one of ", *n_parts,
                " parts: merge them first (llama-gguf-split --merge)");
  }
  // Not always used, since most states have a fixed size; but a number it has to be.
  SUTRA_TRY(metadata.find_uint(concat(name, ".context_length")));
  SUTRA_ASSIGN(const uint64_t n_vocab, vocab_size(header));
  ConfigText config(header, name);
  reader->add_config(config);
  config.add("vocab_size", std::to_string(n_vocab));
  config.add_uint("num_hidden_layers", "block_count");
  config.add_bool("tie_word_embeddings", !config.has_tensor("output.weight"));
  SUTRA_TRY(add_token_ids(header, n_vocab, config));
  return config.finish();
}

Status write_gguf_metadata(const ModelConfig& config, GgufMetadata& out) {
  const auto writer = std::ranges::find(kWriters, config.architecture_name(), &Writer::name);
  if (writer == std::end(kWriters)) {
    return fail(ErrorCode::kUnsupported, config.architecture_name(), " is not written as GGUF");
  }
  out.add_text("general.architecture", std::string(writer->gguf_name));
  MetadataWriter keys(writer->gguf_name, out);
  keys.add_uint("embedding_length", config.n_embd());
  keys.add_uint("block_count", config.n_layer());
  keys.add_uint("vocab_size", config.vocab_size());
  return writer->write(config, keys);
}

}  // namespace sutra
