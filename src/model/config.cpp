#include "model/config.h"

#include <algorithm>
#include <cmath>

#include "base/overloaded.h"
#include "model/config_reader.h"

namespace sutra {

namespace {

// flash-linear-attention's default for a low rank: max(32, round(factor · sqrt(C) / 32) · 32).
size_t default_low_rank(size_t n_embd, double factor) {
  const double rounded = std::round(factor * std::sqrt(static_cast<double>(n_embd)) / 32) * 32;
  return static_cast<size_t>(std::max(32.0, rounded));
}

Rwkv7Config read_rwkv7(ConfigReader& json) {
  Rwkv7Config c{};
  json.read_sizes(c);
  c.n_embd = json.width("hidden_size");
  c.head_size = json.width_or("head_dim", 64);
  if (c.n_embd % c.head_size != 0) {
    json.refuse(ErrorCode::kMalformed, "hidden_size ", c.n_embd, " is not a multiple of head_dim ", c.head_size);
  }
  c.n_head = c.n_embd / c.head_size;
  const size_t num_heads = json.width_or("num_heads", c.n_head);
  if (num_heads != c.n_head) {
    json.refuse(ErrorCode::kMalformed, "num_heads must be hidden_size / head_dim = ", c.n_head, ", found ", num_heads);
  }
  const std::vector<uint64_t> value_dim = json.uints("value_dim");
  for (const uint64_t dim : value_dim) {
    if (dim != c.n_embd) {
      json.refuse(ErrorCode::kUnsupported, "value_dim must equal hidden_size ", c.n_embd, ", found ", dim);
    }
  }
  const double ratio = json.float_or("hidden_ratio", 4.0);
  double default_ffn = std::ceil(static_cast<double>(c.n_embd) * ratio / 32) * 32;
  if (!(default_ffn >= 1 && default_ffn <= static_cast<double>(kMaxWidth))) {
    json.refuse(ErrorCode::kMalformed, "'hidden_ratio' cannot be ", ratio);
    default_ffn = 1;
  }
  c.dim_ffn = json.width_or("intermediate_size", static_cast<size_t>(default_ffn));
  c.decay_low_rank = json.width_or("decay_low_rank_dim", default_low_rank(c.n_embd, 1.8));
  c.a_low_rank = json.width_or("a_low_rank_dim", default_low_rank(c.n_embd, 1.8));
  c.v_low_rank = json.width_or("v_low_rank_dim", default_low_rank(c.n_embd, 1.3));
  c.gate_low_rank = json.width_or("gate_low_rank_dim", default_low_rank(c.n_embd, 5.0));
  json.require_string("hidden_act", "sqrelu");
  const bool norm_first = json.bool_or("norm_first", true);
  const bool norm_bias = json.bool_or("norm_bias", true);
  if (!norm_first || !norm_bias) {
    json.refuse(ErrorCode::kUnsupported, "RWKV-7 needs norm_first and norm_bias to be true");
  }
  c.tie_word_embeddings = json.bool_or("tie_word_embeddings", false);
  c.layer_norm_eps = json.epsilon("norm_eps", 1e-5);
  const double default_group_eps = static_cast<double>(c.head_size) * static_cast<double>(c.layer_norm_eps);
  c.group_norm_eps = json.epsilon("group_norm_epsilon", default_group_eps);
  return c;
}

MambaConfig read_mamba(ConfigReader& json, std::string_view model_type) {
  MambaConfig c{};
  json.read_sizes(c);
  c.d_model = json.width("hidden_size");
  const size_t expand = json.width_or("expand", 2);
  c.d_inner = json.width_or("intermediate_size", uint64_t{c.d_model} * expand);
  c.d_state = json.width_or("state_size", 16);
  c.d_conv = static_cast<size_t>(json.uint_or("conv_kernel", 4, 1, 64));
  c.dt_rank = json.width_or("time_step_rank", (c.d_model + 15) / 16);
  c.use_bias = json.bool_or("use_bias", false);
  c.use_conv_bias = json.bool_or("use_conv_bias", true);
  c.tie_word_embeddings = json.bool_or("tie_word_embeddings", true);
  json.require_string("hidden_act", "silu");
  c.rms_norm_eps = json.epsilon("layer_norm_epsilon", 1e-5);
  if (model_type == "falcon_mamba") {
    c.mixer_rms_eps = json.epsilon("mixer_rms_eps", 1e-6);
  }
  return c;
}

void require_bits(ConfigReader& json, std::string_view key) {
  const uint64_t bits = json.required_uint(key, 1, 16);
  if (bits != 4) json.refuse(ErrorCode::kUnsupported, "'", key, "' must be 4, found ", bits);
}

size_t read_group_size(ConfigReader& json, std::string_view key) {
  const uint64_t group_size = json.required_uint(key, 1, kMaxWidth);
  if (group_size != 32 && group_size != 64 && group_size != 128) {
    json.refuse(ErrorCode::kUnsupported, "'", printable(key), "' must be 32, 64 or 128, found ", group_size);
  }
  return static_cast<size_t>(group_size);
}

// AutoAWQ writes its versions in lower and in upper case.
PackedLayout read_awq_layout(ConfigReader& json) {
  const std::string version = json.string_or("version", "gemm");
  if (version == "gemv" || version == "GEMV") return PackedLayout::kAwqGemv;
  if (version != "gemm" && version != "GEMM") {
    json.refuse(ErrorCode::kUnsupported, "'version' must be \"gemm\" or \"gemv\", found \"", printable(version), "\"");
  }
  return PackedLayout::kAwqGemm;
}

PackedConfig read_awq(ConfigReader& json) {
  PackedConfig config;
  config.layout = read_awq_layout(json);
  config.bits = static_cast<int>(json.required_uint("bits", 1, 16));
  if (config.bits != 4 && (config.bits != 8 || config.layout != PackedLayout::kAwqGemm)) {
    json.refuse(ErrorCode::kUnsupported, "'bits' must be 4, or 8 of version \"gemm\", found ", config.bits);
  }
  if (!json.bool_or("zero_point", true)) json.refuse(ErrorCode::kUnsupported, "'zero_point' must be true");
  config.group_size = read_group_size(json, "group_size");
  if (const std::optional<JsonObject> object = json.object("group_sizes")) {
    ConfigReader others(*object);
    for (const std::string& name : others.keys())
      config.other_group_sizes.emplace_back(name, read_group_size(others, name));
    json.keep(others.status());
  }
  return config;
}

// The weights of one group of compressed-tensors: integers of 4 bits, in groups of columns or one a row.
PackedConfig read_pack_quantized_weights(ConfigReader& weights) {
  require_bits(weights, "num_bits");
  weights.require_string("type", "int");
  const std::string strategy = weights.string_or("strategy", "group");
  if (strategy == "channel") return {PackedLayout::kPackQuantized, 0};
  if (strategy != "group") {
    weights.refuse(ErrorCode::kUnsupported, "'strategy' must be \"group\" or \"channel\", found \"",
                   printable(strategy), "\"");
  }
  return {PackedLayout::kPackQuantized, static_cast<size_t>(weights.required_uint("group_size", 1, kMaxWidth))};
}

PackedConfig read_pack_quantized_group(const JsonObject& object, ConfigReader& json) {
  ConfigReader group(object);
  PackedConfig one{PackedLayout::kPackQuantized, 0};
  if (const std::optional<JsonObject> nested = group.object("weights")) {
    ConfigReader weights(*nested);
    one = read_pack_quantized_weights(weights);
    group.keep(weights.status());
  } else {
    group.refuse(ErrorCode::kUnsupported, "a group without 'weights' is not supported");
  }
  json.keep(group.status());
  return one;
}

PackedConfig read_pack_quantized(ConfigReader& json) {
  json.require_string("format", "pack-quantized");
  const std::optional<JsonObject> object = json.object("config_groups");
  std::optional<PackedConfig> all;
  if (object) {
    ConfigReader groups(*object);
    for (const std::string& key : groups.keys()) {
      const std::optional<JsonObject> group = groups.object(key);
      if (!group) continue;
      const PackedConfig one = read_pack_quantized_group(*group, groups);
      if (all && all->group_size != one.group_size) {
        groups.refuse(ErrorCode::kUnsupported, "groups of ", all->group_size, " and ", one.group_size,
                      " columns in one model are not supported");
      }
      all = one;
    }
    json.keep(groups.status());
  }
  if (!all) json.refuse(ErrorCode::kNotFound, "'config_groups' is missing");
  return all.value_or(PackedConfig{PackedLayout::kPackQuantized, 0});
}

std::optional<PackedConfig> read_packed(ConfigReader& json) {
  const std::optional<JsonObject> object = json.object("quantization_config");
  if (!object) return std::nullopt;
  ConfigReader quantization(*object);
  const std::string method = quantization.string_or("quant_method", "awq");
  std::optional<PackedConfig> packed;
  if (method == "awq") {
    packed = read_awq(quantization);
  } else if (method == "compressed-tensors") {
    packed = read_pack_quantized(quantization);
  } else {
    quantization.refuse(ErrorCode::kUnsupported, "'quant_method' must be \"awq\" or \"compressed-tensors\", found \"",
                        printable(method), "\"");
  }
  json.keep(quantization.status());
  return packed;
}

// One id, or a list of them.
std::vector<int32_t> read_token_ids(const JsonObject& object, ConfigReader& json, std::string_view key) {
  std::vector<int32_t> ids;
  if (!json.has(key)) return ids;
  if (const auto one = object.required_uint(key, 0, kMaxVocab); one) return {static_cast<int32_t>(*one)};
  for (const uint64_t id : json.uints(key)) {
    if (id > kMaxVocab) json.refuse(ErrorCode::kMalformed, "'", key, "' holds ", id, ", which is no token id");
    ids.push_back(static_cast<int32_t>(std::min(id, kMaxVocab)));
  }
  return ids;
}

void read_architecture(ConfigReader& json, ModelConfig& config) {
  const std::string model_type = json.required_string("model_type");
  if (model_type == "rwkv7") {
    config.architecture = read_rwkv7(json);
  } else if (model_type == "rwkv") {
    config.architecture = read_rwkv4(json);
  } else if (model_type == "rwkv5") {
    config.architecture = read_rwkv5(json);
  } else if (model_type == "rwkv6") {
    config.architecture = read_rwkv6(json);
  } else if (model_type == "mamba" || model_type == "falcon_mamba") {
    config.architecture = read_mamba(json, model_type);
  } else if (model_type == "mamba2") {
    config.architecture = read_mamba2(json);
  } else if (model_type == "llama" || model_type == "bamba" || model_type == "granitemoehybrid" ||
             model_type == "falcon_h1") {
    config.architecture = read_decoder(json, model_type);
  } else {
    json.refuse(ErrorCode::kUnsupported, "model_type \"", printable(model_type),
                "\" is not supported; rwkv, rwkv5, rwkv6, rwkv7, mamba, falcon_mamba, mamba2, llama, bamba, "
                "granitemoehybrid and falcon_h1 are");
  }
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
  ConfigReader reader(json);
  if (is_mamba_ssm(json)) {
    read_mamba_ssm(reader, config);
  } else {
    read_architecture(reader, config);
  }
  config.packed = read_packed(reader);
  const std::vector<int32_t> bos = read_token_ids(json, reader, "bos_token_id");
  if (!bos.empty()) config.bos_token_id = bos.front();
  config.eos_token_ids = read_token_ids(json, reader, "eos_token_id");
  SUTRA_TRY(reader.status());
  SUTRA_TRY(json.refuse_unread_overrides());
  return config;
}

}  // namespace sutra
