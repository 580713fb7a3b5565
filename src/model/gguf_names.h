// GGUF files of llama.cpp's converter: their metadata says what config.json says elsewhere, and their tensors' names and
// shapes become those that models/*.md and the models' own lists state. An architecture is a row of the table in the .cpp.
//
//   token_embd, output, output_norm     the embeddings, lm_head, the last norm; without `output` the head is tied
//
// RWKV-7 (token_embd_norm is ln0, blk.N.attn_norm and attn_norm_2 are ln1 and ln2, time_mix_ln is ln_x):
//   time_mix_lerp_fused [6, 1, 1, C]    x_r, x_w, x_k, x_v, x_a, x_g
//   time_mix_w0, w1, w2 (a, v, g)       the low-rank pairs: bias [C], [R, C], [C, R]
//   time_mix_r_k [C]                    r_k [H, N]
//   time_mix_*, channel_mix_*           the matrices; channel_mix_lerp_k is ffn.x_k
// The epsilon of ln_x is not in the file: it is 64e-5.
//
// Mamba: ssm_in, ssm_conv1d [d_inner, d_conv], ssm_x, ssm_dt, ssm_a, ssm_d, ssm_out. ssm_a is A = -exp(A_log) itself.
//
// Source: llama.cpp, gguf-py/gguf/constants.py and tensor_mapping.py (names), conversion/ (shapes).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/gguf_header.h"
#include "io/gguf_metadata.h"
#include "model/config.h"
#include "quant/weight_map.h"

namespace sutra {

// What config.json would say. kUnsupported: another architecture, a variant of one, a file that was split; kNotFound: a
// key or tensor that says it is missing; kMalformed: a key of a wrong type, a special id outside the vocabulary.
Result<std::string> gguf_config(const GgufHeader& header);

// Renames and reshapes all of them, for the config of the same file. Names that are not the architecture's stay.
// kShapeMismatch: a tensor whose shape cannot become the stated one; kMalformed: two tensors get the same name.
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
  bool is_minus_exp = false;  // of the source's values
};

// What a model's weights, under the names its code asks for, become. kUnsupported: an architecture that is not written, a
// tensor that has no place, a matrix that is packed.
Result<std::vector<GgufTensor>> gguf_tensors(const ModelConfig& config, const WeightMap& weights);

// The metadata but for the tokenizer's. kUnsupported: an architecture that is not written, or a variant of one.
Status write_gguf_metadata(const ModelConfig& config, GgufMetadata& out);

}  // namespace sutra
