// RWKV-6 under the names of flash-linear-attention, which hold BlinkDL's tensors (models/rwkv6.md):
//
//   model.embeddings, model.norm, lm_head          emb, ln_out, head
//   model.layers.N.pre_norm, attn_norm, ffn_norm   blocks.N.ln0, ln1, ln2
//   attn.r_proj.linear (k, v, g), attn.o_proj      att.receptance (key, value, gate), att.output
//   attn.g_norm, attn.bonus                        att.ln_x, att.time_faaaa
//   attn.w_proj.linear.lora.0, .2                  att.time_decay_w1, _w2, transposed; its bias is att.time_decay
//   attn.x_proj.0.mu, attn.x_bias [5, C]           att.time_maa_x, att.time_maa_□
//   attn.x_proj.0.linear [5·R, C], x_proj.2 [C, 5·R]   att.time_maa_w1 [C, 5·R], _w2 [5, R, C]
//   ffn.key.linear, ffn.key.mu (receptance)        ffn.key, ffn.time_maa_k
//
// Their five mixes are in the order r, w, k, v, g, BlinkDL's in the order w, k, v, r, g.
// Source: flash-linear-attention, layers/rwkv6.py, models/rwkv6.
#pragma once

#include "base/error.h"
#include "quant/weight_map.h"

namespace sutra {

[[nodiscard]] bool has_fla_rwkv6_names(const WeightMap& weights);

// Gives every tensor its BlinkDL name and shape; other names stay. kMalformed when two tensors get the same name,
// kShapeMismatch for a tensor that cannot be what its name says.
Status use_blinkdl_names_of_fla(WeightMap& weights);

}  // namespace sutra
