// Checkpoints of RWKV as people have them: BlinkDL's names, .pth mostly, and transformers' for versions 4 to 6. Names and
// shapes become those that the model's code asks for, and where there is no config.json, shapes say what it would.
//
// Versions 4 to 6 keep BlinkDL's names (models/rwkv4.md, rwkv5.md, rwkv6.md). What has as many elements as there are
// channels or heads is one-dimensional, and the low-rank matrices of version 6 are [out, in]:
//   att.time_decay_w1, _w2           .weight, transposed
//   att.time_maa_w1 [C, 5·R]         att.time_maa_w1.□.weight [R, C], □ = w, k, v, r, g
//   att.time_maa_w2 [5, R, C]        att.time_maa_w2.□.weight [C, R]
// transformers' names differ in words only: rwkv.blocks.N.attention.time_mix_key is blinkdl's blocks.N.att.time_mix_k.
//
// Version 7 gets flash-linear-attention's names (models/rwkv.md):
//   emb, head, ln_out           model.embeddings, lm_head, model.norm
//   blocks.N.ln0, ln1, ln2      model.layers.N.pre_norm, attn_norm, ffn_norm
//   att.receptance, key, value, output      attn.r_proj, k_proj, v_proj, o_proj
//   att.ln_x                    attn.g_norm
//   att.w0, w1, w2 (a, v, g)    attn.w_lora.lora.2.bias [C], lora.0.weight [R, C], lora.2.weight [C, R]; w1 and w2 are
//                               stored as [in, out] and transposed
//   att.x_*, k_k, k_a, r_k; ffn.*           the same names; k_k, k_a and ffn.x_k [1, 1, C] become [C]
//
// Sources: BlinkDL, RWKV-LM, model.py of RWKV-v4 to RWKV-v7; transformers, modeling_rwkv.py; flash-linear-attention.
#pragma once

#include <string>

#include "base/error.h"
#include "base/json.h"
#include "quant/weight_map.h"

namespace sutra {

// Whether these weights have BlinkDL's names, or transformers' for the same models.
[[nodiscard]] bool has_blinkdl_names(const WeightMap& weights);

// BlinkDL's name for a tensor that transformers names otherwise; any other name as it is.
[[nodiscard]] std::string blinkdl_name(std::string_view name);
// Its inverse: transformers' name for a tensor of version 4.
[[nodiscard]] std::string transformers_name(std::string_view blinkdl);

// Gives every tensor its BlinkDL name. kMalformed when two tensors get the same.
Status use_blinkdl_names(WeightMap& weights);

// What config.json would say, of weights with BlinkDL's names (weights_config.h). kNotFound and kShapeMismatch where the
// tensors that say it are missing or have other dimensions.
Status add_blinkdl_keys(const WeightMap& weights, JsonText& config);

// Renames, reshapes and transposes weights with BlinkDL's names for the model's code. Other names stay. kMalformed when
// two tensors get the same name, kShapeMismatch for a tensor that cannot be what its name says.
Status adapt_blinkdl(WeightMap& weights);

}  // namespace sutra
