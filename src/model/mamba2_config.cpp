// Mamba-2's config.json, and the original one of Mamba-1 and Mamba-2.
#include <vector>

#include "model/config_reader.h"

namespace sutra {
namespace {

// [min, max]; the upper bound is mostly infinity.
Status read_time_step_limit(const JsonObject& json, std::string_view key, Mamba2MixerConfig& c) {
  SUTRA_ASSIGN(std::vector<double> limit, json.optional_floats(key));
  if (limit.empty()) limit = {0.0, JsonObject::kInfinity};
  if (limit.size() != 2 || !(limit[0] >= 0 && limit[0] <= limit[1])) {
    return fail(ErrorCode::kMalformed, "config.json: '", key, "' must be two ascending numbers from 0 on");
  }
  c.time_step_min = static_cast<float>(limit[0]);
  c.time_step_max = static_cast<float>(limit[1]);
  return {};
}

Result<size_t> inner_width(size_t d_model, size_t expand) {
  const uint64_t d_inner = uint64_t{d_model} * expand;
  if (d_inner <= kMaxWidth) return static_cast<size_t>(d_inner);
  return fail(ErrorCode::kTooLarge, "config.json: a width of ", d_model, " times 'expand' ", expand, " exceeds ",
              kMaxWidth);
}

// Dimensions that must fit each other; d_inner, n_heads, head_dim and n_groups are set.
Status check_mixer(const Mamba2MixerConfig& c) {
  if (c.d_inner != uint64_t{c.n_heads} * c.head_dim) {
    return fail(ErrorCode::kMalformed, "config.json: ", c.n_heads, " heads of ", c.head_dim, " channels must make ",
                c.d_inner, " = expand times the width");
  }
  if (c.n_heads % c.n_groups != 0) {
    return fail(ErrorCode::kMalformed, "config.json: ", c.n_heads, " heads cannot be shared out to ", c.n_groups,
                " groups");
  }
  if (uint64_t{c.n_groups} * c.d_state > kMaxWidth) {
    return fail(ErrorCode::kTooLarge, "config.json: ", c.n_groups, " groups of ", c.d_state, " states exceed ",
                kMaxWidth);
  }
  return {};
}

// models/mamba2.md, "The gated norm".
Status read_norm_size(const JsonObject& json, bool grouped_by_default, Mamba2MixerConfig& c) {
  SUTRA_ASSIGN(const bool grouped, json.optional_bool("grouped_rms_norm", grouped_by_default));
  c.norm_size = grouped ? c.d_inner / c.n_groups : c.d_inner;
  return {};
}

size_t padded_to(uint64_t n, uint64_t multiple) {
  return static_cast<size_t>((n + multiple - 1) / multiple * multiple);
}

Result<MambaConfig> read_mamba1_ssm(const JsonObject& ssm, size_t n_layer, size_t d_model, size_t vocab_size) {
  MambaConfig c{};
  c.n_layer = n_layer;
  c.d_model = d_model;
  c.vocab_size = vocab_size;
  SUTRA_ASSIGN(const size_t expand, width_or(ssm, "expand", 2));
  SUTRA_ASSIGN(c.d_inner, inner_width(d_model, expand));
  SUTRA_ASSIGN(c.d_state, width_or(ssm, "d_state", 16));
  SUTRA_ASSIGN(const uint64_t d_conv, ssm.optional_uint("d_conv", 4, 1, 64));
  c.d_conv = static_cast<size_t>(d_conv);
  c.dt_rank = (d_model + 15) / 16;
  if (!ssm.optional_string("dt_rank", "auto")) {
    SUTRA_ASSIGN(c.dt_rank, width(ssm, "dt_rank"));
  }
  SUTRA_ASSIGN(c.use_bias, ssm.optional_bool("bias", false));
  SUTRA_ASSIGN(c.use_conv_bias, ssm.optional_bool("conv_bias", true));
  return c;
}

Result<Mamba2MixerConfig> read_mamba2_ssm(const JsonObject& json, const JsonObject& ssm, size_t d_model) {
  Mamba2MixerConfig c{};
  c.d_model = d_model;
  SUTRA_ASSIGN(const size_t expand, width_or(ssm, "expand", 2));
  SUTRA_ASSIGN(c.d_inner, inner_width(d_model, expand));
  SUTRA_ASSIGN(c.head_dim, width_or(ssm, "headdim", 64));
  c.n_heads = c.d_inner / c.head_dim;
  SUTRA_ASSIGN(c.d_state, width_or(ssm, "d_state", 128));
  SUTRA_ASSIGN(c.n_groups, width_or(ssm, "ngroups", 1));
  SUTRA_ASSIGN(const uint64_t d_conv, ssm.optional_uint("d_conv", 4, 1, 64));
  c.d_conv = static_cast<size_t>(d_conv);
  SUTRA_ASSIGN(c.use_bias, ssm.optional_bool("bias", false));
  SUTRA_ASSIGN(c.use_conv_bias, ssm.optional_bool("conv_bias", true));
  SUTRA_TRY(require_bool(ssm, "rmsnorm", true));
  SUTRA_TRY(require_bool(ssm, "norm_before_gate", false));
  SUTRA_TRY(require_bool(ssm, "D_has_hdim", false));
  SUTRA_TRY(read_time_step_limit(ssm, "dt_limit", c));
  SUTRA_TRY(check_mixer(c));
  SUTRA_TRY(read_norm_size(json, true, c));
  c.rms_norm_eps = 1e-5f;
  return c;
}

}  // namespace

Result<Mamba2MixerConfig> read_mamba2_mixer(const JsonObject& json, size_t d_model) {
  Mamba2MixerConfig c{};
  c.d_model = d_model;
  SUTRA_ASSIGN(const size_t expand, width_or(json, "mamba_expand", 2));
  SUTRA_ASSIGN(c.d_inner, inner_width(d_model, expand));
  SUTRA_ASSIGN(c.n_heads, width_or(json, "mamba_n_heads", 128));
  c.head_dim = c.d_inner / c.n_heads;
  if (!json.optional_string("mamba_d_head", "auto")) {
    SUTRA_ASSIGN(c.head_dim, width(json, "mamba_d_head"));
  }
  SUTRA_ASSIGN(c.d_state, width_or(json, "mamba_d_state", 256));
  SUTRA_ASSIGN(c.n_groups, width_or(json, "mamba_n_groups", 1));
  SUTRA_ASSIGN(const uint64_t d_conv, json.optional_uint("mamba_d_conv", 4, 1, 64));
  c.d_conv = static_cast<size_t>(d_conv);
  SUTRA_ASSIGN(c.use_bias, json.optional_bool("mamba_proj_bias", false));
  SUTRA_ASSIGN(c.use_conv_bias, json.optional_bool("mamba_conv_bias", true));
  SUTRA_TRY(read_time_step_limit(json, "time_step_limit", c));
  SUTRA_TRY(check_mixer(c));
  SUTRA_TRY(read_norm_size(json, false, c));
  SUTRA_ASSIGN(c.rms_norm_eps, epsilon(json, "rms_norm_eps", 1e-5));
  return c;
}

Result<Mamba2Config> read_mamba2(const JsonObject& json) {
  Mamba2Config c{};
  SUTRA_TRY(read_sizes(json, c));
  SUTRA_ASSIGN(c.d_model, width(json, "hidden_size"));
  SUTRA_ASSIGN(c.rms_norm_eps, epsilon(json, "layer_norm_epsilon", 1e-5));
  SUTRA_ASSIGN(c.tie_word_embeddings, json.optional_bool("tie_word_embeddings", false));
  SUTRA_TRY(require_string(json, "hidden_act", "silu"));
  SUTRA_TRY(require_bool(json, "rms_norm", true));

  Mamba2MixerConfig& m = c.mixer;
  m.d_model = c.d_model;
  SUTRA_ASSIGN(const size_t expand, width_or(json, "expand", 2));
  SUTRA_ASSIGN(m.d_inner, inner_width(c.d_model, expand));
  SUTRA_ASSIGN(m.n_heads, width_or(json, "num_heads", 128));
  SUTRA_ASSIGN(m.head_dim, width_or(json, "head_dim", 64));
  SUTRA_ASSIGN(m.d_state, width_or(json, "state_size", 128));
  SUTRA_ASSIGN(m.n_groups, width_or(json, "n_groups", 8));
  SUTRA_ASSIGN(const uint64_t d_conv, json.optional_uint("conv_kernel", 4, 1, 64));
  m.d_conv = static_cast<size_t>(d_conv);
  SUTRA_ASSIGN(m.use_bias, json.optional_bool("use_bias", false));
  SUTRA_ASSIGN(m.use_conv_bias, json.optional_bool("use_conv_bias", true));
  SUTRA_TRY(read_time_step_limit(json, "time_step_limit", m));
  SUTRA_TRY(check_mixer(m));
  SUTRA_TRY(read_norm_size(json, false, m));
  m.rms_norm_eps = c.rms_norm_eps;
  SUTRA_TRY(check_memory(2 * c.d_model + mamba2_token_floats(m), c.n_layer * mamba2_state_floats(m), 0));
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

Status read_mamba_ssm(const JsonObject& json, ModelConfig& config) {
  SUTRA_ASSIGN(const uint64_t n_layer, json.required_uint("n_layer", 1, kMaxLayers));
  SUTRA_ASSIGN(const size_t d_model, width(json, "d_model"));
  SUTRA_ASSIGN(const uint64_t n_vocab, json.required_uint("vocab_size", 1, kMaxVocab));
  SUTRA_ASSIGN(const uint64_t multiple, json.optional_uint("pad_vocab_size_multiple", 8, 1, kMaxWidth));
  const size_t vocab_size = padded_to(n_vocab, multiple);
  SUTRA_ASSIGN(const bool tied, json.optional_bool("tie_embeddings", true));
  SUTRA_TRY(require_bool(json, "rms_norm", true));
  SUTRA_ASSIGN(const std::vector<uint64_t> attention_layers, json.optional_uints("attn_layer_idx"));
  SUTRA_ASSIGN(const uint64_t d_intermediate, json.optional_uint("d_intermediate", 0, 0, kMaxWidth));
  if (!attention_layers.empty() || d_intermediate != 0) {
    return fail(ErrorCode::kUnsupported,
                "config.json: in mamba_ssm's format, 'attn_layer_idx' and 'd_intermediate' are not supported");
  }
  SUTRA_ASSIGN(std::optional<JsonObject> ssm, json.optional_object("ssm_cfg"));
  if (!ssm) {
    SUTRA_ASSIGN(ssm, JsonObject::parse("{}", "config.json: ssm_cfg"));
  }
  SUTRA_ASSIGN(const std::string layer, ssm->optional_string("layer", "Mamba1"));
  if (layer == "Mamba1") {
    SUTRA_ASSIGN(MambaConfig c, read_mamba1_ssm(*ssm, static_cast<size_t>(n_layer), d_model, vocab_size));
    c.tie_word_embeddings = tied;
    c.rms_norm_eps = 1e-5f;
    config.architecture = c;
    return {};
  }
  if (layer != "Mamba2") {
    return fail(ErrorCode::kUnsupported, "config.json: ssm_cfg: 'layer' must be \"Mamba1\" or \"Mamba2\", found \"",
                printable(layer), "\"");
  }
  Mamba2Config c{};
  c.n_layer = static_cast<size_t>(n_layer);
  c.d_model = d_model;
  c.vocab_size = vocab_size;
  SUTRA_ASSIGN(c.mixer, read_mamba2_ssm(json, *ssm, d_model));
  SUTRA_TRY(check_memory(2 * d_model + mamba2_token_floats(c.mixer), n_layer * mamba2_state_floats(c.mixer), 0));
  c.tie_word_embeddings = tied;
  c.rms_norm_eps = 1e-5f;
  config.architecture = c;
  return {};
}

}  // namespace sutra
