#include "model/blinkdl.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace sutra {
namespace {

constexpr std::string_view kBlocks = "blocks.";

enum class Change : uint8_t { kNone, kFlatten, kTranspose };

struct Rule {
  std::string_view from, to;
  Change change = Change::kNone;
};

// Whole names outside of blocks, and what follows "blocks.N." in them.
constexpr Rule kOutside[] = {
    {"emb.weight", "model.embeddings.weight"},
    {"head.weight", "lm_head.weight"},
    {"ln_out.weight", "model.norm.weight"},
    {"ln_out.bias", "model.norm.bias"},
};
constexpr Rule kInside[] = {
    {"ln0.weight", "pre_norm.weight"},
    {"ln0.bias", "pre_norm.bias"},
    {"ln1.weight", "attn_norm.weight"},
    {"ln1.bias", "attn_norm.bias"},
    {"ln2.weight", "ffn_norm.weight"},
    {"ln2.bias", "ffn_norm.bias"},
    {"att.x_r", "attn.x_r"},
    {"att.x_w", "attn.x_w"},
    {"att.x_k", "attn.x_k"},
    {"att.x_v", "attn.x_v"},
    {"att.x_a", "attn.x_a"},
    {"att.x_g", "attn.x_g"},
    {"att.w0", "attn.w_lora.lora.2.bias", Change::kFlatten},
    {"att.w1", "attn.w_lora.lora.0.weight", Change::kTranspose},
    {"att.w2", "attn.w_lora.lora.2.weight", Change::kTranspose},
    {"att.a0", "attn.a_lora.lora.2.bias", Change::kFlatten},
    {"att.a1", "attn.a_lora.lora.0.weight", Change::kTranspose},
    {"att.a2", "attn.a_lora.lora.2.weight", Change::kTranspose},
    {"att.v0", "attn.v_lora.lora.2.bias", Change::kFlatten},
    {"att.v1", "attn.v_lora.lora.0.weight", Change::kTranspose},
    {"att.v2", "attn.v_lora.lora.2.weight", Change::kTranspose},
    {"att.g1", "attn.g_lora.lora.0.weight", Change::kTranspose},
    {"att.g2", "attn.g_lora.lora.2.weight", Change::kTranspose},
    {"att.k_k", "attn.k_k", Change::kFlatten},
    {"att.k_a", "attn.k_a", Change::kFlatten},
    {"att.r_k", "attn.r_k"},
    {"att.receptance.weight", "attn.r_proj.weight"},
    {"att.key.weight", "attn.k_proj.weight"},
    {"att.value.weight", "attn.v_proj.weight"},
    {"att.output.weight", "attn.o_proj.weight"},
    {"att.ln_x.weight", "attn.g_norm.weight"},
    {"att.ln_x.bias", "attn.g_norm.bias"},
    {"ffn.x_k", "ffn.x_k", Change::kFlatten},
    {"ffn.key.weight", "ffn.key.weight"},
    {"ffn.value.weight", "ffn.value.weight"},
};

struct Target {
  std::string name;
  Change change;
};

// "blocks.N.": N, and the rest goes to `name`.
std::optional<uint32_t> take_block(std::string_view& name) {
  if (!name.starts_with(kBlocks)) return std::nullopt;
  const std::string_view number = name.substr(kBlocks.size());
  uint32_t block = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), block);
  const auto n_digits = static_cast<size_t>(end - number.data());
  if (error != std::errc() || n_digits == number.size() || number[n_digits] != '.') return std::nullopt;
  name = number.substr(n_digits + 1);
  return block;
}

const Rule* find_rule(std::span<const Rule> rules, std::string_view name) {
  const auto found = std::ranges::find(rules, name, &Rule::from);
  return found == rules.end() ? nullptr : &*found;
}

std::optional<Target> target_of(std::string_view name) {
  const auto block = take_block(name);
  const Rule* rule = block ? find_rule(kInside, name) : find_rule(kOutside, name);
  if (rule == nullptr) return std::nullopt;
  const std::string prefix = block ? concat("model.layers.", *block, ".") : "";
  return Target{prefix + std::string(rule->to), rule->change};
}

Result<Tensor> transposed(const Tensor& tensor) {
  const uint64_t n_rows = tensor.shape()[0], n_cols = tensor.shape()[1];
  const size_t element_bytes = dtype_bytes(tensor.dtype());
  SUTRA_ASSIGN(Tensor out, Tensor::create(tensor.dtype(), {n_cols, n_rows}, Contents::kUndefined));
  for (size_t row = 0; row < n_rows; ++row) {
    for (size_t col = 0; col < n_cols; ++col) {
      std::memcpy(out.bytes().data() + (col * n_rows + row) * element_bytes,
                  tensor.bytes().data() + (row * n_cols + col) * element_bytes, element_bytes);
    }
  }
  return out;
}

// Dimensions of a tensor that says something about the whole model.
Result<std::span<const uint64_t>> dims_of(const WeightMap& weights, std::string_view name, size_t n_dims) {
  const Tensor* const tensor = weights.find(name);
  if (tensor == nullptr) return fail(ErrorCode::kNotFound, "tensor '", name, "' is missing");
  if (tensor->shape().n_dims() != n_dims) {
    return fail(ErrorCode::kShapeMismatch, "tensor '", name, "': expected ", n_dims, " dimensions, found shape ",
                tensor->shape().to_string());
  }
  return tensor->shape().dims();
}

}  // namespace

bool has_blinkdl_names(const WeightMap& weights) {
  return weights.contains("emb.weight") && weights.contains("blocks.0.ln1.weight");
}

Result<std::string> blinkdl_config(const WeightMap& weights) {
  if (!weights.contains("blocks.0.att.r_k")) {
    return fail(ErrorCode::kUnsupported, "the weights are of an RWKV before version 7, which is not supported");
  }
  uint32_t n_layer = 0;
  for (const std::string& name : weights.names()) {
    std::string_view rest = name;
    n_layer = std::max(n_layer, take_block(rest).value_or(0) + 1);
  }
  SUTRA_ASSIGN(const auto emb, dims_of(weights, "emb.weight", 2));
  SUTRA_ASSIGN(const auto r_k, dims_of(weights, "blocks.0.att.r_k", 2));
  SUTRA_ASSIGN(const auto ffn_key, dims_of(weights, "blocks.0.ffn.key.weight", 2));
  SUTRA_ASSIGN(const auto w1, dims_of(weights, "blocks.0.att.w1", 2));
  SUTRA_ASSIGN(const auto a1, dims_of(weights, "blocks.0.att.a1", 2));
  SUTRA_ASSIGN(const auto g1, dims_of(weights, "blocks.0.att.g1", 2));
  // Layer 0 has no value residual; a model of one layer has none at all.
  uint64_t v_low_rank = 1;
  if (n_layer > 1) {
    SUTRA_ASSIGN(const auto v1, dims_of(weights, "blocks.1.att.v1", 2));
    v_low_rank = v1[1];
  }
  // ln_x has 64e-5 whatever the size of a head; token 0 ends a text.
  return concat("{\"model_type\": \"rwkv7\", \"hidden_size\": ", emb[1], ", \"vocab_size\": ", emb[0],
                ", \"num_hidden_layers\": ", n_layer, ", \"num_heads\": ", r_k[0], ", \"head_dim\": ", r_k[1],
                ", \"intermediate_size\": ", ffn_key[0], ", \"decay_low_rank_dim\": ", w1[1],
                ", \"a_low_rank_dim\": ", a1[1], ", \"gate_low_rank_dim\": ", g1[1],
                ", \"v_low_rank_dim\": ", v_low_rank,
                ", \"norm_eps\": 1e-5, \"group_norm_epsilon\": 64e-5, \"tie_word_embeddings\": ",
                weights.contains("head.weight") ? "false" : "true", ", \"bos_token_id\": 0, \"eos_token_id\": 0}");
}

Status rename_blinkdl(WeightMap& weights) {
  for (const std::string& name : weights.names()) {
    const auto target = target_of(name);
    if (!target) continue;
    SUTRA_ASSIGN(Tensor tensor, weights.take(name));
    if (target->change == Change::kFlatten) SUTRA_TRY(tensor.reshape({tensor.shape().n_elements()}));
    if (target->change == Change::kTranspose && tensor.shape().n_dims() == 2) {
      SUTRA_ASSIGN(tensor, transposed(tensor));
    }
    SUTRA_TRY(weights.insert(target->name, std::move(tensor)));
  }
  return {};
}

}  // namespace sutra
