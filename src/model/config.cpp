#include "model/config.h"

#include <algorithm>
#include <cmath>

#include "base/overloaded.h"
#include "model/config_reader.h"

namespace sutra {

Result<size_t> width(const JsonObject& json, std::string_view key) {
  SUTRA_ASSIGN(const uint64_t value, json.required_uint(key, 1, kMaxWidth));
  return static_cast<size_t>(value);
}

Result<size_t> width_or(const JsonObject& json, std::string_view key, size_t fallback) {
  SUTRA_ASSIGN(const uint64_t value, json.optional_uint(key, fallback, 1, kMaxWidth));
  return static_cast<size_t>(value);
}

Result<float> epsilon(const JsonObject& json, std::string_view key, double fallback) {
  SUTRA_ASSIGN(const double value, json.optional_float(key, fallback));
  if (!std::isfinite(value) || value < 0 || value > 1) {
    return fail(ErrorCode::kMalformed, "config.json: '", key, "' must be between 0 and 1, found ", value);
  }
  return static_cast<float>(value);
}

Result<float> multiplier_or(const JsonObject& json, std::string_view key, double fallback) {
  SUTRA_ASSIGN(const double value, json.optional_float(key, fallback));
  const auto narrow = static_cast<float>(value);
  if (!std::isfinite(narrow) || narrow == 0) {
    return fail(ErrorCode::kMalformed, "config.json: '", key, "' must be a finite number other than 0, found ", value);
  }
  return narrow;
}

Status require_string(const JsonObject& json, std::string_view key, std::string_view only) {
  SUTRA_ASSIGN(const std::string value, json.optional_string(key, only));
  if (value != only) {
    return fail(ErrorCode::kUnsupported, "config.json: '", key, "' must be \"", only, "\", found \"", printable(value),
                "\"");
  }
  return {};
}

Status require_bool(const JsonObject& json, std::string_view key, bool only) {
  SUTRA_ASSIGN(const bool value, json.optional_bool(key, only));
  if (value == only) return {};
  return fail(ErrorCode::kUnsupported, "config.json: '", key, "' must be ", only ? "true" : "false", ", found ",
              only ? "false" : "true");
}

Status check_memory(uint64_t token_floats, uint64_t state_floats, uint64_t page_floats) {
  constexpr uint64_t kMaxTokenFloats = 1 << 22, kMaxStateFloats = 1 << 29;
  if (token_floats > kMaxTokenFloats || state_floats > kMaxStateFloats || page_floats > kMaxStateFloats) {
    return fail(ErrorCode::kTooLarge, "config.json: its sizes make ", token_floats, " numbers a token and a state of ",
                std::max(state_floats, page_floats), "; at most ", kMaxTokenFloats, " and ", kMaxStateFloats,
                " can be held");
  }
  return {};
}

namespace {

// flash-linear-attention's default for a low rank: max(32, round(factor · sqrt(C) / 32) · 32).
size_t default_low_rank(size_t n_embd, double factor) {
  const double rounded = std::round(factor * std::sqrt(static_cast<double>(n_embd)) / 32) * 32;
  return static_cast<size_t>(std::max(32.0, rounded));
}

Result<Rwkv7Config> read_rwkv7(const JsonObject& json) {
  Rwkv7Config c{};
  SUTRA_ASSIGN(const uint64_t n_layer, json.required_uint("num_hidden_layers", 1, kMaxLayers));
  SUTRA_ASSIGN(const uint64_t vocab_size, json.required_uint("vocab_size", 1, kMaxVocab));
  c.n_layer = static_cast<size_t>(n_layer);
  c.vocab_size = static_cast<size_t>(vocab_size);
  SUTRA_ASSIGN(c.n_embd, width(json, "hidden_size"));
  SUTRA_ASSIGN(c.head_size, width_or(json, "head_dim", 64));
  if (c.n_embd % c.head_size != 0) {
    return fail(ErrorCode::kMalformed, "config.json: hidden_size ", c.n_embd, " is not a multiple of head_dim ",
                c.head_size);
  }
  c.n_head = c.n_embd / c.head_size;
  SUTRA_ASSIGN(const size_t num_heads, width_or(json, "num_heads", c.n_head));
  if (num_heads != c.n_head) {
    return fail(ErrorCode::kMalformed, "config.json: num_heads must be hidden_size / head_dim = ", c.n_head, ", found ",
                num_heads);
  }
  SUTRA_ASSIGN(const std::vector<uint64_t> value_dim, json.optional_uints("value_dim"));
  for (const uint64_t dim : value_dim) {
    if (dim != c.n_embd) {
      return fail(ErrorCode::kUnsupported, "config.json: value_dim must equal hidden_size ", c.n_embd, ", found ", dim);
    }
  }
  SUTRA_ASSIGN(const double ratio, json.optional_float("hidden_ratio", 4.0));
  const double default_ffn = std::ceil(static_cast<double>(c.n_embd) * ratio / 32) * 32;
  if (!(default_ffn >= 1 && default_ffn <= static_cast<double>(kMaxWidth))) {
    return fail(ErrorCode::kMalformed, "config.json: 'hidden_ratio' cannot be ", ratio);
  }
  SUTRA_ASSIGN(c.dim_ffn, width_or(json, "intermediate_size", static_cast<size_t>(default_ffn)));
  SUTRA_ASSIGN(c.decay_low_rank, width_or(json, "decay_low_rank_dim", default_low_rank(c.n_embd, 1.8)));
  SUTRA_ASSIGN(c.a_low_rank, width_or(json, "a_low_rank_dim", default_low_rank(c.n_embd, 1.8)));
  SUTRA_ASSIGN(c.v_low_rank, width_or(json, "v_low_rank_dim", default_low_rank(c.n_embd, 1.3)));
  SUTRA_ASSIGN(c.gate_low_rank, width_or(json, "gate_low_rank_dim", default_low_rank(c.n_embd, 5.0)));
  SUTRA_TRY(require_string(json, "hidden_act", "sqrelu"));
  SUTRA_ASSIGN(const bool norm_first, json.optional_bool("norm_first", true));
  SUTRA_ASSIGN(const bool norm_bias, json.optional_bool("norm_bias", true));
  if (!norm_first || !norm_bias) {
    return fail(ErrorCode::kUnsupported, "config.json: RWKV-7 needs norm_first and norm_bias to be true");
  }
  SUTRA_ASSIGN(c.tie_word_embeddings, json.optional_bool("tie_word_embeddings", false));
  SUTRA_ASSIGN(c.layer_norm_eps, epsilon(json, "norm_eps", 1e-5));
  const double default_group_eps = static_cast<double>(c.head_size) * static_cast<double>(c.layer_norm_eps);
  SUTRA_ASSIGN(c.group_norm_eps, epsilon(json, "group_norm_epsilon", default_group_eps));
  return c;
}

Result<MambaConfig> read_mamba(const JsonObject& json, std::string_view model_type) {
  MambaConfig c{};
  SUTRA_TRY(read_sizes(json, c));
  SUTRA_ASSIGN(c.d_model, width(json, "hidden_size"));
  SUTRA_ASSIGN(const size_t expand, width_or(json, "expand", 2));
  SUTRA_ASSIGN(c.d_inner, width_or(json, "intermediate_size", c.d_model * expand));
  SUTRA_ASSIGN(c.d_state, width_or(json, "state_size", 16));
  SUTRA_ASSIGN(const uint64_t d_conv, json.optional_uint("conv_kernel", 4, 1, 64));
  c.d_conv = static_cast<size_t>(d_conv);
  SUTRA_ASSIGN(c.dt_rank, width_or(json, "time_step_rank", (c.d_model + 15) / 16));
  SUTRA_ASSIGN(c.use_bias, json.optional_bool("use_bias", false));
  SUTRA_ASSIGN(c.use_conv_bias, json.optional_bool("use_conv_bias", true));
  SUTRA_ASSIGN(c.tie_word_embeddings, json.optional_bool("tie_word_embeddings", true));
  SUTRA_TRY(require_string(json, "hidden_act", "silu"));
  SUTRA_ASSIGN(c.rms_norm_eps, epsilon(json, "layer_norm_epsilon", 1e-5));
  if (model_type == "falcon_mamba") {
    SUTRA_ASSIGN(c.mixer_rms_eps, epsilon(json, "mixer_rms_eps", 1e-6));
  }
  return c;
}

Status require_bits(const JsonObject& json, std::string_view key) {
  SUTRA_ASSIGN(const uint64_t bits, json.required_uint(key, 1, 16));
  if (bits == 4) return {};
  return fail(ErrorCode::kUnsupported, "config.json: quantization_config: '", key, "' must be 4, found ", bits);
}

// AutoAWQ writes its versions in lower and in upper case.
Result<Q4Layout> read_awq_layout(const JsonObject& json) {
  const auto version = json.optional_string("version", "gemm");
  if (!version) return std::unexpected(version.error());
  if (*version == "gemm" || *version == "GEMM") return Q4Layout::kAwqGemm;
  if (*version == "gemv" || *version == "GEMV") return Q4Layout::kAwqGemv;
  return fail(ErrorCode::kUnsupported,
              "config.json: quantization_config: 'version' must be \"gemm\" or \"gemv\", found \"", printable(*version),
              "\"");
}

Result<PackedConfig> read_awq(const JsonObject& json) {
  SUTRA_ASSIGN(const Q4Layout layout, read_awq_layout(json));
  SUTRA_TRY(require_bits(json, "bits"));
  SUTRA_ASSIGN(const bool zero_point, json.optional_bool("zero_point", true));
  if (!zero_point) return fail(ErrorCode::kUnsupported, "config.json: quantization_config: 'zero_point' must be true");
  SUTRA_ASSIGN(const uint64_t group_size, json.required_uint("group_size", 1, kMaxWidth));
  if (group_size != 32 && group_size != 64 && group_size != 128) {
    return fail(ErrorCode::kUnsupported, "config.json: quantization_config: 'group_size' must be 32, 64 or 128, found ",
                group_size);
  }
  return PackedConfig{layout, static_cast<size_t>(group_size)};
}

// The weights of one group of compressed-tensors: integers of 4 bits, in groups of columns or one a row.
Result<PackedConfig> read_pack_quantized_group(const JsonObject& group) {
  SUTRA_ASSIGN(const std::optional<JsonObject> weights, group.optional_object("weights"));
  if (!weights) {
    return fail(ErrorCode::kUnsupported,
                "config.json: quantization_config: a group without 'weights' is not supported");
  }
  SUTRA_TRY(require_bits(*weights, "num_bits"));
  SUTRA_TRY(require_string(*weights, "type", "int"));
  SUTRA_ASSIGN(const std::string strategy, weights->optional_string("strategy", "group"));
  if (strategy == "channel") return PackedConfig{Q4Layout::kPackQuantized, 0};
  if (strategy != "group") {
    return fail(ErrorCode::kUnsupported,
                "config.json: quantization_config: 'strategy' must be \"group\" or \"channel\", ", "found \"",
                printable(strategy), "\"");
  }
  SUTRA_ASSIGN(const uint64_t group_size, weights->required_uint("group_size", 1, kMaxWidth));
  return PackedConfig{Q4Layout::kPackQuantized, static_cast<size_t>(group_size)};
}

Result<PackedConfig> read_pack_quantized(const JsonObject& json) {
  SUTRA_TRY(require_string(json, "format", "pack-quantized"));
  SUTRA_ASSIGN(const std::optional<JsonObject> groups, json.optional_object("config_groups"));
  std::optional<PackedConfig> all;
  for (const std::string& key : groups ? groups->keys() : std::vector<std::string>()) {
    SUTRA_ASSIGN(const std::optional<JsonObject> group, groups->optional_object(key));
    if (!group) continue;
    SUTRA_ASSIGN(const PackedConfig one, read_pack_quantized_group(*group));
    if (all && all->group_size != one.group_size) {
      return fail(ErrorCode::kUnsupported, "config.json: quantization_config: groups of ", all->group_size, " and ",
                  one.group_size, " columns in one model are not supported");
    }
    all = one;
  }
  if (!all) return fail(ErrorCode::kNotFound, "config.json: quantization_config: 'config_groups' is missing");
  return *all;
}

Result<std::optional<PackedConfig>> read_packed(const JsonObject& json) {
  SUTRA_ASSIGN(const std::optional<JsonObject> quantization, json.optional_object("quantization_config"));
  if (!quantization) return std::nullopt;
  SUTRA_ASSIGN(const std::string method, quantization->optional_string("quant_method", "awq"));
  if (method == "awq") return read_awq(*quantization);
  if (method == "compressed-tensors") return read_pack_quantized(*quantization);
  return fail(ErrorCode::kUnsupported, "config.json: quantization_config: 'quant_method' must be \"awq\" or ",
              "\"compressed-tensors\", found \"", printable(method), "\"");
}

// One id, or a list of them.
Result<std::vector<int32_t>> read_token_ids(const JsonObject& json, std::string_view key) {
  std::vector<int32_t> ids;
  if (!json.has(key)) return ids;
  if (const auto one = json.required_uint(key, 0, kMaxVocab); one) {
    ids.push_back(static_cast<int32_t>(*one));
    return ids;
  }
  SUTRA_ASSIGN(const std::vector<uint64_t> list, json.optional_uints(key));
  for (const uint64_t id : list) {
    if (id > kMaxVocab)
      return fail(ErrorCode::kMalformed, "config.json: '", key, "' holds ", id, ", which is no token id");
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

Status read_architecture(const JsonObject& json, ModelConfig& config) {
  SUTRA_ASSIGN(const std::string model_type, json.required_string("model_type"));
  if (model_type == "rwkv7") {
    SUTRA_ASSIGN(config.architecture, read_rwkv7(json));
  } else if (model_type == "rwkv") {
    SUTRA_ASSIGN(config.architecture, read_rwkv4(json));
  } else if (model_type == "rwkv5") {
    SUTRA_ASSIGN(config.architecture, read_rwkv5(json));
  } else if (model_type == "rwkv6") {
    SUTRA_ASSIGN(config.architecture, read_rwkv6(json));
  } else if (model_type == "mamba" || model_type == "falcon_mamba") {
    SUTRA_ASSIGN(config.architecture, read_mamba(json, model_type));
  } else if (model_type == "mamba2") {
    SUTRA_ASSIGN(config.architecture, read_mamba2(json));
  } else if (model_type == "llama" || model_type == "bamba" || model_type == "granitemoehybrid") {
    SUTRA_ASSIGN(config.architecture, read_decoder(json, model_type));
  } else {
    return fail(ErrorCode::kUnsupported, "config.json: model_type \"", printable(model_type),
                "\" is not supported; rwkv, rwkv5, rwkv6, rwkv7, mamba, falcon_mamba, mamba2, llama, bamba and "
                "granitemoehybrid are");
  }
  return {};
}

}  // namespace

std::string_view ModelConfig::architecture_name() const {
  return std::visit(Overloaded{[](const DecoderConfig& c) { return c.name; }, [](const auto& c) { return c.kName; }},
                    architecture);
}

size_t ModelConfig::vocab_size() const {
  return std::visit([](const auto& c) { return c.vocab_size; }, architecture);
}

size_t ModelConfig::n_layer() const {
  return std::visit([](const auto& c) { return c.n_layer; }, architecture);
}

size_t ModelConfig::n_embd() const {
  return std::visit(
      [](const auto& c) {
        if constexpr (requires { c.n_embd; }) {
          return c.n_embd;
        } else {
          return c.d_model;
        }
      },
      architecture);
}

Result<ModelConfig> read_model_config(const JsonObject& json) {
  ModelConfig config;
  if (is_mamba_ssm(json)) {
    SUTRA_TRY(read_mamba_ssm(json, config));
  } else {
    SUTRA_TRY(read_architecture(json, config));
  }
  SUTRA_ASSIGN(config.packed, read_packed(json));
  SUTRA_ASSIGN(const std::vector<int32_t> bos, read_token_ids(json, "bos_token_id"));
  if (!bos.empty()) config.bos_token_id = bos.front();
  SUTRA_ASSIGN(config.eos_token_ids, read_token_ids(json, "eos_token_id"));
  SUTRA_TRY(json.refuse_unread_overrides());
  return config;
}

}  // namespace sutra
