// What config.json says about a model, checked and typed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "io/config.h"

namespace sutra {

// Names as in models/rwkv.md.
struct Rwkv7Config {
  size_t n_layer, n_embd, n_head, head_size, dim_ffn, vocab_size;
  size_t decay_low_rank, a_low_rank, v_low_rank, gate_low_rank;
  bool tie_word_embeddings;
  float layer_norm_eps, group_norm_eps;
};

// Names as in models/mamba.md.
struct MambaConfig {
  size_t n_layer, d_model, d_inner, d_state, d_conv, dt_rank, vocab_size;
  bool use_bias, use_conv_bias, tie_word_embeddings;
  float rms_norm_eps;
};

// quantization_config of the Hugging Face AWQ "gemm" layout.
struct AwqConfig {
  size_t group_size;
};

struct ModelConfig {
  std::variant<Rwkv7Config, MambaConfig> architecture;
  std::optional<AwqConfig> awq;
  std::optional<int32_t> bos_token_id;
  std::vector<int32_t> eos_token_ids;

  [[nodiscard]] std::string_view architecture_name() const;  // "rwkv7", "mamba"
  [[nodiscard]] size_t vocab_size() const;
  [[nodiscard]] size_t n_layer() const;
  [[nodiscard]] size_t n_embd() const;
};

// kUnsupported for a model_type nothing here runs; kMalformed, kNotFound for values that cannot be.
// Keys of transformers and flash-linear-attention; `group_norm_epsilon` may be given beside them.
Result<ModelConfig> read_model_config(const JsonObject& json);

}  // namespace sutra
