// What config.json says about a model, checked and typed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "io/config.h"

namespace sutra {

// Names as in models/rwkv4.md.
struct Rwkv4Config {
  static constexpr std::string_view kName = "rwkv4";
  size_t n_layer, n_embd, dim_ffn, vocab_size;
  bool tie_word_embeddings;
  float layer_norm_eps;
};

// Names as in models/rwkv5.md.
struct Rwkv5Config {
  static constexpr std::string_view kName = "rwkv5";
  size_t n_layer, n_embd, n_head, head_size, dim_ffn, vocab_size;
  bool has_gate;           // from version 5.1 on
  bool per_channel_decay;  // from version 5.2 on; else per head
  bool tie_word_embeddings;
  float layer_norm_eps, group_norm_eps;
};

// Names as in models/rwkv6.md.
struct Rwkv6Config {
  static constexpr std::string_view kName = "rwkv6";
  size_t n_layer, n_embd, n_head, head_size, dim_ffn, vocab_size;
  size_t mix_low_rank, decay_low_rank;
  bool tie_word_embeddings;
  float layer_norm_eps, group_norm_eps;
};

// Names as in models/rwkv.md.
struct Rwkv7Config {
  static constexpr std::string_view kName = "rwkv7";
  size_t n_layer, n_embd, n_head, head_size, dim_ffn, vocab_size;
  size_t decay_low_rank, a_low_rank, v_low_rank, gate_low_rank;
  bool tie_word_embeddings;
  float layer_norm_eps, group_norm_eps;
};

// Names as in models/mamba.md.
struct MambaConfig {
  static constexpr std::string_view kName = "mamba";
  size_t n_layer, d_model, d_inner, d_state, d_conv, dt_rank, vocab_size;
  bool use_bias, use_conv_bias, tie_word_embeddings;
  float rms_norm_eps;
};

// quantization_config of the Hugging Face AWQ "gemm" layout.
struct AwqConfig {
  size_t group_size;
};

struct ModelConfig {
  std::variant<Rwkv7Config, MambaConfig, Rwkv4Config, Rwkv5Config, Rwkv6Config> architecture;
  std::optional<AwqConfig> awq;
  std::optional<int32_t> bos_token_id;
  std::vector<int32_t> eos_token_ids;

  [[nodiscard]] std::string_view architecture_name() const;  // kName of the architecture
  [[nodiscard]] size_t vocab_size() const;
  [[nodiscard]] size_t n_layer() const;
  [[nodiscard]] size_t n_embd() const;
};

// kUnsupported for a model_type nothing here runs; kMalformed, kNotFound for values that cannot be.
// Keys of transformers and flash-linear-attention; `group_norm_epsilon` may be given beside them.
Result<ModelConfig> read_model_config(const JsonObject& json);

}  // namespace sutra
