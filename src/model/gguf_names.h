// Tensors of llama.cpp's GGUF files: their names and shapes become those that models/*.md and the models' own lists state,
// and the other way around. An architecture is a row of the table in gguf_rules.cpp.
//
//   token_embd, output, output_norm     the embeddings, lm_head, the last norm; without `output` the head is tied
//
// RWKV-6 and RWKV-7 (token_embd_norm is ln0, blk.N.attn_norm and attn_norm_2 are ln1 and ln2, time_mix_ln is ln_x):
//   time_mix_lerp_fused [6, 1, 1, C]    RWKV-7: x_r, x_w, x_k, x_v, x_a, x_g
//                       [5, 1, 1, C]    RWKV-6: time_maa_w, k, v, r, g
//   time_mix_w0, w1, w2 (a, v, g)       RWKV-7: the low-rank pairs, bias [C], [R, C], [C, R]
//   time_mix_w1, w2, decay_w1, decay_w2 RWKV-6: BlinkDL's with their last two dimensions exchanged
//   time_mix_r_k [C]                    r_k [H, N]
//   time_mix_*, channel_mix_*           the matrices; channel_mix_lerp_k is ffn.x_k
// With rescale_every_n_layers = n, time_mix_output and channel_mix_value of layer l were divided by 2^(l div n).
//
// Mamba and Mamba-2: ssm_in, ssm_conv1d [channels, d_conv], ssm_x, ssm_dt, ssm_a, ssm_d, ssm_out; Mamba-2 has ssm_a and
// ssm_d as [heads, 1] and ssm_norm [groups, d_inner / groups]. ssm_a is A = -exp(A_log) itself.
//
// Attention: the rows of attn_q and attn_k that belong to a pair of rotary positions are neighbours, 0 and d/2, 1 and
// d/2 + 1, … of a head. rope_freqs [d/2]: what the frequencies are divided by.
//
// Source: llama.cpp, gguf-py/gguf/constants.py and tensor_mapping.py (names), conversion/ (shapes).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/gguf_header.h"
#include "model/config.h"
#include "quant/weight_map.h"

namespace sutra {

// Those of a file's tensors whose elements rename_gguf() moves: they must come as they are, not packed.
std::vector<std::string> gguf_changed_tensors(const ModelConfig& config, const GgufHeader& header);

// Renames and reshapes all of them, for the config of the same file. Names that are not the architecture's stay.
// kShapeMismatch: a tensor whose shape cannot become the stated one; kMalformed: two tensors get the same name;
// kNotFound: one that belongs to another is missing.
Status rename_gguf(const ModelConfig& config, WeightMap& weights);

// A tensor as it is to be written.
struct GgufTensor {
  // Matrices in the dtype asked for. Those that llama.cpp never quantises, low-rank pairs and what makes Mamba's steps, in
  // two bytes at least; everything else in float32, which its operations want.
  enum class Stored : uint8_t { kFloats, kLowRank, kMatrix };

  std::string name;
  Shape shape;
  std::vector<std::string> sources;  // tensors of the model, one after the other
  Stored stored = Stored::kFloats;
  // From the sources in float32, as one vector, to the elements of `shape`. Empty: they are the same.
  std::function<Result<Tensor>(Tensor)> change = {};
};

// What a model's weights, under their published names, become. kUnsupported: an architecture that is not written, a
// tensor that has no place, a matrix that is packed.
Result<std::vector<GgufTensor>> gguf_tensors(const ModelConfig& config, const WeightMap& weights);

}  // namespace sutra
