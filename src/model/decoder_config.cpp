// The config.json of decoders: Llama, Bamba, Granite 4 hybrid.
#include <algorithm>
#include <cmath>

#include "kernels/attention/attention.h"
#include "model/config_reader.h"

namespace sutra {
namespace {

Result<double> scaling_number(const JsonObject& scaling, std::string_view key) {
  return scaling.required_float(key, 1, 1e6);
}

// How positions beyond those of the training are squeezed. The object is `rope_parameters` of transformers 5 or
// `rope_scaling` of older files, whose type may be called "type".
Status read_rope_scaling(const JsonObject& scaling, size_t max_tokens, RopeConfig& c) {
  SUTRA_ASSIGN(const std::string old_type, scaling.optional_string("type", "default"));
  SUTRA_ASSIGN(const std::string type, scaling.optional_string("rope_type", old_type));
  if (type == "default") return {};
  if (type == "linear") {
    c.scaling = RopeConfig::Scaling::kLinear;
    SUTRA_ASSIGN(c.factor, scaling_number(scaling, "factor"));
    return {};
  }
  if (type == "llama3") {
    c.scaling = RopeConfig::Scaling::kLlama3;
    SUTRA_ASSIGN(c.factor, scaling_number(scaling, "factor"));
    SUTRA_ASSIGN(c.low_freq_factor, scaling_number(scaling, "low_freq_factor"));
    SUTRA_ASSIGN(c.high_freq_factor, scaling_number(scaling, "high_freq_factor"));
    SUTRA_ASSIGN(c.original_max_position,
                 scaling.optional_float("original_max_position_embeddings", static_cast<double>(max_tokens), 1, 1e9));
    if (c.low_freq_factor >= c.high_freq_factor) {
      return fail(ErrorCode::kMalformed, "config.json: rope: 'low_freq_factor' ", c.low_freq_factor,
                  " must be below 'high_freq_factor' ", c.high_freq_factor);
    }
    return {};
  }
  return fail(ErrorCode::kUnsupported, "config.json: rope type \"", printable(type),
              "\" is not supported; \"default\", \"linear\" and \"llama3\" are");
}

// Of heads that turn `rotary_dim` of their channels.
Status read_rope(const JsonObject& json, size_t rotary_dim, size_t max_tokens, RopeConfig& c) {
  SUTRA_ASSIGN(c.theta, json.optional_float("rope_theta", 10000.0, 1, 1e12));
  SUTRA_ASSIGN(const std::optional<JsonObject> parameters, json.optional_object("rope_parameters"));
  if (parameters) {
    SUTRA_ASSIGN(c.theta, parameters->optional_float("rope_theta", c.theta, 1, 1e12));
    SUTRA_TRY(read_rope_scaling(*parameters, max_tokens, c));
  }
  SUTRA_ASSIGN(const std::optional<JsonObject> scaling, json.optional_object("rope_scaling"));
  if (scaling) SUTRA_TRY(read_rope_scaling(*scaling, max_tokens, c));
  c.rotary_dim = rotary_dim;
  if (rotary_dim % 2 != 0) {
    return fail(ErrorCode::kMalformed, "config.json: rotary positions need an even number of channels, found ",
                rotary_dim);
  }
  return {};
}

// models/hybrid.md, "Bamba's rotary positions".
Result<size_t> bamba_rotary_dim(const JsonObject& json, size_t head_dim) {
  SUTRA_ASSIGN(const double factor, json.optional_float("partial_rotary_factor", 0.5, 0, 1));
  const auto partial = static_cast<size_t>(static_cast<double>(head_dim) * factor);
  SUTRA_ASSIGN(const uint64_t rotary_dim,
               json.optional_uint("attn_rotary_emb", json.has("rope_parameters") ? head_dim : partial, 0, head_dim));
  return static_cast<size_t>(rotary_dim);
}

Result<AttentionConfig> read_attention(const JsonObject& json, size_t d_model) {
  AttentionConfig c{};
  c.d_model = d_model;
  SUTRA_ASSIGN(c.n_heads, width(json, "num_attention_heads"));
  SUTRA_ASSIGN(c.n_kv_heads, width_or(json, "num_key_value_heads", c.n_heads));
  SUTRA_ASSIGN(c.head_dim, width_or(json, "head_dim", std::max<size_t>(1, d_model / c.n_heads)));
  if (c.n_heads % c.n_kv_heads != 0) {
    return fail(ErrorCode::kMalformed, "config.json: ", c.n_heads, " attention heads cannot share ", c.n_kv_heads,
                " heads of keys and values");
  }
  if (uint64_t{c.n_heads} * c.head_dim > kMaxWidth) {
    return fail(ErrorCode::kTooLarge, "config.json: ", c.n_heads, " heads of ", c.head_dim, " channels exceed ",
                kMaxWidth);
  }
  SUTRA_ASSIGN(c.use_bias, json.optional_bool("attention_bias", false));
  c.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.head_dim)));
  return c;
}

// "mamba" or "attention" for every layer.
Result<std::vector<bool>> read_layer_types(const JsonObject& json, size_t n_layer) {
  SUTRA_ASSIGN(const std::vector<std::string> old_types, json.optional_strings("layers_block_type"));
  SUTRA_ASSIGN(std::vector<std::string> types, json.optional_strings("layer_types"));
  if (types.empty()) types = old_types;
  if (types.size() != n_layer) {
    return fail(ErrorCode::kMalformed, "config.json: 'layer_types' must name ", n_layer, " layers, found ",
                types.size());
  }
  std::vector<bool> is_attention;
  for (const std::string& type : types) {
    if (type != "mamba" && type != "attention") {
      return fail(ErrorCode::kUnsupported, "config.json: 'layer_types' must be \"mamba\" or \"attention\", found \"",
                  printable(type), "\"");
    }
    is_attention.push_back(type == "attention");
  }
  return is_attention;
}

Status read_llama(const JsonObject& json, DecoderConfig& c) {
  c.name = "llama";
  c.is_attention.assign(c.n_layer, true);
  SUTRA_ASSIGN(c.dim_ffn, width(json, "intermediate_size"));
  SUTRA_ASSIGN(c.use_mlp_bias, json.optional_bool("mlp_bias", false));
  return read_rope(json, c.attention.head_dim, c.max_tokens, c.attention.rope);
}

Status read_bamba(const JsonObject& json, DecoderConfig& c) {
  c.name = "bamba";
  c.is_attention.assign(c.n_layer, false);
  SUTRA_ASSIGN(const std::vector<uint64_t> attention_layers, json.optional_uints("attn_layer_indices"));
  for (const uint64_t layer : attention_layers) {
    if (layer >= c.n_layer) {
      return fail(ErrorCode::kMalformed, "config.json: 'attn_layer_indices' holds ", layer, " of ", c.n_layer,
                  " layers");
    }
    c.is_attention[static_cast<size_t>(layer)] = true;
  }
  SUTRA_ASSIGN(c.dim_ffn, width(json, "intermediate_size"));
  SUTRA_ASSIGN(c.use_mlp_bias, json.optional_bool("mlp_bias", false));
  SUTRA_ASSIGN(const size_t rotary_dim, bamba_rotary_dim(json, c.attention.head_dim));
  return read_rope(json, rotary_dim, c.max_tokens, c.attention.rope);
}

Result<bool> has_rotary_positions(const JsonObject& json) {
  SUTRA_ASSIGN(const std::string type, json.optional_string("position_embedding_type", "nope"));
  if (type == "rope" || type == "nope") return type == "rope";
  return fail(ErrorCode::kUnsupported, "config.json: 'position_embedding_type' must be \"rope\" or \"nope\", found \"",
              printable(type), "\"");
}

Status read_granite_hybrid(const JsonObject& json, DecoderConfig& c) {
  c.name = "granitemoehybrid";
  SUTRA_ASSIGN(c.is_attention, read_layer_types(json, c.n_layer));
  SUTRA_ASSIGN(const uint64_t n_experts, json.optional_uint("num_local_experts", 0, 0, kMaxWidth));
  if (n_experts != 0) {
    return fail(ErrorCode::kUnsupported,
                "config.json: mixtures of experts are not supported, found 'num_local_experts' ", n_experts);
  }
  SUTRA_ASSIGN(c.dim_ffn, width(json, "shared_intermediate_size"));
  SUTRA_ASSIGN(c.embedding_multiplier, multiplier_or(json, "embedding_multiplier", 1));
  SUTRA_ASSIGN(c.residual_multiplier, multiplier_or(json, "residual_multiplier", 1));
  SUTRA_ASSIGN(c.logits_scaling, multiplier_or(json, "logits_scaling", 1));
  SUTRA_ASSIGN(c.attention.scale, multiplier_or(json, "attention_multiplier", 1));
  SUTRA_ASSIGN(const bool has_positions, has_rotary_positions(json));
  if (!has_positions) return {};
  return read_rope(json, c.attention.head_dim, c.max_tokens, c.attention.rope);
}

Status check_memory_of(const DecoderConfig& c) {
  const AttentionConfig& a = c.attention;
  const auto n_attention = static_cast<uint64_t>(std::ranges::count(c.is_attention, true));
  const uint64_t n_mamba = c.n_layer - n_attention;
  const uint64_t q = uint64_t{a.n_heads} * a.head_dim, kv = uint64_t{a.n_kv_heads} * a.head_dim;
  uint64_t token_floats = 2 * c.d_model + 3 * c.dim_ffn + 2 * q + 2 * kv + a.rope.rotary_dim;
  uint64_t state_floats = 0;
  if (n_mamba > 0) {
    token_floats += mamba2_token_floats(c.mamba);
    state_floats = n_mamba * mamba2_state_floats(c.mamba);
  }
  return check_memory(token_floats, state_floats, n_attention * 2 * kv * kernels::kCachePageTokens);
}

}  // namespace

Result<DecoderConfig> read_decoder(const JsonObject& json, std::string_view model_type) {
  DecoderConfig c{};
  SUTRA_TRY(read_sizes(json, c));
  SUTRA_ASSIGN(c.d_model, width(json, "hidden_size"));
  SUTRA_ASSIGN(const uint64_t max_tokens, json.optional_uint("max_position_embeddings", 2048, 1, kMaxPositions));
  c.max_tokens = static_cast<size_t>(max_tokens);
  SUTRA_ASSIGN(c.attention, read_attention(json, c.d_model));
  SUTRA_TRY(require_string(json, "hidden_act", "silu"));
  SUTRA_ASSIGN(c.rms_norm_eps, epsilon(json, "rms_norm_eps", model_type == "llama" ? 1e-6 : 1e-5));
  SUTRA_ASSIGN(c.tie_word_embeddings, json.optional_bool("tie_word_embeddings", false));
  c.embedding_multiplier = c.residual_multiplier = c.logits_scaling = 1;
  if (model_type == "llama") {
    SUTRA_TRY(read_llama(json, c));
  } else if (model_type == "bamba") {
    SUTRA_TRY(read_bamba(json, c));
  } else {
    SUTRA_TRY(read_granite_hybrid(json, c));
  }
  if (std::ranges::count(c.is_attention, false) > 0) {
    SUTRA_ASSIGN(c.mamba, read_mamba2_mixer(json, c.d_model));
  }
  SUTRA_TRY(check_memory_of(c));
  return c;
}

}  // namespace sutra
