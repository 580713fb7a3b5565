#include "model/blinkdl.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "model/layer_name.h"
#include "model/weights_config.h"
#include "tensor/rearrange.h"

namespace sutra {
namespace {

constexpr std::string_view kBlocks = "blocks.";

enum class Change : uint8_t { kNone, kFlatten, kTranspose, kSplitColumns, kSplitPlanes };

struct Rule {
  std::string_view from, to;
  Change change = Change::kNone;
};

// transformers' words for BlinkDL's, in the order of a name, behind this prefix; the head is "head" in both.
constexpr std::string_view kTransformersPrefix = "rwkv.";
constexpr std::pair<std::string_view, std::string_view> kWords[] = {
    {"embeddings.", "emb."},
    {".pre_ln.", ".ln0."},
    {".attention.", ".att."},
    {".feed_forward.", ".ffn."},
    {".time_mix_key", ".time_mix_k"},
    {".time_mix_value", ".time_mix_v"},
    {".time_mix_receptance", ".time_mix_r"},
    {".time_mix_gate", ".time_mix_g"},
};

// Versions 4 to 6, what follows "blocks.N.": one row for all of them, no name means two things.
constexpr Rule kInsideOld[] = {
    {"att.time_mix_k", "att.time_mix_k", Change::kFlatten},
    {"att.time_mix_v", "att.time_mix_v", Change::kFlatten},
    {"att.time_mix_r", "att.time_mix_r", Change::kFlatten},
    {"att.time_mix_g", "att.time_mix_g", Change::kFlatten},
    {"att.time_decay", "att.time_decay", Change::kFlatten},
    {"att.time_first", "att.time_first", Change::kFlatten},
    {"att.time_faaaa", "att.time_faaaa", Change::kFlatten},
    {"att.time_maa_x", "att.time_maa_x", Change::kFlatten},
    {"att.time_maa_w", "att.time_maa_w", Change::kFlatten},
    {"att.time_maa_k", "att.time_maa_k", Change::kFlatten},
    {"att.time_maa_v", "att.time_maa_v", Change::kFlatten},
    {"att.time_maa_r", "att.time_maa_r", Change::kFlatten},
    {"att.time_maa_g", "att.time_maa_g", Change::kFlatten},
    {"att.time_maa_w1", "att.time_maa_w1.", Change::kSplitColumns},
    {"att.time_maa_w2", "att.time_maa_w2.", Change::kSplitPlanes},
    {"att.time_decay_w1", "att.time_decay_w1.weight", Change::kTranspose},
    {"att.time_decay_w2", "att.time_decay_w2.weight", Change::kTranspose},
    {"ffn.time_mix_k", "ffn.time_mix_k", Change::kFlatten},
    {"ffn.time_mix_r", "ffn.time_mix_r", Change::kFlatten},
    {"ffn.time_maa_k", "ffn.time_maa_k", Change::kFlatten},
    {"ffn.time_maa_r", "ffn.time_maa_r", Change::kFlatten},
};

// The parts of time_maa_w1 and time_maa_w2.
constexpr std::string_view kMixNames[] = {"w", "k", "v", "r", "g"};
constexpr uint64_t kMixes = std::size(kMixNames);

// Version 7: whole names outside of blocks, and what follows "blocks.N." in them.
constexpr Rule kOutside7[] = {
    {"emb.weight", "model.embeddings.weight"},
    {"head.weight", "lm_head.weight"},
    {"ln_out.weight", "model.norm.weight"},
    {"ln_out.bias", "model.norm.bias"},
};
constexpr Rule kInside7[] = {
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

const Rule* find_rule(std::span<const Rule> rules, std::string_view name) {
  const auto found = std::ranges::find(rules, name, &Rule::from);
  return found == rules.end() ? nullptr : &*found;
}

// The version of RWKV by the tensors of its first time mix; names are BlinkDL's.
enum class Version : uint8_t { k4, k5, k6, k7 };

Version version_of(const WeightMap& weights) {
  if (weights.contains("blocks.0.att.r_k")) return Version::k7;
  if (weights.contains("blocks.0.att.time_maa_x")) return Version::k6;
  return weights.contains("blocks.0.att.ln_x.weight") ? Version::k5 : Version::k4;
}

std::optional<Target> target_of(std::string_view name, Version version) {
  const bool is_7 = version == Version::k7;
  const auto block = take_layer(kBlocks, name);
  if (!is_7 && !block) return std::nullopt;
  const std::span<const Rule> rules = !block ? std::span<const Rule>(kOutside7)
                                      : is_7 ? std::span<const Rule>(kInside7)
                                             : kInsideOld;
  const std::string prefix = !block ? "" : concat(is_7 ? "model.layers." : kBlocks, *block, ".");
  if (const Rule* rule = find_rule(rules, name)) return Target{prefix + std::string(rule->to), rule->change};
  // The three parts of a matrix in 4 bits are called after its weight.
  constexpr std::string_view kWeight = "weight";
  for (const std::string_view part : {"qweight", "qzeros", "scales"}) {
    if (!name.ends_with(part)) continue;
    const std::string whole = concat(name.substr(0, name.size() - part.size()), kWeight);
    if (const Rule* rule = find_rule(rules, whole)) {
      return Target{concat(prefix, rule->to.substr(0, rule->to.size() - kWeight.size()), part), Change::kNone};
    }
  }
  return std::nullopt;
}

// The matrices of the interpolations in time_maa_w1 [C, 5·R] or time_maa_w2 [5, R, C].
Status insert_mixes(const Tensor& tensor, const Target& target, WeightMap& weights) {
  const Shape& shape = tensor.shape();
  const bool in_columns = target.change == Change::kSplitColumns;
  if (in_columns ? shape.n_dims() != 2 || shape[1] % kMixes != 0 : shape.n_dims() != 3 || shape[0] != kMixes) {
    return wrong_shape(target.name, in_columns ? "[C, 5 R]" : "[5, R, C]", shape);
  }
  // [5·R, C] or [5, C, R]: one mix after the other.
  SUTRA_ASSIGN(const Tensor mixes, transpose(tensor.view()));
  const uint64_t n_out = in_columns ? shape[1] / kMixes : shape[2];
  const uint64_t n_in = in_columns ? shape[0] : shape[1];
  for (uint64_t mix = 0; mix < kMixes; ++mix) {
    SUTRA_ASSIGN(Tensor part, part_of(mixes.view(), static_cast<size_t>(mix), {n_out, n_in}));
    SUTRA_TRY(weights.insert(concat(target.name, kMixNames[mix], ".weight"), std::move(part)));
  }
  return {};
}

// The keys of each version beside those that all have.
Status add_keys_of_5(const WeightMap& weights, JsonText& config) {
  const bool has_gate = weights.contains("blocks.0.att.gate.weight");
  const bool per_channel = weights.contains("blocks.0.att.time_faaaa");
  const Tensor* const decay = weights.find("blocks.0.att.time_decay");
  const Tensor* const emb = weights.find("emb.weight");
  if (decay == nullptr || decay->shape().n_dims() == 0 || emb == nullptr || emb->shape().n_dims() != 2) {
    return fail(ErrorCode::kNotFound, "tensors 'emb.weight' and 'blocks.0.att.time_decay' do not tell the heads");
  }
  config.add("model_type", "\"rwkv5\"");
  config.add("model_version", per_channel ? "\"5_2\"" : has_gate ? "\"5_1\"" : "\"5\"");
  config.add_uint("head_size", emb->shape()[1] / std::max<uint64_t>(1, decay->shape()[0]));
  return {};
}

Status add_keys_of_6(const WeightMap& weights, JsonText& config) {
  SUTRA_ASSIGN(const auto faaaa, dims_of(weights, "blocks.0.att.time_faaaa", 2));
  SUTRA_ASSIGN(const auto decay_w1, dims_of(weights, "blocks.0.att.time_decay_w1", 2));
  SUTRA_ASSIGN(const auto maa_w2, dims_of(weights, "blocks.0.att.time_maa_w2", 3));
  config.add("model_type", "\"rwkv6\"");
  config.add_uint("head_size", faaaa[1]);
  config.add_uint("time_decay_extra_dim", decay_w1[1]);
  config.add_uint("time_mix_extra_dim", maa_w2[1]);
  return {};
}

Status add_keys_of_7(const WeightMap& weights, uint32_t n_layer, JsonText& config) {
  SUTRA_ASSIGN(const auto r_k, dims_of(weights, "blocks.0.att.r_k", 2));
  SUTRA_ASSIGN(const auto w1, dims_of(weights, "blocks.0.att.w1", 2));
  SUTRA_ASSIGN(const auto a1, dims_of(weights, "blocks.0.att.a1", 2));
  SUTRA_ASSIGN(const auto g1, dims_of(weights, "blocks.0.att.g1", 2));
  // Layer 0 has no value residual; a model of one layer has none at all.
  uint64_t v_low_rank = 1;
  if (n_layer > 1) {
    SUTRA_ASSIGN(const auto v1, dims_of(weights, "blocks.1.att.v1", 2));
    v_low_rank = v1[1];
  }
  add_rwkv7_keys({r_k[0], r_k[1], w1[1], a1[1], v_low_rank, g1[1]}, config);
  return {};
}

Status add_keys(const WeightMap& weights, uint32_t n_layer, JsonText& config) {
  const Version version = version_of(weights);
  if (version == Version::k7) return add_keys_of_7(weights, n_layer, config);
  if (version == Version::k6) return add_keys_of_6(weights, config);
  if (version == Version::k5) return add_keys_of_5(weights, config);
  config.add("model_type", "\"rwkv\"");
  return {};
}

}  // namespace

bool has_blinkdl_names(const WeightMap& weights) {
  return weights.contains("blocks.0.ln1.weight") || weights.contains("rwkv.blocks.0.ln1.weight");
}

std::string blinkdl_name(std::string_view name) {
  if (!name.starts_with(kTransformersPrefix)) return std::string(name);
  std::string renamed(name.substr(kTransformersPrefix.size()));
  for (const auto& [word, replacement] : kWords) {
    if (const size_t at = renamed.find(word); at != std::string::npos) renamed.replace(at, word.size(), replacement);
  }
  return renamed;
}

std::string transformers_name(std::string_view blinkdl) {
  if (blinkdl.starts_with("head.")) return std::string(blinkdl);
  std::string renamed(blinkdl);
  for (const auto& [replacement, word] : kWords) {
    if (const size_t at = renamed.find(word); at != std::string::npos) renamed.replace(at, word.size(), replacement);
  }
  return concat(kTransformersPrefix, renamed);
}

Status add_blinkdl_keys(const WeightMap& weights, JsonText& config) {
  const uint32_t n_layer = count_layers(weights, kBlocks);
  SUTRA_ASSIGN(const auto emb, dims_of(weights, "emb.weight", 2));
  SUTRA_ASSIGN(const auto ffn_key, dims_of(weights, "blocks.0.ffn.key.weight", 2));
  SUTRA_TRY(add_keys(weights, n_layer, config));
  config.add_uint("intermediate_size", ffn_key[0]);
  add_common_keys({emb[1], emb[0], n_layer, !weights.contains("head.weight")}, config);
  return {};
}

Status use_blinkdl_names(WeightMap& weights) {
  for (const std::string& name : weights.names()) {
    // A packed matrix is renamed with the first of its parts.
    const std::string renamed = blinkdl_name(name);
    if (renamed != name && weights.contains(name)) SUTRA_TRY(weights.rename(name, renamed));
  }
  return {};
}

Status adapt_blinkdl(WeightMap& weights) {
  const Version version = version_of(weights);
  for (const std::string& name : weights.names()) {
    const auto target = target_of(name, version);
    if (!target || !weights.contains(name)) continue;
    if (target->change == Change::kNone) {
      if (target->name != name) SUTRA_TRY(weights.rename(name, target->name));
      continue;
    }
    SUTRA_ASSIGN(Tensor tensor, weights.take(name));
    const Shape shape = tensor.shape();
    if (shape.n_elements() == 0) return wrong_shape(name, "elements", shape);
    if (is_block(tensor.dtype())) {
      return fail(ErrorCode::kDtypeMismatch, "tensor '", printable(name), "': expected floats, found ",
                  dtype_name(tensor.dtype()));
    }
    if (target->change == Change::kSplitColumns || target->change == Change::kSplitPlanes) {
      SUTRA_TRY(insert_mixes(tensor, *target, weights));
      continue;
    }
    if (target->change == Change::kFlatten) SUTRA_TRY(tensor.reshape({shape.n_elements()}));
    if (target->change == Change::kTranspose && shape.n_dims() == 2) {
      SUTRA_ASSIGN(tensor, transpose(tensor.view()));
    }
    SUTRA_TRY(weights.insert(target->name, std::move(tensor)));
  }
  return {};
}

}  // namespace sutra
