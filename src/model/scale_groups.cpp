#include "model/scale_groups.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"
#include "base/overloaded.h"
#include "model/decoder.h"
#include "model/outer_names.h"

namespace sutra {
namespace {

using Axis = ScaleFactor::Axis;
using Names = std::vector<std::string>;

// Columns of the linears × s, entries of the absorbers × s^power. Names are without `prefix`.
ScaleGroup make_group(size_t n_channels, const std::string& prefix, const Names& linears, const Names& absorbers,
                      float power = -1) {
  ScaleGroup group;
  group.n_channels = n_channels;
  for (const std::string& linear : linears) {
    group.linears.push_back(prefix + linear);
    group.factors.push_back({concat(prefix, linear, ".weight"), Axis::kLast, 1});
  }
  for (const std::string& absorber : absorbers) group.factors.push_back({prefix + absorber, Axis::kFirst, power});
  return group;
}

// relu(k / √s)² = relu(k)² / s
constexpr float kBeforeSquare = -0.5f;

std::string block_prefix(size_t layer) { return concat("blocks.", layer, "."); }

// The channel mix of RWKV-4 to RWKV-6. The token shift and the mixes are channel by channel, in every version: a scale of
// the norm before them passes.
void add_channel_mix(size_t n_embd, size_t dim_ffn, const std::string& p, std::vector<ScaleGroup>& groups) {
  groups.push_back(make_group(dim_ffn, p, {"ffn.value"}, {"ffn.key.weight"}, kBeforeSquare));
  groups.push_back(make_group(n_embd, p, {"ffn.key", "ffn.receptance"}, {"ln2.weight", "ln2.bias"}));
}

// wkv is a mean of values, channel by channel.
std::vector<ScaleGroup> groups_of(const Rwkv4Config& c, size_t layer) {
  const std::string p = block_prefix(layer);
  std::vector<ScaleGroup> groups = {
      make_group(c.n_embd, p, {"att.output"}, {"att.value.weight"}),
      make_group(c.n_embd, p, {"att.receptance", "att.key", "att.value"}, {"ln1.weight", "ln1.bias"})};
  add_channel_mix(c.n_embd, c.dim_ffn, p, groups);
  return groups;
}

std::vector<ScaleGroup> groups_of(const Rwkv5Config& c, size_t layer) {
  const std::string p = block_prefix(layer);
  Names inputs = {"att.receptance", "att.key", "att.value"};
  if (c.has_gate) inputs.emplace_back("att.gate");
  std::vector<ScaleGroup> groups = {make_group(c.n_embd, p, {"att.output"}, {"att.ln_x.weight", "att.ln_x.bias"}),
                                    make_group(c.n_embd, p, inputs, {"ln1.weight", "ln1.bias"})};
  add_channel_mix(c.n_embd, c.dim_ffn, p, groups);
  return groups;
}

// The low-rank pairs that decide about the mixes and the decay read the norm, too; their lower halves are stored [C, R].
std::vector<ScaleGroup> groups_of(const Rwkv6Config& c, size_t layer) {
  const std::string p = block_prefix(layer);
  ScaleGroup inputs =
      make_group(c.n_embd, p, {"att.receptance", "att.key", "att.value", "att.gate"}, {"ln1.weight", "ln1.bias"});
  for (const char* down : {"att.time_maa_w1", "att.time_decay_w1"}) {
    inputs.factors.push_back({p + down, Axis::kFirst, 1});
  }
  std::vector<ScaleGroup> groups = {make_group(c.n_embd, p, {"att.output"}, {"att.ln_x.weight", "att.ln_x.bias"}),
                                    std::move(inputs)};
  add_channel_mix(c.n_embd, c.dim_ffn, p, groups);
  return groups;
}

// o_proj reads (GroupNorm(wkv) + bonus) ⊙ g: of the three only g has a matrix alone before it.
std::vector<ScaleGroup> groups_of(const Rwkv7Config& c, size_t layer) {
  const std::string p = concat("model.layers.", layer, ".");
  ScaleGroup inputs =
      make_group(c.n_embd, p, {"attn.r_proj", "attn.k_proj", "attn.v_proj"}, {"attn_norm.weight", "attn_norm.bias"});
  for (const std::string_view pair : {"w", "a", "v", "g"}) {
    // Layer 0 has no value residual.
    if (layer > 0 || pair != "v") {
      inputs.factors.push_back({concat(p, "attn.", pair, "_lora.lora.0.weight"), Axis::kLast, 1});
    }
  }
  return {make_group(c.n_embd, p, {"attn.o_proj"}, {"attn.g_lora.lora.2.weight"}), std::move(inputs),
          make_group(c.dim_ffn, p, {"ffn.value"}, {"ffn.key.weight"}, kBeforeSquare),
          make_group(c.n_embd, p, {"ffn.key"}, {"ffn_norm.weight", "ffn_norm.bias"})};
}

// out_proj reads y ⊙ silu(z), and what makes y goes into B, C and Δ as well: nothing before it could be scaled.
std::vector<ScaleGroup> groups_of(const MambaConfig& c, size_t layer) {
  const std::string p = concat("backbone.layers.", layer, ".");
  ScaleGroup output = make_group(c.d_inner, p, {"mixer.out_proj"}, {"mixer.out_scale"});
  output.factors.back().is_new = true;
  return {std::move(output), make_group(c.d_model, p, {"mixer.in_proj"}, {"norm.weight"})};
}

// Without a norm, out_proj is as Mamba-1's, and in no group.
void add_mamba2_output(const Mamba2MixerConfig& c, const std::string& mixer, std::vector<ScaleGroup>& groups) {
  if (c.norm_size > 0) groups.push_back(make_group(c.d_inner, mixer, {"out_proj"}, {"norm.weight"}));
}

std::vector<ScaleGroup> groups_of(const Mamba2Config& c, size_t layer) {
  const std::string p = concat("backbone.layers.", layer, ".");
  std::vector<ScaleGroup> groups;
  add_mamba2_output(c.mixer, p + "mixer.", groups);
  groups.push_back(make_group(c.d_model, p, {"mixer.in_proj"}, {"norm.weight"}));
  return groups;
}

// What attention gives is a mean of values, channel by channel.
ScaleGroup attention_output(const AttentionConfig& c, const std::string& p) {
  Names absorbers = {"v_proj.weight"};
  if (c.use_bias) absorbers.emplace_back("v_proj.bias");
  ScaleGroup group = make_group(c.n_heads * c.head_dim, p, {"o_proj"}, absorbers);
  if (c.n_heads == c.n_kv_heads) return group;
  const size_t n_queries = c.n_heads / c.n_kv_heads;
  for (size_t channel = 0; channel < group.n_channels; ++channel) {
    const size_t kv_head = channel / c.head_dim / n_queries;
    group.tied.push_back(static_cast<uint32_t>(kv_head * c.head_dim + channel % c.head_dim));
  }
  return group;
}

// silu(gate) ⊙ up is linear in up, which some families store behind gate in one matrix.
ScaleGroup mlp_output(const DecoderConfig& c, const DecoderNames& names, const std::string& mlp) {
  const bool has_up = !names.matrices.up.empty();
  const std::string up(has_up ? names.matrices.up : names.matrices.gate);
  Names absorbers = {up + ".weight"};
  if (c.use_mlp_bias) absorbers.push_back(up + ".bias");
  ScaleGroup group = make_group(c.dim_ffn, mlp, {std::string(names.matrices.down)}, absorbers);
  for (ScaleFactor& factor : group.factors) {
    if (!has_up && factor.axis == Axis::kFirst) factor.begin = c.dim_ffn;
  }
  return group;
}

std::vector<ScaleGroup> groups_of(const DecoderConfig& c, size_t layer) {
  const DecoderNames names = decoder_names(c);
  const std::string p = concat("model.layers.", layer, ".");
  std::vector<ScaleGroup> groups;
  Names mixers, mlp;
  if (c.has_attention[layer]) {
    groups.push_back(attention_output(c.attention, p + "self_attn."));
    mixers = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
  }
  if (c.has_mamba[layer]) {
    add_mamba2_output(c.mamba, p + "mamba.", groups);
    mixers.emplace_back("mamba.in_proj");
  }
  groups.push_back(make_group(c.d_model, p, mixers, {"input_layernorm.weight"}));
  groups.push_back(mlp_output(c, names, concat(p, names.mlp)));
  for (const std::string_view name : {names.matrices.gate, names.matrices.up}) {
    if (!name.empty()) mlp.push_back(concat(names.mlp, name));
  }
  groups.push_back(make_group(c.d_model, p, mlp, {concat(names.mlp_norm, ".weight")}));
  return groups;
}

// s^power, by operations that round alike everywhere.
float power_of(float s, float power) {
  const double base = std::fabs(power) < 1 ? std::sqrt(static_cast<double>(s)) : static_cast<double>(s);
  return static_cast<float>(power < 0 ? 1 / base : base);
}

// Entries that a factor scales: one a channel, or a slot.
size_t n_entries(const ScaleGroup& group, Axis axis) {
  if (axis == Axis::kLast || group.tied.empty()) return group.n_channels;
  return size_t{std::ranges::max(group.tied)} + 1;
}

// Whether `shape` has n entries along the axis.
bool has_entries(const Shape& shape, Axis axis, uint64_t n) {
  const std::span<const uint64_t> dims = shape.dims();
  if (dims.empty()) return false;
  if (axis == Axis::kLast) return dims.back() == n;
  uint64_t n_leading = 1;
  return std::ranges::any_of(dims, [&](uint64_t dim) { return (n_leading *= dim) == n; });
}

Status check_factor(const ScaleFactor& factor, size_t n, const std::map<std::string, Tensor, std::less<>>& weights) {
  const auto found = weights.find(factor.tensor);
  if (found == weights.end()) {
    return factor.is_new ? Status() : fail(ErrorCode::kNotFound, "tensor '", printable(factor.tensor), "' is missing");
  }
  const Shape& shape = found->second.shape();
  if (has_entries(shape, factor.axis, factor.begin + n)) return {};
  return fail(ErrorCode::kShapeMismatch, "tensor '", printable(factor.tensor), "': expected ", factor.begin + n,
              factor.axis == Axis::kFirst ? " rows" : " columns", " to scale, found shape ", shape.to_string());
}

// values, a matrix of begin + n rows, each × its scale.
void scale_rows(std::span<const float> scales, size_t begin, std::span<float> values) {
  const size_t n_columns = values.size() / (begin + scales.size());
  for (size_t i = begin * n_columns; i < values.size(); ++i) values[i] *= scales[i / n_columns - begin];
}

}  // namespace

std::vector<ScaleGroup> scale_groups(const ModelConfig& config, size_t layer) {
  SUTRA_ASSERT(layer < config.n_layer());
  return std::visit([&](const auto& c) { return groups_of(c, layer); }, config.architecture);
}

std::vector<ScaleGroup> head_scale_groups(const ModelConfig& config) {
  const OuterNames names = outer_names(config);
  Names absorbers = {concat(names.norm, ".weight")};
  if (!names.pre_norm.empty()) absorbers.push_back(concat(names.norm, ".bias"));
  const std::string matrix(names.tied ? names.embeddings : names.head);
  ScaleGroup group = make_group(config.n_embd(), "", {matrix}, absorbers);
  // A look-up has to give the embedding as it was.
  if (names.tied) group.factors.push_back({matrix + "_scale", Axis::kFirst, -1, true});
  return {std::move(group)};
}

void scale_columns(std::span<const float> scales, std::span<float> values) {
  for (size_t row = 0; row < values.size(); row += scales.size()) {
    for (size_t k = 0; k < scales.size(); ++k) values[row + k] *= scales[k];
  }
}

Status apply_scales(const ScaleGroup& group, std::span<const float> s,
                    std::map<std::string, Tensor, std::less<>>& weights) {
  SUTRA_ASSERT(s.size() == group.n_channels && (group.tied.empty() || group.tied.size() == s.size()));
  for (const ScaleFactor& factor : group.factors) {
    SUTRA_TRY(check_factor(factor, n_entries(group, factor.axis), weights));
  }
  for (const ScaleFactor& factor : group.factors) {
    std::vector<float> scales(n_entries(group, factor.axis));
    for (size_t channel = 0; channel < s.size(); ++channel) {
      const bool by_slot = factor.axis == Axis::kFirst && !group.tied.empty();
      scales[by_slot ? group.tied[channel] : channel] = power_of(s[channel], factor.power);
    }
    auto found = weights.find(factor.tensor);
    if (found == weights.end()) {
      SUTRA_ASSIGN(Tensor ones, Tensor::create(Dtype::kF32, {scales.size()}, Contents::kUndefined));
      std::ranges::fill(ones.as<float>(), 1.0f);
      found = weights.emplace(factor.tensor, std::move(ones)).first;
    }
    const std::span<float> values = found->second.as<float>();
    if (factor.axis == Axis::kLast) {
      scale_columns(scales, values);
    } else {
      scale_rows(scales, factor.begin, values);
    }
  }
  return {};
}

}  // namespace sutra
