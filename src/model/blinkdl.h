// Checkpoints of BlinkDL's training code, .pth mostly: their names and shapes become those that models/rwkv.md and
// model/rwkv7.cpp state, and their shapes say what config.json says elsewhere. RWKV-7.
//
//   emb, head, ln_out           model.embeddings, lm_head, model.norm
//   blocks.N.ln0, ln1, ln2      model.layers.N.pre_norm, attn_norm, ffn_norm
//   att.receptance, key, value, output      attn.r_proj, k_proj, v_proj, o_proj
//   att.ln_x                    attn.g_norm
//   att.w0, w1, w2 (a, v, g)    attn.w_lora.lora.2.bias [C], lora.0.weight [R, C], lora.2.weight [C, R]; w1 and w2 are
//                               stored as [in, out] and transposed
//   att.x_*, k_k, k_a, r_k; ffn.*           the same names; k_k, k_a and ffn.x_k [1, 1, C] become [C]
//
// Source: BlinkDL, RWKV-LM, RWKV-v7/train_temp/src/model.py (names), flash-linear-attention (the names here).
#pragma once

#include <string>

#include "base/error.h"
#include "quant/weight_map.h"

namespace sutra {

// Whether these weights have BlinkDL's names.
[[nodiscard]] bool has_blinkdl_names(const WeightMap& weights);

// What config.json would say. kNotFound and kShapeMismatch where the tensors that say it are missing or have other
// dimensions; kUnsupported for another version of RWKV.
Result<std::string> blinkdl_config(const WeightMap& weights);

// Renames, reshapes and transposes all of them. Names that are not BlinkDL's stay. kMalformed when two tensors get the
// same name.
Status rename_blinkdl(WeightMap& weights);

}  // namespace sutra
