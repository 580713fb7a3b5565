#include "model/gguf_rules.h"

namespace sutra::gguf {
namespace {

using Stored = GgufTensor::Stored;
constexpr auto kMatrix = Stored::kMatrix;
constexpr auto kLowRank = Stored::kLowRank;

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

}  // namespace

Result<const Architecture*> architecture_of(const ModelConfig& config) {
  const auto found = std::ranges::find(kArchitectures, config.architecture_name(), &Architecture::name);
  if (found != std::end(kArchitectures)) return &*found;
  return fail(ErrorCode::kUnsupported, "no names of GGUF files are known for ", config.architecture_name());
}

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

}  // namespace sutra::gguf
