// The config.json of decoders: Llama, Bamba, Granite 4 hybrid, Falcon-H1.
#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/attention/attention.h"
#include "model/config_reader.h"

namespace sutra {
namespace {

double scaling_number(ConfigReader& scaling, std::string_view key) { return scaling.required_float(key, 1, 1e6); }

// How positions beyond those of the training are squeezed. The object is `rope_parameters` of transformers 5 or
// `rope_scaling` of older files, whose type may be called "type".
void read_rope_scaling(ConfigReader& scaling, size_t max_tokens, RopeConfig& c) {
  const std::string old_type = scaling.string_or("type", "default");
  const std::string type = scaling.string_or("rope_type", old_type);
  if (type == "default") return;
  if (type == "linear") {
    c.scaling = RopeConfig::Scaling::kLinear;
    c.factor = scaling_number(scaling, "factor");
    return;
  }
  if (type == "llama3") {
    c.scaling = RopeConfig::Scaling::kLlama3;
    c.factor = scaling_number(scaling, "factor");
    c.low_freq_factor = scaling_number(scaling, "low_freq_factor");
    c.high_freq_factor = scaling_number(scaling, "high_freq_factor");
    c.original_max_position =
        scaling.float_or("original_max_position_embeddings", static_cast<double>(max_tokens), 1, 1e9);
    if (c.low_freq_factor >= c.high_freq_factor) {
      scaling.refuse(ErrorCode::kMalformed, "rope: 'low_freq_factor' ", c.low_freq_factor,
                     " must be below 'high_freq_factor' ", c.high_freq_factor);
    }
    return;
  }
  scaling.refuse(ErrorCode::kUnsupported, "rope type \"", printable(type),
                 "\" is not supported; \"default\", \"linear\" and \"llama3\" are");
}

// Of heads that turn `rotary_dim` of their channels.
void read_rope(ConfigReader& json, size_t rotary_dim, size_t max_tokens, RopeConfig& c) {
  c.theta = json.float_or("rope_theta", 10000.0, 1, 1e12);
  const std::optional<JsonObject> parameters = json.object("rope_parameters");
  if (parameters) {
    ConfigReader nested(*parameters);
    c.theta = nested.float_or("rope_theta", c.theta, 1, 1e12);
    read_rope_scaling(nested, max_tokens, c);
    json.keep(nested.status());
  }
  const std::optional<JsonObject> scaling = json.object("rope_scaling");
  if (scaling) {
    ConfigReader nested(*scaling);
    read_rope_scaling(nested, max_tokens, c);
    json.keep(nested.status());
  }
  c.rotary_dim = rotary_dim;
  if (rotary_dim % 2 != 0) {
    json.refuse(ErrorCode::kMalformed, "rotary positions need an even number of channels, found ", rotary_dim);
  }
}

// models/hybrid.md, "Bamba's rotary positions".
size_t bamba_rotary_dim(ConfigReader& json, size_t head_dim) {
  const double factor = json.float_or("partial_rotary_factor", 0.5, 0, 1);
  const auto partial = static_cast<size_t>(static_cast<double>(head_dim) * factor);
  const size_t fallback = json.has("rope_parameters") ? head_dim : partial;
  return static_cast<size_t>(json.uint_or("attn_rotary_emb", fallback, 0, head_dim));
}

AttentionConfig read_attention(ConfigReader& json, size_t d_model) {
  AttentionConfig c{};
  c.d_model = d_model;
  c.n_heads = json.width("num_attention_heads");
  c.n_kv_heads = json.width_or("num_key_value_heads", c.n_heads);
  c.head_dim = json.width_or("head_dim", std::max<size_t>(1, d_model / c.n_heads));
  if (c.n_heads % c.n_kv_heads != 0) {
    json.refuse(ErrorCode::kMalformed, c.n_heads, " attention heads cannot share ", c.n_kv_heads,
                " heads of keys and values");
  }
  if (uint64_t{c.n_heads} * c.head_dim > kMaxWidth) {
    json.refuse(ErrorCode::kTooLarge, c.n_heads, " heads of ", c.head_dim, " channels exceed ", kMaxWidth);
  }
  c.use_bias = json.bool_or("attention_bias", false);
  c.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.head_dim)));
  return c;
}

// Layers are one or the other.
void set_attention_layers(std::vector<bool> is_attention, DecoderConfig& c) {
  c.has_mamba = is_attention;
  c.has_mamba.flip();
  c.has_attention = std::move(is_attention);
}

// "mamba" or "attention" for every layer: which are attention.
std::vector<bool> read_layer_types(ConfigReader& json, size_t n_layer) {
  const std::vector<std::string> old_types = json.strings("layers_block_type");
  std::vector<std::string> types = json.strings("layer_types");
  if (types.empty()) types = old_types;
  if (types.size() != n_layer) {
    json.refuse(ErrorCode::kMalformed, "'layer_types' must name ", n_layer, " layers, found ", types.size());
    types.assign(n_layer, "mamba");
  }
  std::vector<bool> is_attention;
  for (const std::string& type : types) {
    if (type != "mamba" && type != "attention") {
      json.refuse(ErrorCode::kUnsupported, "'layer_types' must be \"mamba\" or \"attention\", found \"",
                  printable(type), "\"");
    }
    is_attention.push_back(type == "attention");
  }
  return is_attention;
}

void read_llama(ConfigReader& json, DecoderConfig& c) {
  c.name = "llama";
  set_attention_layers(std::vector<bool>(c.n_layer, true), c);
  c.dim_ffn = json.width("intermediate_size");
  c.use_mlp_bias = json.bool_or("mlp_bias", false);
  read_rope(json, c.attention.head_dim, c.max_tokens, c.attention.rope);
}

void read_bamba(ConfigReader& json, DecoderConfig& c) {
  c.name = "bamba";
  std::vector<bool> is_attention(c.n_layer, false);
  const std::vector<uint64_t> attention_layers = json.uints("attn_layer_indices");
  for (const uint64_t layer : attention_layers) {
    if (layer >= c.n_layer) {
      json.refuse(ErrorCode::kMalformed, "'attn_layer_indices' holds ", layer, " of ", c.n_layer, " layers");
    } else {
      is_attention[static_cast<size_t>(layer)] = true;
    }
  }
  set_attention_layers(std::move(is_attention), c);
  c.dim_ffn = json.width("intermediate_size");
  c.use_mlp_bias = json.bool_or("mlp_bias", false);
  const size_t rotary_dim = bamba_rotary_dim(json, c.attention.head_dim);
  read_rope(json, rotary_dim, c.max_tokens, c.attention.rope);
}

bool has_rotary_positions(ConfigReader& json) {
  const std::string type = json.string_or("position_embedding_type", "nope");
  if (type == "rope" || type == "nope") return type == "rope";
  json.refuse(ErrorCode::kUnsupported, "'position_embedding_type' must be \"rope\" or \"nope\", found \"",
              printable(type), "\"");
  return false;
}

void read_granite_hybrid(ConfigReader& json, DecoderConfig& c) {
  c.name = "granitemoehybrid";
  std::vector<bool> is_attention = read_layer_types(json, c.n_layer);
  set_attention_layers(std::move(is_attention), c);
  const uint64_t n_experts = json.uint_or("num_local_experts", 0, 0, kMaxWidth);
  if (n_experts != 0) {
    json.refuse(ErrorCode::kUnsupported, "mixtures of experts are not supported, found 'num_local_experts' ",
                n_experts);
  }
  c.dim_ffn = json.width("shared_intermediate_size");
  c.embedding_multiplier = json.multiplier_or("embedding_multiplier", 1);
  const float residual = json.multiplier_or("residual_multiplier", 1);
  c.attention_multiplier = c.mamba_multiplier = c.mlp_multiplier = residual;
  c.logits_scaling = json.multiplier_or("logits_scaling", 1);
  c.attention.scale = json.multiplier_or("attention_multiplier", 1);
  const bool has_positions = has_rotary_positions(json);
  if (has_positions) read_rope(json, c.attention.head_dim, c.max_tokens, c.attention.rope);
}

// Every layer has both mixers. What is multiplied into a product's input is multiplied into its results here, and the
// factors of queries and keys into those of their products.
void read_falcon_h1(ConfigReader& json, DecoderConfig& c) {
  c.name = "falcon_h1";
  c.has_attention.assign(c.n_layer, true);
  c.has_mamba.assign(c.n_layer, true);
  c.dim_ffn = json.width("intermediate_size");
  c.use_mlp_bias = json.bool_or("mlp_bias", false);
  json.require_bool("attention_bias", false);
  json.require_bool("mamba_proj_bias", false);
  json.require_bool("projectors_bias", false);
  c.embedding_multiplier = json.multiplier_or("embedding_multiplier", 1);
  const float head = json.multiplier_or("lm_head_multiplier", 1);
  c.logits_scaling = 1 / head;
  const float attention_in = json.multiplier_or("attention_in_multiplier", 1);
  const float attention_out = json.multiplier_or("attention_out_multiplier", 1);
  const float key = json.multiplier_or("key_multiplier", 1);
  c.attention.scale *= attention_in * attention_in * key;
  c.attention_multiplier = attention_in * attention_out;
  c.mamba_multiplier = json.multiplier_or("ssm_out_multiplier", 1);
  const auto mlp = json.multipliers_or_ones<2>("mlp_multipliers");
  c.gate_multiplier = mlp[0];
  c.mlp_multiplier = mlp[1];
  read_rope(json, c.attention.head_dim, c.max_tokens, c.attention.rope);
}

// What Falcon-H1's Mamba-2 has beside the others'. The norm is before or after the gate, or there is none.
void read_falcon_h1_mixer(ConfigReader& json, Mamba2MixerConfig& c) {
  const float ssm_in = json.multiplier_or("ssm_in_multiplier", 1);
  c.multipliers = json.multipliers_or_ones<5>("ssm_multipliers");
  for (float& multiplier : c.multipliers) multiplier *= ssm_in;
  const bool has_norm = json.bool_or("mamba_rms_norm", false);
  c.norm_before_gate = json.bool_or("mamba_norm_before_gate", true);
  c.norm_size = has_norm ? c.d_inner / c.n_groups : 0;
}

void check_memory_of(const DecoderConfig& c, ConfigReader& json) {
  const AttentionConfig& a = c.attention;
  const auto n_attention = static_cast<uint64_t>(std::ranges::count(c.has_attention, true));
  const auto n_mamba = static_cast<uint64_t>(std::ranges::count(c.has_mamba, true));
  const uint64_t q = uint64_t{a.n_heads} * a.head_dim, kv = uint64_t{a.n_kv_heads} * a.head_dim;
  uint64_t token_floats = 3 * c.d_model + 3 * c.dim_ffn + 2 * q + 2 * kv + a.rope.rotary_dim;
  uint64_t state_floats = 0;
  if (n_mamba > 0) {
    token_floats += mamba2_token_floats(c.mamba);
    state_floats = n_mamba * mamba2_state_floats(c.mamba);
  }
  json.check_memory(token_floats, state_floats, n_attention * 2 * kv * kernels::kCachePageTokens);
}

}  // namespace

DecoderConfig read_decoder(ConfigReader& json, std::string_view model_type) {
  DecoderConfig c{};
  json.read_sizes(c);
  c.d_model = json.width("hidden_size");
  c.max_tokens = static_cast<size_t>(json.uint_or("max_position_embeddings", 2048, 1, kMaxPositions));
  c.attention = read_attention(json, c.d_model);
  json.require_string("hidden_act", "silu");
  const bool has_small_epsilon = model_type == "llama" || model_type == "granitemoehybrid";
  c.rms_norm_eps = json.epsilon("rms_norm_eps", has_small_epsilon ? 1e-6 : 1e-5);
  c.tie_word_embeddings = json.bool_or("tie_word_embeddings", false);
  c.embedding_multiplier = c.logits_scaling = c.gate_multiplier = 1;
  c.attention_multiplier = c.mamba_multiplier = c.mlp_multiplier = 1;
  if (model_type == "llama") {
    read_llama(json, c);
  } else if (model_type == "bamba") {
    read_bamba(json, c);
  } else if (model_type == "falcon_h1") {
    read_falcon_h1(json, c);
  } else {
    read_granite_hybrid(json, c);
  }
  if (std::ranges::count(c.has_mamba, true) > 0) {
    c.mamba = read_mamba2_mixer(json, c.d_model, c.rms_norm_eps);
    if (model_type == "falcon_h1") read_falcon_h1_mixer(json, c.mamba);
  }
  check_memory_of(c, json);
  return c;
}

}  // namespace sutra
