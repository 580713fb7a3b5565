// Mamba-2's config.json, and the original one of Mamba-1 and Mamba-2.
#include <vector>

#include "model/config_reader.h"

namespace sutra {
namespace {

// [min, max]; the upper bound is mostly infinity.
void read_time_step_limit(ConfigReader& json, std::string_view key, Mamba2MixerConfig& c) {
  std::vector<double> limit = json.floats(key);
  if (limit.empty()) limit = {0.0, JsonObject::kInfinity};
  if (limit.size() != 2 || !(limit[0] >= 0 && limit[0] <= limit[1])) {
    return json.refuse(ErrorCode::kMalformed, "'", key, "' must be two ascending numbers from 0 on");
  }
  c.time_step_min = static_cast<float>(limit[0]);
  c.time_step_max = static_cast<float>(limit[1]);
}

size_t inner_width(ConfigReader& json, size_t d_model, size_t expand) {
  const uint64_t d_inner = uint64_t{d_model} * expand;
  if (d_inner <= kMaxWidth) return static_cast<size_t>(d_inner);
  json.refuse(ErrorCode::kTooLarge, "a width of ", d_model, " times 'expand' ", expand, " exceeds ", kMaxWidth);
  return d_model;
}

// Dimensions that must fit each other; d_inner, n_heads, head_dim and n_groups are set.
void check_mixer(const Mamba2MixerConfig& c, ConfigReader& json) {
  if (c.d_inner != uint64_t{c.n_heads} * c.head_dim) {
    json.refuse(ErrorCode::kMalformed, c.n_heads, " heads of ", c.head_dim, " channels must make ", c.d_inner,
                " = expand times the width");
  }
  if (c.n_heads % c.n_groups != 0) {
    json.refuse(ErrorCode::kMalformed, c.n_heads, " heads cannot be shared out to ", c.n_groups, " groups");
  }
  if (uint64_t{c.n_groups} * c.d_state > kMaxWidth) {
    json.refuse(ErrorCode::kTooLarge, c.n_groups, " groups of ", c.d_state, " states exceed ", kMaxWidth);
  }
}

// models/mamba2.md, "The gated norm".
void read_norm_size(ConfigReader& json, bool grouped_by_default, Mamba2MixerConfig& c) {
  const bool grouped = json.bool_or("grouped_rms_norm", grouped_by_default);
  c.norm_size = grouped ? c.d_inner / c.n_groups : c.d_inner;
}

// What the three dialects of config.json say alike.
struct MixerKeys {
  std::string_view d_state, n_groups, d_conv, bias, conv_bias, time_step_limit;
  size_t default_d_state, default_n_groups;
};
constexpr MixerKeys kMamba2Keys = {"state_size",    "n_groups",        "conv_kernel", "use_bias",
                                   "use_conv_bias", "time_step_limit", 128,           8};
constexpr MixerKeys kHybridKeys = {
    "mamba_d_state", "mamba_n_groups", "mamba_d_conv", "mamba_proj_bias", "mamba_conv_bias", "time_step_limit", 256, 1};
constexpr MixerKeys kMambaSsmKeys = {"d_state", "ngroups", "d_conv", "bias", "conv_bias", "dt_limit", 128, 1};

// The rest of a mixer whose d_inner, n_heads and head_dim are set.
void read_mixer(ConfigReader& json, const MixerKeys& keys, Mamba2MixerConfig& c) {
  c.d_state = json.width_or(keys.d_state, keys.default_d_state);
  c.n_groups = json.width_or(keys.n_groups, keys.default_n_groups);
  c.d_conv = static_cast<size_t>(json.uint_or(keys.d_conv, 4, 1, 64));
  c.use_bias = json.bool_or(keys.bias, false);
  c.use_conv_bias = json.bool_or(keys.conv_bias, true);
  read_time_step_limit(json, keys.time_step_limit, c);
  check_mixer(c, json);
}

size_t padded_to(uint64_t n, uint64_t multiple) {
  return static_cast<size_t>((n + multiple - 1) / multiple * multiple);
}

MambaConfig read_mamba1_ssm(ConfigReader& json, ConfigReader& ssm, size_t n_layer, size_t d_model, size_t vocab_size) {
  MambaConfig c{};
  c.n_layer = n_layer;
  c.d_model = d_model;
  c.vocab_size = vocab_size;
  const size_t expand = ssm.width_or("expand", 2);
  c.d_inner = inner_width(json, d_model, expand);
  c.d_state = ssm.width_or("d_state", 16);
  c.d_conv = static_cast<size_t>(ssm.uint_or("d_conv", 4, 1, 64));
  c.dt_rank = (d_model + 15) / 16;
  if (!ssm.is_word_or_absent("dt_rank", "auto")) {
    c.dt_rank = ssm.width("dt_rank");
  }
  c.use_bias = ssm.bool_or("bias", false);
  c.use_conv_bias = ssm.bool_or("conv_bias", true);
  return c;
}

Mamba2MixerConfig read_mamba2_ssm(ConfigReader& json, ConfigReader& ssm, size_t d_model) {
  Mamba2MixerConfig c{};
  c.d_model = d_model;
  const size_t expand = ssm.width_or("expand", 2);
  c.d_inner = inner_width(json, d_model, expand);
  c.head_dim = ssm.width_or("headdim", 64);
  c.n_heads = c.d_inner / c.head_dim;
  ssm.require_bool("rmsnorm", true);
  ssm.require_bool("norm_before_gate", false);
  ssm.require_bool("D_has_hdim", false);
  read_mixer(ssm, kMambaSsmKeys, c);
  read_norm_size(json, true, c);
  c.rms_norm_eps = 1e-5f;
  return c;
}

}  // namespace

Mamba2MixerConfig read_mamba2_mixer(ConfigReader& json, size_t d_model, float rms_norm_eps) {
  Mamba2MixerConfig c{};
  c.d_model = d_model;
  const size_t expand = json.width_or("mamba_expand", 2);
  c.d_inner = inner_width(json, d_model, expand);
  c.d_inner = json.width_or("mamba_d_ssm", c.d_inner);
  c.n_heads = json.width_or("mamba_n_heads", 128);
  c.head_dim = c.d_inner / c.n_heads;
  if (!json.is_word_or_absent("mamba_d_head", "auto")) {
    c.head_dim = json.width("mamba_d_head");
  }
  read_mixer(json, kHybridKeys, c);
  read_norm_size(json, false, c);
  c.rms_norm_eps = rms_norm_eps;
  return c;
}

Mamba2Config read_mamba2(ConfigReader& json) {
  Mamba2Config c{};
  json.read_sizes(c);
  c.d_model = json.width("hidden_size");
  c.rms_norm_eps = json.epsilon("layer_norm_epsilon", 1e-5);
  c.tie_word_embeddings = json.bool_or("tie_word_embeddings", false);
  json.require_string("hidden_act", "silu");
  json.require_bool("rms_norm", true);

  Mamba2MixerConfig& m = c.mixer;
  m.d_model = c.d_model;
  const size_t expand = json.width_or("expand", 2);
  m.d_inner = inner_width(json, c.d_model, expand);
  m.n_heads = json.width_or("num_heads", 128);
  m.head_dim = json.width_or("head_dim", 64);
  read_mixer(json, kMamba2Keys, m);
  read_norm_size(json, false, m);
  m.rms_norm_eps = c.rms_norm_eps;
  json.check_memory(2 * c.d_model + mamba2_token_floats(m), c.n_layer * mamba2_state_floats(m), 0);
  return c;
}

uint64_t mamba2_token_floats(const Mamba2MixerConfig& c) {
  return uint64_t{c.in_proj_dim()} + c.conv_dim() + c.n_heads + c.d_inner;
}
uint64_t mamba2_state_floats(const Mamba2MixerConfig& c) {
  return uint64_t{c.d_inner} * c.d_state + uint64_t{c.conv_dim()} * c.d_conv;
}

bool is_mamba_ssm(const JsonObject& json) {
  return !json.has("model_type") && json.has("d_model") && json.has("n_layer");
}

void read_mamba_ssm(ConfigReader& json, ModelConfig& config) {
  const uint64_t n_layer = json.required_uint("n_layer", 1, kMaxLayers);
  const size_t d_model = json.width("d_model");
  const uint64_t n_vocab = json.required_uint("vocab_size", 1, kMaxVocab);
  const uint64_t multiple = json.uint_or("pad_vocab_size_multiple", 8, 1, kMaxWidth);
  const size_t vocab_size = padded_to(n_vocab, multiple);
  const bool tied = json.bool_or("tie_embeddings", true);
  json.require_bool("rms_norm", true);
  const std::vector<uint64_t> attention_layers = json.uints("attn_layer_idx");
  const uint64_t d_intermediate = json.uint_or("d_intermediate", 0, 0, kMaxWidth);
  if (!attention_layers.empty() || d_intermediate != 0) {
    json.refuse(ErrorCode::kUnsupported,
                "in mamba_ssm's format, 'attn_layer_idx' and 'd_intermediate' are not supported");
  }
  const std::optional<JsonObject> given = json.object("ssm_cfg");
  const auto empty = JsonObject::parse("{}", "config.json: ssm_cfg");
  ConfigReader ssm(given ? *given : *empty);
  const std::string layer = ssm.string_or("layer", "Mamba1");
  if (layer == "Mamba1") {
    MambaConfig c = read_mamba1_ssm(json, ssm, static_cast<size_t>(n_layer), d_model, vocab_size);
    c.tie_word_embeddings = tied;
    c.rms_norm_eps = 1e-5f;
    config.architecture = c;
    return json.keep(ssm.status());
  }
  if (layer != "Mamba2") {
    json.refuse(ErrorCode::kUnsupported, "ssm_cfg: 'layer' must be \"Mamba1\" or \"Mamba2\", found \"",
                printable(layer), "\"");
  }
  Mamba2Config c{};
  c.n_layer = static_cast<size_t>(n_layer);
  c.d_model = d_model;
  c.vocab_size = vocab_size;
  c.mixer = read_mamba2_ssm(json, ssm, d_model);
  json.keep(ssm.status());
  json.check_memory(2 * d_model + mamba2_token_floats(c.mixer), n_layer * mamba2_state_floats(c.mixer), 0);
  c.tie_word_embeddings = tied;
  c.rms_norm_eps = 1e-5f;
  config.architecture = c;
}

}  // namespace sutra
