#include "model/gguf_names.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>

#include "model/attention.h"
#include "model/layer_name.h"
#include "model/parameters.h"
#include "quant/ggml_blocks.h"
#include "tensor/rearrange.h"

namespace sutra {
namespace {

constexpr std::string_view kBlocks = "blk.";
constexpr std::string_view kRopeFactorsName = "rope_freqs.weight";

// What happens on the way from the file; writing does the opposite.
enum class Change : uint8_t {
  kNone,
  kFlatten,      // to one dimension, and written as one
  kColumn,       // [n, 1] to [n]
  kSplitLerps,   // vectors one after the other
  kHeads,        // [C] to [H, N]
  kNormGroups,   // [groups, n] to [groups · n]
  kConv1d,       // [channels, d_conv] to [channels, 1, d_conv]
  kTranspose,    // the last two dimensions exchanged
  kRotaryRows,   // rows of a pair of rotary positions are neighbours, and become halves
  kGateAndUp,    // the rows of ffn_up follow those of ffn_gate
  kRescale,      // what was divided by a power of 2 is multiplied by it
  kMinusExp,     // only written: A of A_log; what is read stays A
  kRopeFactors,  // only written: made of the config
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

constexpr Rule kRwkv6Outside[] = {
    {"token_embd.weight", "emb.weight", Change::kNone, kMatrix},
    {"token_embd_norm.weight", "blocks.0.ln0.weight"},
    {"token_embd_norm.bias", "blocks.0.ln0.bias"},
    {"output_norm.weight", "ln_out.weight"},
    {"output_norm.bias", "ln_out.bias"},
    {"output.weight", "head.weight", Change::kNone, kMatrix},
};
constexpr Rule kRwkv6Inside[] = {
    {"attn_norm.weight", "ln1.weight"},
    {"attn_norm.bias", "ln1.bias"},
    {"attn_norm_2.weight", "ln2.weight"},
    {"attn_norm_2.bias", "ln2.bias"},
    {"time_mix_lerp_x.weight", "att.time_maa_x", Change::kFlatten},
    {"time_mix_lerp_fused.weight", "att.time_maa_", Change::kSplitLerps},
    // Of converters before the fused tensor.
    {"time_mix_lerp_w.weight", "att.time_maa_w", Change::kFlatten},
    {"time_mix_lerp_k.weight", "att.time_maa_k", Change::kFlatten},
    {"time_mix_lerp_v.weight", "att.time_maa_v", Change::kFlatten},
    {"time_mix_lerp_r.weight", "att.time_maa_r", Change::kFlatten},
    {"time_mix_lerp_g.weight", "att.time_maa_g", Change::kFlatten},
    {"time_mix_w1.weight", "att.time_maa_w1", Change::kTranspose},
    {"time_mix_w2.weight", "att.time_maa_w2", Change::kTranspose},
    {"time_mix_first.weight", "att.time_faaaa"},
    {"time_mix_decay.weight", "att.time_decay", Change::kFlatten},
    {"time_mix_decay_w1.weight", "att.time_decay_w1", Change::kTranspose},
    {"time_mix_decay_w2.weight", "att.time_decay_w2", Change::kTranspose},
    {"time_mix_receptance.weight", "att.receptance.weight", Change::kNone, kMatrix},
    {"time_mix_key.weight", "att.key.weight", Change::kNone, kMatrix},
    {"time_mix_value.weight", "att.value.weight", Change::kNone, kMatrix},
    {"time_mix_gate.weight", "att.gate.weight", Change::kNone, kMatrix},
    {"time_mix_output.weight", "att.output.weight", Change::kRescale, kMatrix},
    {"time_mix_ln.weight", "att.ln_x.weight"},
    {"time_mix_ln.bias", "att.ln_x.bias"},
    {"channel_mix_lerp_k.weight", "ffn.time_maa_k", Change::kFlatten},
    {"channel_mix_lerp_r.weight", "ffn.time_maa_r", Change::kFlatten},
    {"channel_mix_key.weight", "ffn.key.weight", Change::kNone, kMatrix},
    {"channel_mix_receptance.weight", "ffn.receptance.weight", Change::kNone, kMatrix},
    {"channel_mix_value.weight", "ffn.value.weight", Change::kRescale, kMatrix},
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
    {"ssm_in.bias", "mixer.in_proj.bias"},
    {"ssm_conv1d.weight", "mixer.conv1d.weight", Change::kConv1d},
    {"ssm_conv1d.bias", "mixer.conv1d.bias"},
    {"ssm_x.weight", "mixer.x_proj.weight", Change::kNone, kLowRank},
    {"ssm_dt.weight", "mixer.dt_proj.weight", Change::kNone, kLowRank},
    {"ssm_dt.bias", "mixer.dt_proj.bias"},
    {"ssm_a", "mixer.A"},
    {"ssm_a", "mixer.A_log", Change::kMinusExp},
    {"ssm_d", "mixer.D", Change::kFlatten},
    {"ssm_out.weight", "mixer.out_proj.weight", Change::kNone, kMatrix},
    {"ssm_out.bias", "mixer.out_proj.bias"},
};

constexpr Rule kMamba2Inside[] = {
    {"attn_norm.weight", "norm.weight"},
    {"ssm_in.weight", "mixer.in_proj.weight", Change::kNone, kMatrix},
    {"ssm_in.bias", "mixer.in_proj.bias"},
    {"ssm_conv1d.weight", "mixer.conv1d.weight", Change::kConv1d},
    {"ssm_conv1d.bias", "mixer.conv1d.bias"},
    {"ssm_dt.bias", "mixer.dt_bias"},
    {"ssm_a", "mixer.A", Change::kColumn},
    {"ssm_a", "mixer.A_log", Change::kMinusExp},
    {"ssm_d", "mixer.D", Change::kColumn},
    {"ssm_norm.weight", "mixer.norm.weight", Change::kNormGroups},
    {"ssm_out.weight", "mixer.out_proj.weight", Change::kNone, kMatrix},
    {"ssm_out.bias", "mixer.out_proj.bias"},
};

// Of llama and of Granite 4.
constexpr Rule kDecoderOutside[] = {
    {"token_embd.weight", "model.embed_tokens.weight", Change::kNone, kMatrix},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight", Change::kNone, kMatrix},
    {kRopeFactorsName, kRopeFactorsName, Change::kRopeFactors},
};
// Of Bamba and of Falcon-H1.
constexpr Rule kBambaOutside[] = {
    {"token_embd.weight", "model.embed_tokens.weight", Change::kNone, kMatrix},
    {"output_norm.weight", "model.final_layernorm.weight"},
    {"output.weight", "lm_head.weight", Change::kNone, kMatrix},
};

// The parts of a decoder's layer. GGUF turns neighbours where the others turn halves of heads, except in Falcon-H1.
constexpr Rule kAttentionOfNeighbours[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight", Change::kRotaryRows, kMatrix},
    {"attn_q.bias", "self_attn.q_proj.bias", Change::kRotaryRows},
    {"attn_k.weight", "self_attn.k_proj.weight", Change::kRotaryRows, kMatrix},
    {"attn_k.bias", "self_attn.k_proj.bias", Change::kRotaryRows},
    {"attn_v.weight", "self_attn.v_proj.weight", Change::kNone, kMatrix},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_output.weight", "self_attn.o_proj.weight", Change::kNone, kMatrix},
    {"attn_output.bias", "self_attn.o_proj.bias"},
};
constexpr Rule kAttentionOfHalves[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight", Change::kNone, kMatrix},
    {"attn_k.weight", "self_attn.k_proj.weight", Change::kNone, kMatrix},
    {"attn_v.weight", "self_attn.v_proj.weight", Change::kNone, kMatrix},
    {"attn_output.weight", "self_attn.o_proj.weight", Change::kNone, kMatrix},
};
constexpr Rule kDecoderMamba2[] = {
    {"ssm_in.weight", "mamba.in_proj.weight", Change::kNone, kMatrix},
    {"ssm_in.bias", "mamba.in_proj.bias"},
    {"ssm_conv1d.weight", "mamba.conv1d.weight", Change::kConv1d},
    {"ssm_conv1d.bias", "mamba.conv1d.bias"},
    {"ssm_dt.bias", "mamba.dt_bias"},
    {"ssm_a", "mamba.A", Change::kColumn},
    {"ssm_a", "mamba.A_log", Change::kMinusExp},
    {"ssm_d", "mamba.D", Change::kColumn},
    {"ssm_norm.weight", "mamba.norm.weight", Change::kNormGroups},
    {"ssm_out.weight", "mamba.out_proj.weight", Change::kNone, kMatrix},
    {"ssm_out.bias", "mamba.out_proj.bias"},
};
constexpr Rule kLlamaMlp[] = {
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight", Change::kNone, kMatrix},
    {"ffn_gate.bias", "mlp.gate_proj.bias"},
    {"ffn_up.weight", "mlp.up_proj.weight", Change::kNone, kMatrix},
    {"ffn_up.bias", "mlp.up_proj.bias"},
    {"ffn_down.weight", "mlp.down_proj.weight", Change::kNone, kMatrix},
    {"ffn_down.bias", "mlp.down_proj.bias"},
};
constexpr Rule kBambaMlp[] = {
    {"ffn_norm.weight", "pre_ff_layernorm.weight"},
    {"ffn_gate.weight", "feed_forward.gate_proj.weight", Change::kNone, kMatrix},
    {"ffn_up.weight", "feed_forward.up_proj.weight", Change::kNone, kMatrix},
    {"ffn_down.weight", "feed_forward.down_proj.weight", Change::kNone, kMatrix},
};
constexpr Rule kFalconH1Norm[] = {{"ffn_norm", "pre_ff_layernorm.weight"}};
constexpr Rule kGraniteMlp[] = {
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "shared_mlp.input_linear.weight", Change::kGateAndUp, kMatrix},
    {"ffn_down.weight", "shared_mlp.output_linear.weight", Change::kNone, kMatrix},
};

using Rules = std::span<const Rule>;
struct Architecture {
  std::string_view name;        // of ModelConfig
  std::string_view layers;      // what "blk." becomes
  std::string_view mixes;       // in the order of time_mix_lerp_fused
  Rules outside;                // whole names
  std::array<Rules, 4> inside;  // what follows "blk.N."; the first that fits
};
constexpr Architecture kArchitectures[] = {
    {"rwkv6", "blocks.", "wkvrg", kRwkv6Outside, {kRwkv6Inside}},
    {"rwkv7", "model.layers.", "rwkvag", kRwkv7Outside, {kRwkv7Inside}},
    {"mamba", "backbone.layers.", "", kMambaOutside, {kMambaInside}},
    {"mamba2", "backbone.layers.", "", kMambaOutside, {kMamba2Inside}},
    {"llama", "model.layers.", "", kDecoderOutside, {kAttentionOfNeighbours, kLlamaMlp}},
    {"falcon_h1", "model.layers.", "", kBambaOutside, {kFalconH1Norm, kAttentionOfHalves, kDecoderMamba2, kBambaMlp}},
    {"bamba", "model.layers.", "", kBambaOutside, {kAttentionOfNeighbours, kDecoderMamba2, kBambaMlp}},
    {"granitemoehybrid", "model.layers.", "", kDecoderOutside, {kAttentionOfNeighbours, kDecoderMamba2, kGraniteMlp}},
};

Result<const Architecture*> architecture_of(const ModelConfig& config) {
  const auto found = std::ranges::find(kArchitectures, config.architecture_name(), &Architecture::name);
  if (found != std::end(kArchitectures)) return &*found;
  return fail(ErrorCode::kUnsupported, "no names of GGUF files are known for ", config.architecture_name());
}

template <class Matches>
const Rule* find_rule(Rules rules, const Matches& matches) {
  const auto rule = std::ranges::find_if(rules, matches);
  return rule == rules.end() ? nullptr : &*rule;
}
template <class Matches>
const Rule* find_inside(const Architecture& architecture, const Matches& matches) {
  for (const Rules rules : architecture.inside) {
    if (const Rule* const rule = find_rule(rules, matches)) return rule;
  }
  return nullptr;
}

// "blk.N.ffn_up.weight": its block, -1 for names outside of blocks, and what follows.
struct FileName {
  int64_t block = -1;
  std::string_view rest;
};
FileName split_file_name(std::string_view name) {
  const auto block = take_layer(kBlocks, name);
  return {block ? int64_t{*block} : -1, name};
}

// Null for a name that is not the architecture's.
const Rule* rule_for(const Architecture& architecture, const FileName& name) {
  const auto matches = [&](const Rule& rule) { return rule.from == name.rest; };
  return name.block < 0 ? find_rule(architecture.outside, matches) : find_inside(architecture, matches);
}

const DecoderConfig& decoder_of(const ModelConfig& config) { return std::get<DecoderConfig>(config.architecture); }

// Where the rows of a matrix of heads come from: neighbours 2i and 2i + 1 become i and i + d/2 of the d first of each
// head, or the other way around; without rotary positions of all, for the order of a cache to be that of other files.
enum class Pairs : uint8_t { kToHalves, kToNeighbours };
std::vector<uint64_t> rotary_rows(const AttentionConfig& c, uint64_t n_rows, Pairs pairs) {
  const size_t head_dim = c.head_dim, half = (c.rope.rotary_dim == 0 ? head_dim : c.rope.rotary_dim) / 2;
  std::vector<uint64_t> rows(static_cast<size_t>(n_rows));  // of a tensor in memory
  for (size_t row = 0; row < rows.size(); ++row) {
    const size_t head = row / head_dim * head_dim, place = row % head_dim;
    size_t from = place;
    if (place < 2 * half) {
      from = pairs == Pairs::kToHalves ? place % half * 2 + place / half : place % 2 * half + place / 2;
    }
    rows[row] = head + from;
  }
  return rows;
}

// The power of 2 that a block's outputs were divided by.
int rescale_exponent(const ModelConfig& config, int64_t block) {
  const size_t every = std::get<Rwkv6Config>(config.architecture).rescale_every;
  return every == 0 ? 0 : static_cast<int>(static_cast<size_t>(block) / every);
}

// What the elements of a tensor that is read become, beside its name.
struct Source {
  const Rule& rule;
  const ModelConfig& config;
  std::string_view name;
  int64_t block;
};

bool moves_elements(const Source& source) {
  switch (source.rule.change) {
    case Change::kTranspose:
    case Change::kRotaryRows:
    case Change::kGateAndUp: return true;
    case Change::kRescale: return rescale_exponent(source.config, source.block) != 0;
    default: return false;
  }
}

// One vector of each mix, [1, 1, C].
Status split_lerps(const Source& source, const std::string& to, std::string_view mixes, Tensor tensor,
                   WeightMap& weights) {
  if (is_block(tensor.dtype())) {
    SUTRA_ASSIGN(tensor, widen(tensor.view()));
  }
  if (tensor.shape()[0] != mixes.size()) {
    return wrong_shape(source.name, concat(mixes.size(), " vectors"), tensor.shape());
  }
  const uint64_t n_embd = tensor.shape().n_elements() / mixes.size();
  for (size_t i = 0; i < mixes.size(); ++i) {
    SUTRA_ASSIGN(Tensor mix, part_of(tensor.view(), i, {1, 1, n_embd}));
    SUTRA_TRY(weights.insert(concat(to, mixes[i]), std::move(mix)));
  }
  return {};
}

// The gate's rows, and those of the tensor `up`.
Result<Tensor> with_up(const Tensor& gate, const std::string& up, WeightMap& weights) {
  SUTRA_ASSIGN(const Tensor second, weights.take(up));
  if (gate.shape().n_dims() != 2) return wrong_shape(up, "a matrix beside it", gate.shape());
  if (second.shape().n_dims() != 2) return wrong_shape(up, "a matrix", second.shape());
  if (gate.dtype() == second.dtype()) return stack_rows(gate.view(), second.view());
  SUTRA_ASSIGN(const Tensor wide_gate, widen(gate.view()));
  SUTRA_ASSIGN(const Tensor wide_up, widen(second.view()));
  return stack_rows(wide_gate.view(), wide_up.view());
}

Result<Tensor> changed(const Source& source, Tensor tensor, WeightMap& weights) {
  const Shape shape = tensor.shape();
  switch (source.rule.change) {
    case Change::kNone:
    case Change::kMinusExp:
    case Change::kRopeFactors:
    case Change::kSplitLerps: break;
    case Change::kFlatten:
    case Change::kColumn:
    case Change::kNormGroups: SUTRA_TRY(tensor.reshape({shape.n_elements()})); break;
    case Change::kHeads: {
      const uint64_t head_size = std::get<Rwkv7Config>(source.config.architecture).head_size;
      if (shape.n_elements() % head_size != 0) {
        return wrong_shape(source.name, "a multiple of the head size", shape);
      }
      SUTRA_TRY(tensor.reshape({shape.n_elements() / head_size, head_size}));
      break;
    }
    case Change::kConv1d: {
      if (shape.n_dims() != 2) return wrong_shape(source.name, "2 dimensions", shape);
      SUTRA_TRY(tensor.reshape({shape[0], 1, shape[1]}));
      break;
    }
    case Change::kTranspose: {
      if (shape.n_dims() < 2) return wrong_shape(source.name, "2 dimensions or 3", shape);
      if (!is_block(tensor.dtype())) return transpose(tensor.view());
      SUTRA_ASSIGN(const Tensor wide, widen(tensor.view()));
      return transpose(wide.view());
    }
    case Change::kRotaryRows: {
      const AttentionConfig& attention = decoder_of(source.config).attention;
      const size_t most_dims = 2, least_dims = is_block(tensor.dtype()) ? 2 : 1;
      if (shape.n_dims() < least_dims || shape.n_dims() > most_dims || shape[0] % attention.head_dim != 0) {
        return wrong_shape(source.name, concat("rows of whole heads of ", attention.head_dim), shape);
      }
      return gather_rows(tensor.view(), rotary_rows(attention, shape[0], Pairs::kToHalves));
    }
    case Change::kGateAndUp: return with_up(tensor, concat(kBlocks, source.block, ".ffn_up.weight"), weights);
    case Change::kRescale: SUTRA_TRY(scale_by_power_of_2(tensor, rescale_exponent(source.config, source.block))); break;
  }
  return tensor;
}

Status read_one(const Source& source, const std::string& to, const Architecture& architecture, WeightMap& weights) {
  const Change change = source.rule.change;
  const bool is_as_it_was = change == Change::kRescale && !moves_elements(source);
  if (change == Change::kNone || is_as_it_was) return weights.rename(source.name, to);
  SUTRA_ASSIGN(Tensor tensor, weights.take(source.name));
  if (tensor.shape().n_elements() == 0) return wrong_shape(source.name, "elements", tensor.shape());
  if (change == Change::kSplitLerps) return split_lerps(source, to, architecture.mixes, std::move(tensor), weights);
  SUTRA_ASSIGN(Tensor made, changed(source, std::move(tensor), weights));
  return weights.insert(to, std::move(made));
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

Result<Tensor> minus_exp(Tensor values) {
  for (float& value : values.as<float>()) value = static_cast<float>(-std::exp(static_cast<double>(value)));
  return values;
}

// Rows of a matrix that are multiplied by the same number.
struct RowFactor {
  uint64_t n_rows;
  float factor;
};

// What a matrix of a Falcon-H1 GGUF file has in its rows, where the config has factors of results; empty for others.
std::vector<RowFactor> falcon_h1_factors(const DecoderConfig& c, std::string_view matrix, uint64_t n_rows) {
  const auto whole = [&](float factor) { return std::vector<RowFactor>{{n_rows, factor}}; };
  if (matrix == "token_embd.weight") return whole(c.embedding_multiplier);
  if (matrix == "output.weight") return whole(1 / c.logits_scaling);
  // What the scale of scores is beside the one that llama.cpp has.
  if (matrix == "attn_k.weight") return whole(c.attention.scale * std::sqrt(static_cast<float>(c.attention.head_dim)));
  if (matrix == "attn_output.weight") return whole(c.attention_multiplier);
  if (matrix == "ssm_out.weight") return whole(c.mamba_multiplier);
  if (matrix == "ffn_gate.weight") return whole(c.gate_multiplier);
  if (matrix == "ffn_down.weight") return whole(c.mlp_multiplier);
  if (matrix != "ssm_in.weight") return {};
  const std::array<size_t, 5> parts = c.mamba.in_proj_parts();
  std::vector<RowFactor> factors;
  for (size_t i = 0; i < parts.size(); ++i) factors.push_back({parts[i], c.mamba.multipliers[i]});
  return factors;
}

std::function<Result<Tensor>(Tensor)> multiply_rows(std::vector<RowFactor> factors, uint64_t n_cols) {
  return [factors = std::move(factors), n_cols](Tensor values) -> Result<Tensor> {
    std::span<float> rest = values.as<float>();
    for (const RowFactor& part : factors) {
      const std::span<float> rows = rest.first(static_cast<size_t>(part.n_rows * n_cols));
      for (float& value : rows) value *= part.factor;
      rest = rest.subspan(rows.size());
    }
    return values;
  };
}

// What tensors of a model become; most are one.
class GgufPlan {
 public:
  GgufPlan(const Architecture& architecture, const ModelConfig& config)
      : architecture_(architecture), config_(config) {}

  void add(const Rule& rule, const std::string& block, const std::string& source, const Shape& shape) {
    GgufTensor out{concat(block, rule.from), shape, {source}, rule.stored};
    switch (rule.change) {
      case Change::kNone:
      case Change::kRescale: break;  // written with rescale_every_n_layers = 0
      case Change::kFlatten:
      case Change::kHeads: out.shape = {shape.n_elements()}; break;
      case Change::kColumn: out.shape = {shape.n_elements(), 1}; break;
      case Change::kConv1d: out.shape = {shape[0], shape[shape.n_dims() - 1]}; break;
      case Change::kSplitLerps: fuse_lerps(source, shape, out); break;
      case Change::kNormGroups: out.shape = {n_norm_groups(shape), shape.n_elements() / n_norm_groups(shape)}; break;
      case Change::kTranspose: exchange(shape, out); break;
      case Change::kRotaryRows: pair_rows(shape, out); break;
      case Change::kGateAndUp: return add_gate_and_up(block, source, shape);
      case Change::kMinusExp:
        out.change = minus_exp;
        if (shape.n_dims() == 1) out.shape = {shape[0], 1};
        break;
      case Change::kRopeFactors: break;
    }
    if (architecture_.name == "falcon_h1") fold_factors(rule.from, shape, out);
    tensors_.push_back(std::move(out));
  }

  // What llama.cpp wants, and what stands in the config alone.
  std::vector<GgufTensor> finish() {
    if (std::holds_alternative<Rwkv7Config>(config_.architecture)) add_unused_of_rwkv7();
    // Models of RWKV without a head of their own are not known there.
    const bool is_tied_rwkv =
        std::visit([](const auto& c) { return is_rwkv(c) && c.tie_word_embeddings; }, config_.architecture);
    if (is_tied_rwkv) copy("token_embd.weight", "output.weight");
    const auto* const c = std::get_if<DecoderConfig>(&config_.architecture);
    if (c != nullptr && c->attention.rope.scaling == RopeConfig::Scaling::kLlama3) add_rope_factors(c->attention.rope);
    if (c != nullptr && architecture_.name == "falcon_h1" && c->tie_word_embeddings) untie_head(*c);
    return std::move(tensors_);
  }

 private:
  template <class Config>
  static constexpr bool is_rwkv(const Config&) {
    return std::is_same_v<Config, Rwkv6Config> || std::is_same_v<Config, Rwkv7Config>;
  }

  [[nodiscard]] uint64_t n_norm_groups(const Shape& shape) const {
    const auto* const mamba2 = std::get_if<Mamba2Config>(&config_.architecture);
    const size_t norm_size = mamba2 != nullptr ? mamba2->mixer.norm_size : decoder_of(config_).mamba.norm_size;
    return std::max<uint64_t>(1, shape.n_elements() / std::max<size_t>(1, norm_size));
  }

  void fuse_lerps(const std::string& source, const Shape& shape, GgufTensor& out) const {
    out.shape = {architecture_.mixes.size(), 1, 1, shape.n_elements()};
    out.sources.clear();
    const std::string stem = source.substr(0, source.size() - 1);
    for (const char mix : architecture_.mixes) out.sources.push_back(stem + mix);
  }

  static void exchange(const Shape& shape, GgufTensor& out) {
    if (shape.n_dims() == 2) out.shape = {shape[1], shape[0]};
    if (shape.n_dims() == 3) out.shape = {shape[0], shape[2], shape[1]};
    out.change = [shape](Tensor values) -> Result<Tensor> {
      SUTRA_TRY(values.reshape(shape));
      return transpose(values.view());
    };
  }

  void pair_rows(const Shape& shape, GgufTensor& out) const {
    const AttentionConfig& attention = decoder_of(config_).attention;
    out.change = [shape,
                  rows = rotary_rows(attention, shape[0], Pairs::kToNeighbours)](Tensor values) -> Result<Tensor> {
      SUTRA_TRY(values.reshape(shape));
      return gather_rows(values.view(), rows);
    };
  }

  void fold_factors(std::string_view matrix, const Shape& shape, GgufTensor& out) const {
    auto factors = falcon_h1_factors(decoder_of(config_), matrix, shape[0]);
    if (!factors.empty()) out.change = multiply_rows(std::move(factors), shape[shape.n_dims() - 1]);
  }

  // A head that is the embeddings times another factor.
  void untie_head(const DecoderConfig& c) {
    if (c.embedding_multiplier == 1 / c.logits_scaling) return;
    copy("token_embd.weight", "output.weight");
    fold_factors("output.weight", tensors_.back().shape, tensors_.back());
  }

  void add_gate_and_up(const std::string& block, const std::string& source, const Shape& shape) {
    const uint64_t half = shape[0] / 2;
    for (const uint64_t first : {uint64_t{0}, half}) {
      GgufTensor part{
          concat(block, first == 0 ? "ffn_gate.weight" : "ffn_up.weight"), {half, shape[1]}, {source}, kMatrix};
      std::vector<uint64_t> rows(static_cast<size_t>(half));
      std::iota(rows.begin(), rows.end(), first);
      part.change = [shape, rows](Tensor values) -> Result<Tensor> {
        SUTRA_TRY(values.reshape(shape));
        return gather_rows(values.view(), rows);
      };
      tensors_.push_back(std::move(part));
    }
  }

  void copy(const std::string& from, const std::string& to) {
    std::erase_if(tensors_, [&](const GgufTensor& tensor) { return tensor.name == to; });
    const auto source = std::ranges::find(tensors_, from, &GgufTensor::name);
    if (source == tensors_.end()) return;
    GgufTensor tensor = *source;
    tensor.name = to;
    tensors_.push_back(std::move(tensor));
  }

  // llama.cpp wants what its converter writes: a v_lora in the first layer, which nothing uses, made of a_lora.
  void add_unused_of_rwkv7() {
    for (const std::string_view part : {"0", "1", "2"}) {
      copy(concat("blk.0.time_mix_a", part, ".weight"), concat("blk.0.time_mix_v", part, ".weight"));
    }
  }

  void add_rope_factors(const RopeConfig& rope) {
    RopeConfig plain = rope;
    plain.scaling = RopeConfig::Scaling::kNone;
    std::vector<double> factors = rotary_frequencies(plain);
    const std::vector<double> scaled = rotary_frequencies(rope);
    for (size_t i = 0; i < factors.size(); ++i) factors[i] /= scaled[i];
    GgufTensor out{std::string(kRopeFactorsName), {factors.size()}, {}};
    out.change = [factors](Tensor) -> Result<Tensor> {
      SUTRA_ASSIGN(Tensor tensor, Tensor::create(Dtype::kF32, {factors.size()}, Contents::kUndefined));
      std::ranges::transform(factors, tensor.as<float>().begin(), [](double f) { return static_cast<float>(f); });
      return tensor;
    };
    tensors_.push_back(std::move(out));
  }

  const Architecture& architecture_;
  const ModelConfig& config_;
  std::vector<GgufTensor> tensors_;
};

// Whether `name`, without its block, is what the rule's becomes. Of the lerps the first stands for all.
bool makes(const Rule& rule, std::string_view name, std::string_view mixes) {
  return rule.change == Change::kSplitLerps ? name == concat(rule.to, mixes.substr(0, 1)) : name == rule.to;
}

// What a model's tensors have to be, by their names; GGUF's own two among them.
std::map<std::string, Shape> shapes_of(const ModelConfig& config) {
  constexpr std::string_view kLog = "_log";
  std::map<std::string, Shape> shapes;
  for (const Parameter& parameter : parameters(config)) {
    shapes.emplace(parameter.name, parameter.shape);
    if (!parameter.name.ends_with(".A_log")) continue;
    shapes.emplace(parameter.name.substr(0, parameter.name.size() - kLog.size()), parameter.shape);
  }
  const auto* const c = std::get_if<DecoderConfig>(&config.architecture);
  if (c != nullptr && c->attention.rope.rotary_dim >= 2) {
    shapes.emplace(kRopeFactorsName, Shape{c->attention.rope.rotary_dim / 2});
  }
  return shapes;
}

bool is_other_lerp(const Architecture& architecture, std::string_view name) {
  const auto is_lerp = [&](const Rule& rule) {
    return rule.change == Change::kSplitLerps && name.size() == rule.to.size() + 1 && name.starts_with(rule.to) &&
           architecture.mixes.substr(1).find(name.back()) != std::string_view::npos;
  };
  return find_inside(architecture, is_lerp) != nullptr;
}

}  // namespace

Result<std::vector<GgufTensor>> gguf_tensors(const ModelConfig& config, const WeightMap& weights) {
  SUTRA_ASSIGN(const Architecture* const architecture, architecture_of(config));
  const auto shapes = shapes_of(config);
  GgufPlan plan(*architecture, config);
  for (const std::string& name : weights.names()) {
    SplitName split{{}, name};
    const auto outside = [&](const Rule& rule) { return rule.to == name; };
    const Rule* rule = find_rule(architecture->outside, outside);
    if (rule == nullptr) {
      split = split_block(*architecture, name);
      if (is_other_lerp(*architecture, split.rest)) continue;
      const auto inside = [&](const Rule& one) { return makes(one, split.rest, architecture->mixes); };
      rule = find_inside(*architecture, inside);
    }
    if (rule == nullptr) {
      return fail(ErrorCode::kUnsupported, "tensor '", printable(name), "' has no place in a GGUF file of ",
                  architecture->name);
    }
    const Tensor* const tensor = weights.find(name);
    if (tensor == nullptr) return fail(ErrorCode::kUnsupported, "'", printable(name), "' is packed already");
    const auto shape = shapes.find(name);
    if (shape == shapes.end()) continue;  // in the file for some other program
    if (tensor->shape().n_elements() != shape->second.n_elements()) {
      return wrong_shape(name, shape->second.to_string(), tensor->shape());
    }
    plan.add(*rule, split.block, name, shape->second);
  }
  return plan.finish();
}

std::vector<std::string> gguf_changed_tensors(const ModelConfig& config, const GgufHeader& header) {
  std::vector<std::string> names;
  const auto architecture = architecture_of(config);
  if (!architecture) return names;
  for (const TensorEntry& entry : header.tensors) {
    const FileName name = split_file_name(entry.name);
    if (name.block >= static_cast<int64_t>(config.n_layer())) continue;
    const Rule* const rule = rule_for(**architecture, name);
    if (rule != nullptr && moves_elements({*rule, config, entry.name, name.block})) names.push_back(entry.name);
    // The one tensor that another takes along.
    const auto takes_up = [](const Rule& one) { return one.change == Change::kGateAndUp; };
    const bool is_up = name.block >= 0 && name.rest == "ffn_up.weight";
    if (is_up && find_inside(**architecture, takes_up) != nullptr) names.push_back(entry.name);
  }
  return names;
}

Status rename_gguf(const ModelConfig& config, WeightMap& weights) {
  SUTRA_ASSIGN(const Architecture* const architecture, architecture_of(config));
  for (const std::string& name : weights.names()) {
    const FileName split = split_file_name(name);
    const Rule* const rule = rule_for(*architecture, split);
    if (rule == nullptr) continue;
    const std::string prefix = split.block < 0 ? "" : concat(architecture->layers, split.block, ".");
    SUTRA_TRY(read_one({*rule, config, name, split.block}, concat(prefix, rule->to), *architecture, weights));
  }
  return {};
}

}  // namespace sutra
