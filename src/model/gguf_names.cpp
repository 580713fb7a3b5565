#include "model/gguf_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/json.h"
#include "quant/ggml_blocks.h"

namespace sutra {
namespace {

constexpr std::string_view kBlocks = "blk.";
constexpr float kRwkv7GroupNormEps = 64e-5f;
constexpr std::string_view kMixes = "rwkvag";  // in the order of time_mix_lerp_fused

enum class Change : uint8_t {
  kNone,
  kFlatten,     // to one dimension
  kSplitLerps,  // six vectors one after the other
  kHeads,       // [C] to [H, N]
  kConv1d,      // [d_inner, d_conv] to [d_inner, 1, d_conv]
  kMinusExp     // only written: A of A_log; what is read stays A
};

using Stored = GgufTensor::Stored;
constexpr auto kMatrix = Stored::kMatrix;
constexpr auto kLowRank = Stored::kLowRank;

// Reading takes the first rule for a name of GGUF's, writing the first for a name of ours.
struct Rule {
  std::string_view from, to;
  Change change = Change::kNone;
  Stored stored = Stored::kFloats;
};

constexpr Rule kRwkv7Outside[] = {
    {"token_embd.weight", "model.embeddings.weight", Change::kNone, kMatrix},
    {"token_embd_norm.weight", "model.layers.0.pre_norm.weight"},
    {"token_embd_norm.bias", "model.layers.0.pre_norm.bias"},
    {"output_norm.weight", "model.norm.weight"},
    {"output_norm.bias", "model.norm.bias"},
    {"output.weight", "lm_head.weight", Change::kNone, kMatrix},
};
constexpr Rule kRwkv7Inside[] = {
    {"attn_norm.weight", "attn_norm.weight"},
    {"attn_norm.bias", "attn_norm.bias"},
    {"attn_norm_2.weight", "ffn_norm.weight"},
    {"attn_norm_2.bias", "ffn_norm.bias"},
    {"time_mix_lerp_fused.weight", "attn.x_", Change::kSplitLerps},
    {"time_mix_w0.weight", "attn.w_lora.lora.2.bias", Change::kFlatten},
    {"time_mix_w1.weight", "attn.w_lora.lora.0.weight", Change::kNone, kLowRank},
    {"time_mix_w2.weight", "attn.w_lora.lora.2.weight", Change::kNone, kLowRank},
    {"time_mix_a0.weight", "attn.a_lora.lora.2.bias", Change::kFlatten},
    {"time_mix_a1.weight", "attn.a_lora.lora.0.weight", Change::kNone, kLowRank},
    {"time_mix_a2.weight", "attn.a_lora.lora.2.weight", Change::kNone, kLowRank},
    {"time_mix_v0.weight", "attn.v_lora.lora.2.bias", Change::kFlatten},
    {"time_mix_v1.weight", "attn.v_lora.lora.0.weight", Change::kNone, kLowRank},
    {"time_mix_v2.weight", "attn.v_lora.lora.2.weight", Change::kNone, kLowRank},
    {"time_mix_g1.weight", "attn.g_lora.lora.0.weight", Change::kNone, kLowRank},
    {"time_mix_g2.weight", "attn.g_lora.lora.2.weight", Change::kNone, kLowRank},
    {"time_mix_k_k.weight", "attn.k_k", Change::kFlatten},
    {"time_mix_k_a.weight", "attn.k_a", Change::kFlatten},
    {"time_mix_r_k.weight", "attn.r_k", Change::kHeads},
    {"time_mix_receptance.weight", "attn.r_proj.weight", Change::kNone, kMatrix},
    {"time_mix_key.weight", "attn.k_proj.weight", Change::kNone, kMatrix},
    {"time_mix_value.weight", "attn.v_proj.weight", Change::kNone, kMatrix},
    {"time_mix_output.weight", "attn.o_proj.weight", Change::kNone, kMatrix},
    {"time_mix_ln.weight", "attn.g_norm.weight"},
    {"time_mix_ln.bias", "attn.g_norm.bias"},
    {"channel_mix_lerp_k.weight", "ffn.x_k", Change::kFlatten},
    {"channel_mix_key.weight", "ffn.key.weight", Change::kNone, kMatrix},
    {"channel_mix_value.weight", "ffn.value.weight", Change::kNone, kMatrix},
};

constexpr Rule kMambaOutside[] = {
    {"token_embd.weight", "backbone.embeddings.weight", Change::kNone, kMatrix},
    {"output_norm.weight", "backbone.norm_f.weight"},
    {"output.weight", "lm_head.weight", Change::kNone, kMatrix},
};
constexpr Rule kMambaInside[] = {
    {"attn_norm.weight", "norm.weight"},
    {"ssm_in.weight", "mixer.in_proj.weight", Change::kNone, kMatrix},
    {"ssm_conv1d.weight", "mixer.conv1d.weight", Change::kConv1d},
    {"ssm_conv1d.bias", "mixer.conv1d.bias"},
    {"ssm_x.weight", "mixer.x_proj.weight", Change::kNone, kLowRank},
    {"ssm_dt.weight", "mixer.dt_proj.weight", Change::kNone, kLowRank},
    {"ssm_dt.bias", "mixer.dt_proj.bias"},
    {"ssm_a", "mixer.A"},
    {"ssm_a", "mixer.A_log", Change::kMinusExp},
    {"ssm_d", "mixer.D", Change::kFlatten},
    {"ssm_out.weight", "mixer.out_proj.weight", Change::kNone, kMatrix},
};

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
    return fail(ErrorCode::kShapeMismatch, "tensor '", kName, "': expected 2 dimensions, found shape ",
                tensor->shape.to_string());
  }
  return tensor->shape[0];
}

// The text of config.json, key by key. The first error stays and is the result.
class ConfigText {
 public:
  ConfigText(const GgufHeader& header, std::string_view architecture) : header_(header), architecture_(architecture) {
    text_ = concat("{\"model_type\": ", json_quote(architecture));
  }

  // From the metadata's key, behind the architecture's name.
  void add_uint(std::string_view key, std::string_view source) {
    const auto value = header_.metadata.required_uint(concat(architecture_, ".", source));
    value ? add(key, std::to_string(*value)) : keep(value.error());
  }
  void add_float(std::string_view key, std::string_view source) {
    const auto value = header_.metadata.required_float(concat(architecture_, ".", source));
    if (!value) return keep(value.error());
    // The shortest text that is read as the same float.
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<float>(*value)).ptr;
    const std::string_view text(digits.data(), static_cast<size_t>(end - digits.data()));
    text.find_first_of("ni") == text.npos
        ? add(key, text)
        : keep({ErrorCode::kMalformed, concat("metadata '", architecture_, ".", source, "' is ", text)});
  }
  void add(std::string_view key, std::string_view json) { text_ += concat(", ", json_quote(key), ": ", json); }
  void keep(Error error) {
    if (!error_) error_ = std::move(error);
  }

  Result<std::string> finish() {
    if (error_) return std::unexpected(std::move(*error_));
    return text_ + "}";
  }

 private:
  const GgufHeader& header_;
  std::string_view architecture_;
  std::string text_;
  std::optional<Error> error_;
};

void add_rwkv7(const GgufHeader&, ConfigText& config) {
  config.add_uint("hidden_size", "embedding_length");
  config.add_uint("head_dim", "wkv.head_size");
  config.add_uint("intermediate_size", "feed_forward_length");
  config.add_uint("decay_low_rank_dim", "attention.decay_lora_rank");
  config.add_uint("a_low_rank_dim", "attention.iclr_lora_rank");
  config.add_uint("v_low_rank_dim", "attention.value_residual_mix_lora_rank");
  config.add_uint("gate_low_rank_dim", "attention.gate_lora_rank");
  config.add_float("norm_eps", "attention.layer_norm_epsilon");
  config.add("group_norm_epsilon", "64e-5");  // kRwkv7GroupNormEps
}

void add_mamba(const GgufHeader& header, ConfigText& config) {
  config.add_uint("hidden_size", "embedding_length");
  config.add_uint("intermediate_size", "ssm.inner_size");
  config.add_uint("state_size", "ssm.state_size");
  config.add_uint("conv_kernel", "ssm.conv_kernel");
  config.add_uint("time_step_rank", "ssm.time_step_rank");
  config.add_float("layer_norm_epsilon", "attention.layer_norm_rms_epsilon");
  config.add("use_conv_bias", find_tensor(header, "blk.0.ssm_conv1d.bias") != nullptr ? "true" : "false");
  const auto has_norms = header.metadata.find_bool("mamba.ssm.dt_b_c_rms");
  if (!has_norms) config.keep(has_norms.error());
  if (has_norms && has_norms->value_or(false)) {
    config.keep({ErrorCode::kUnsupported, "FalconMamba, with norms of dt, B and C, is not supported"});
  }
}

// The same keys, written.
class MetadataWriter {
 public:
  MetadataWriter(std::string_view architecture, GgufMetadata& out) : architecture_(architecture), out_(out) {}
  void add_uint(std::string_view key, size_t value) {
    out_.add_u32(concat(architecture_, ".", key), static_cast<uint32_t>(value));
  }
  void add_float(std::string_view key, float value) { out_.add_f32(concat(architecture_, ".", key), value); }
  void add_bool(std::string_view key, bool value) { out_.add_bool(concat(architecture_, ".", key), value); }

 private:
  std::string_view architecture_;
  GgufMetadata& out_;
};

Status write_rwkv7(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<Rwkv7Config>(config.architecture);
  if (c.group_norm_eps != kRwkv7GroupNormEps) {
    return fail(ErrorCode::kUnsupported, "RWKV-7 in GGUF has an epsilon of ", double{kRwkv7GroupNormEps},
                " for ln_x, this model one of ", double{c.group_norm_eps});
  }
  out.add_uint("wkv.head_size", c.head_size);
  out.add_uint("feed_forward_length", c.dim_ffn);
  out.add_uint("attention.decay_lora_rank", c.decay_low_rank);
  out.add_uint("attention.iclr_lora_rank", c.a_low_rank);
  out.add_uint("attention.value_residual_mix_lora_rank", c.v_low_rank);
  out.add_uint("attention.gate_lora_rank", c.gate_low_rank);
  out.add_float("attention.layer_norm_epsilon", c.layer_norm_eps);
  return {};
}

Status write_mamba(const ModelConfig& config, MetadataWriter& out) {
  const auto& c = std::get<MambaConfig>(config.architecture);
  if (c.mixer_rms_eps) {
    return fail(ErrorCode::kUnsupported, "FalconMamba, with norms of dt, B and C, is not written as GGUF");
  }
  out.add_uint("feed_forward_length", 0);
  out.add_uint("ssm.conv_kernel", c.d_conv);
  out.add_uint("ssm.inner_size", c.d_inner);
  out.add_uint("ssm.state_size", c.d_state);
  out.add_uint("ssm.time_step_rank", c.dt_rank);
  out.add_float("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  out.add_bool("ssm.dt_b_c_rms", false);
  return {};
}

struct Architecture {
  std::string_view name;    // of general.architecture, and of ModelConfig
  std::string_view layers;  // what "blk." becomes
  void (*add_config)(const GgufHeader& header, ConfigText& config);
  Status (*write_metadata)(const ModelConfig& config, MetadataWriter& out);
  std::span<const Rule> outside;  // whole names
  std::span<const Rule> inside;   // what follows "blk.N."
};
constexpr Architecture kArchitectures[] = {
    {"rwkv7", "model.layers.", add_rwkv7, write_rwkv7, kRwkv7Outside, kRwkv7Inside},
    {"mamba", "backbone.layers.", add_mamba, write_mamba, kMambaOutside, kMambaInside},
};

const Architecture* find_architecture(std::string_view name) {
  const auto found = std::ranges::find(kArchitectures, name, &Architecture::name);
  return found == std::end(kArchitectures) ? nullptr : found;
}

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

// "blk.N.": N as it is written, and the rest goes to `name`.
std::optional<std::string_view> take_block(std::string_view& name) {
  if (!name.starts_with(kBlocks)) return std::nullopt;
  const std::string_view rest = name.substr(kBlocks.size());
  const size_t dot = rest.find('.');
  if (dot == 0 || dot == std::string_view::npos) return std::nullopt;
  name = rest.substr(dot + 1);
  return rest.substr(0, dot);
}

std::unexpected<Error> wrong_shape(std::string_view name, std::string_view expected, const Shape& found) {
  return fail(ErrorCode::kShapeMismatch, "tensor '", printable(name), "': expected ", expected, ", found shape ",
              found.to_string());
}

// x_r, x_w, x_k, x_v, x_a, x_g, each [1, 1, C].
Status split_lerps(std::string_view name, const std::string& to, Tensor tensor, WeightMap& weights) {
  if (is_block(tensor.dtype())) {
    SUTRA_ASSIGN(tensor, widen(tensor.view()));
  }
  if (tensor.shape()[0] != kMixes.size()) return wrong_shape(name, "six vectors", tensor.shape());
  const uint64_t n_embd = tensor.shape().n_elements() / kMixes.size();
  for (size_t i = 0; i < kMixes.size(); ++i) {
    SUTRA_ASSIGN(Tensor mix, Tensor::create(tensor.dtype(), {1, 1, n_embd}, Contents::kUndefined));
    std::memcpy(mix.bytes().data(), tensor.bytes().data() + i * mix.bytes().size(), mix.bytes().size());
    SUTRA_TRY(weights.insert(concat(to, kMixes[i]), std::move(mix)));
  }
  return {};
}

Status apply(const Rule& rule, const std::string& from, std::string to, const ModelConfig& config, WeightMap& weights) {
  if (rule.change == Change::kNone) return weights.rename(from, std::move(to));
  SUTRA_ASSIGN(Tensor tensor, weights.take(from));
  const Shape& shape = tensor.shape();
  switch (rule.change) {
    case Change::kNone:
    case Change::kMinusExp: break;
    case Change::kFlatten: SUTRA_TRY(tensor.reshape({shape.n_elements()})); break;
    case Change::kSplitLerps: return split_lerps(from, to, std::move(tensor), weights);
    case Change::kHeads: {
      const uint64_t head_size = std::get<Rwkv7Config>(config.architecture).head_size;
      if (shape.n_elements() % head_size != 0) return wrong_shape(from, "a multiple of the head size", shape);
      SUTRA_TRY(tensor.reshape({shape.n_elements() / head_size, head_size}));
      break;
    }
    case Change::kConv1d: {
      if (shape.n_dims() != 2) return wrong_shape(from, "2 dimensions", shape);
      SUTRA_TRY(tensor.reshape({shape[0], 1, shape[1]}));
      break;
    }
  }
  return weights.insert(std::move(to), std::move(tensor));
}

// "model.layers.3.attn.x_r" of an architecture: "blk.3." and "attn.x_r"; other names whole, with no block.
struct SplitName {
  std::string block;
  std::string_view rest;
};
SplitName split_block(const Architecture& architecture, std::string_view name) {
  if (!name.starts_with(architecture.layers)) return {{}, name};
  const std::string_view inside = name.substr(architecture.layers.size());
  const size_t dot = inside.find('.');
  if (dot == 0 || dot == std::string_view::npos) return {{}, name};
  return {concat(kBlocks, inside.substr(0, dot), "."), inside.substr(dot + 1)};
}

GgufTensor written(const Rule& rule, const std::string& block, const std::string& source, const Shape& shape) {
  GgufTensor out{concat(block, rule.from), shape, {source}, rule.stored, rule.change == Change::kMinusExp};
  switch (rule.change) {
    case Change::kNone:
    case Change::kMinusExp: break;
    case Change::kFlatten:
    case Change::kHeads: out.shape = {shape.n_elements()}; break;
    case Change::kConv1d: out.shape = {shape[0], shape[shape.n_dims() - 1]}; break;
    case Change::kSplitLerps: {
      out.shape = {kMixes.size(), 1, 1, shape.n_elements()};
      out.sources.clear();
      const std::string stem = source.substr(0, source.size() - 1);
      for (const char mix : kMixes) out.sources.push_back(stem + mix);
      break;
    }
  }
  return out;
}

// Whether `name`, without its block, is what the rule's becomes. Of the lerps the first stands for all.
bool makes(const Rule& rule, std::string_view name) {
  return rule.change == Change::kSplitLerps ? name == concat(rule.to, kMixes.substr(0, 1)) : name == rule.to;
}

const Rule* find_rule(std::span<const Rule> rules, std::string_view name) {
  const auto rule = std::ranges::find_if(rules, [&](const Rule& one) { return makes(one, name); });
  return rule == rules.end() ? nullptr : &*rule;
}

bool is_other_lerp(std::string_view name) {
  constexpr std::string_view kStem = "attn.x_";
  return name.starts_with(kStem) && kMixes.substr(1).find(name.substr(kStem.size())) != std::string_view::npos;
}

// llama.cpp wants what its converter writes: a v_lora in the first layer, which nothing uses, made of a_lora, and a head.
void add_unused_of_rwkv7(bool is_tied, std::vector<GgufTensor>& out) {
  const auto copy = [&](const std::string& from, const std::string& to) {
    std::erase_if(out, [&](const GgufTensor& tensor) { return tensor.name == to; });
    const auto source = std::ranges::find(out, from, &GgufTensor::name);
    if (source == out.end()) return;
    GgufTensor tensor = *source;
    tensor.name = to;
    out.push_back(std::move(tensor));
  };
  for (const std::string_view part : {"0", "1", "2"}) {
    copy(concat("blk.0.time_mix_a", part, ".weight"), concat("blk.0.time_mix_v", part, ".weight"));
  }
  if (is_tied) copy("token_embd.weight", "output.weight");
}

}  // namespace

Status write_gguf_metadata(const ModelConfig& config, GgufMetadata& out) {
  const Architecture* const architecture = find_architecture(config.architecture_name());
  if (architecture == nullptr) {
    return fail(ErrorCode::kUnsupported, config.architecture_name(), " is not written as GGUF");
  }
  out.add_text("general.architecture", std::string(architecture->name));
  MetadataWriter writer(architecture->name, out);
  writer.add_uint("context_length", size_t{1} << 20);  // llama.cpp wants one; there is none
  writer.add_uint("embedding_length", config.n_embd());
  writer.add_uint("block_count", config.n_layer());
  writer.add_uint("attention.head_count", 0);
  writer.add_uint("vocab_size", config.vocab_size());
  return architecture->write_metadata(config, writer);
}

Result<std::vector<GgufTensor>> gguf_tensors(const ModelConfig& config, const WeightMap& weights) {
  const Architecture* const architecture = find_architecture(config.architecture_name());
  if (architecture == nullptr) {
    return fail(ErrorCode::kUnsupported, config.architecture_name(), " is not written as GGUF");
  }
  std::vector<GgufTensor> out;
  for (const std::string& name : weights.names()) {
    SplitName split{{}, name};
    const Rule* rule = find_rule(architecture->outside, name);
    if (rule == nullptr) {
      split = split_block(*architecture, name);
      rule = find_rule(architecture->inside, split.rest);
    }
    if (rule == nullptr) {
      if (is_other_lerp(split.rest)) continue;
      return fail(ErrorCode::kUnsupported, "tensor '", printable(name), "' has no place in a GGUF file of ",
                  architecture->name);
    }
    const Tensor* const tensor = weights.find(name);
    if (tensor == nullptr) return fail(ErrorCode::kUnsupported, "'", printable(name), "' is packed already");
    out.push_back(written(*rule, split.block, name, tensor->shape()));
  }
  if (const auto* const rwkv7 = std::get_if<Rwkv7Config>(&config.architecture)) {
    add_unused_of_rwkv7(rwkv7->tie_word_embeddings, out);
  }
  return out;
}

Result<std::string> gguf_config(const GgufHeader& header) {
  const GgufMetadata& metadata = header.metadata;
  SUTRA_ASSIGN(const std::string_view name, metadata.required_string("general.architecture"));
  const Architecture* const architecture = find_architecture(name);
  if (architecture == nullptr) {
    std::string known;
    for (const Architecture& one : kArchitectures) known += concat(known.empty() ? "" : ", ", one.name);
    return fail(ErrorCode::kUnsupported, "the GGUF file's architecture '", printable(name),
                "' is not supported; these are: ", known);
  }
  SUTRA_ASSIGN(const auto n_parts, metadata.find_uint("split.count"));
  if (n_parts.value_or(1) > 1) {
    return fail(ErrorCode::kUnsupported, "the GGUF file is one of ", *n_parts,
                " parts: merge them first (llama-gguf-split --merge)");
  }
  // Not used, since a state has a fixed size; but a number it has to be.
  SUTRA_TRY(metadata.find_uint(concat(name, ".context_length")));
  SUTRA_ASSIGN(const uint64_t n_vocab, vocab_size(header));
  ConfigText config(header, name);
  config.add("vocab_size", std::to_string(n_vocab));
  config.add_uint("num_hidden_layers", "block_count");
  config.add("tie_word_embeddings", find_tensor(header, "output.weight") == nullptr ? "true" : "false");
  architecture->add_config(header, config);
  SUTRA_TRY(add_token_ids(header, n_vocab, config));
  return config.finish();
}

Status rename_gguf(const ModelConfig& config, WeightMap& weights) {
  const Architecture* const architecture = find_architecture(config.architecture_name());
  if (architecture == nullptr) {
    return fail(ErrorCode::kUnsupported, "no names of GGUF files are known for ", config.architecture_name());
  }
  for (const std::string& name : weights.names()) {
    std::string_view rest = name;
    const auto block = take_block(rest);
    const std::span<const Rule> rules = block ? architecture->inside : architecture->outside;
    const auto rule = std::ranges::find(rules, rest, &Rule::from);
    if (rule == rules.end()) continue;
    const std::string prefix = block ? concat(architecture->layers, *block, ".") : "";
    SUTRA_TRY(apply(*rule, name, concat(prefix, rule->to), config, weights));
  }
  return {};
}

}  // namespace sutra
