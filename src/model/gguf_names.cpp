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

enum class Change : uint8_t {
  kNone,
  kFlatten,     // to one dimension
  kSplitLerps,  // six vectors one after the other
  kHeads,       // [C] to [H, N]
  kConv1d       // [d_inner, d_conv] to [d_inner, 1, d_conv]
};

struct Rule {
  std::string_view from, to;
  Change change = Change::kNone;
};

constexpr Rule kRwkv7Outside[] = {
    {"token_embd.weight", "model.embeddings.weight"},
    {"token_embd_norm.weight", "model.layers.0.pre_norm.weight"},
    {"token_embd_norm.bias", "model.layers.0.pre_norm.bias"},
    {"output_norm.weight", "model.norm.weight"},
    {"output_norm.bias", "model.norm.bias"},
    {"output.weight", "lm_head.weight"},
};
constexpr Rule kRwkv7Inside[] = {
    {"attn_norm.weight", "attn_norm.weight"},
    {"attn_norm.bias", "attn_norm.bias"},
    {"attn_norm_2.weight", "ffn_norm.weight"},
    {"attn_norm_2.bias", "ffn_norm.bias"},
    {"time_mix_lerp_fused.weight", "attn.x_", Change::kSplitLerps},
    {"time_mix_w0.weight", "attn.w_lora.lora.2.bias", Change::kFlatten},
    {"time_mix_w1.weight", "attn.w_lora.lora.0.weight"},
    {"time_mix_w2.weight", "attn.w_lora.lora.2.weight"},
    {"time_mix_a0.weight", "attn.a_lora.lora.2.bias", Change::kFlatten},
    {"time_mix_a1.weight", "attn.a_lora.lora.0.weight"},
    {"time_mix_a2.weight", "attn.a_lora.lora.2.weight"},
    {"time_mix_v0.weight", "attn.v_lora.lora.2.bias", Change::kFlatten},
    {"time_mix_v1.weight", "attn.v_lora.lora.0.weight"},
    {"time_mix_v2.weight", "attn.v_lora.lora.2.weight"},
    {"time_mix_g1.weight", "attn.g_lora.lora.0.weight"},
    {"time_mix_g2.weight", "attn.g_lora.lora.2.weight"},
    {"time_mix_k_k.weight", "attn.k_k", Change::kFlatten},
    {"time_mix_k_a.weight", "attn.k_a", Change::kFlatten},
    {"time_mix_r_k.weight", "attn.r_k", Change::kHeads},
    {"time_mix_receptance.weight", "attn.r_proj.weight"},
    {"time_mix_key.weight", "attn.k_proj.weight"},
    {"time_mix_value.weight", "attn.v_proj.weight"},
    {"time_mix_output.weight", "attn.o_proj.weight"},
    {"time_mix_ln.weight", "attn.g_norm.weight"},
    {"time_mix_ln.bias", "attn.g_norm.bias"},
    {"channel_mix_lerp_k.weight", "ffn.x_k", Change::kFlatten},
    {"channel_mix_key.weight", "ffn.key.weight"},
    {"channel_mix_value.weight", "ffn.value.weight"},
};

constexpr Rule kMambaOutside[] = {
    {"token_embd.weight", "backbone.embeddings.weight"},
    {"output_norm.weight", "backbone.norm_f.weight"},
    {"output.weight", "lm_head.weight"},
};
constexpr Rule kMambaInside[] = {
    {"attn_norm.weight", "norm.weight"},
    {"ssm_in.weight", "mixer.in_proj.weight"},
    {"ssm_conv1d.weight", "mixer.conv1d.weight", Change::kConv1d},
    {"ssm_conv1d.bias", "mixer.conv1d.bias"},
    {"ssm_x.weight", "mixer.x_proj.weight"},
    {"ssm_dt.weight", "mixer.dt_proj.weight"},
    {"ssm_dt.bias", "mixer.dt_proj.bias"},
    {"ssm_a", "mixer.A"},
    {"ssm_d", "mixer.D", Change::kFlatten},
    {"ssm_out.weight", "mixer.out_proj.weight"},
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
  config.add("group_norm_epsilon", "64e-5");
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

struct Architecture {
  std::string_view name;    // of general.architecture, and of ModelConfig
  std::string_view layers;  // what "blk." becomes
  void (*add_config)(const GgufHeader& header, ConfigText& config);
  std::span<const Rule> outside;  // whole names
  std::span<const Rule> inside;   // what follows "blk.N."
};
constexpr Architecture kArchitectures[] = {
    {"rwkv7", "model.layers.", add_rwkv7, kRwkv7Outside, kRwkv7Inside},
    {"mamba", "backbone.layers.", add_mamba, kMambaOutside, kMambaInside},
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
  constexpr std::string_view kMixes = "rwkvag";
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
    case Change::kNone: break;
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

}  // namespace

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
