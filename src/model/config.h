// What config.json says about a model, checked and typed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "io/config.h"
#include "quant/packed_config.h"

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
  // Layers after which transformers halves what it adds, where halves overflow. The weights of checkpoints have nothing of
  // it; those of GGUF files do, and lose it when they are read (gguf_names.h).
  size_t rescale_every;
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
  std::optional<float> mixer_rms_eps;  // falcon_mamba: B, C and dt are normalised
};

// Names as in models/mamba2.md.
struct Mamba2MixerConfig {
  size_t d_model, d_inner, n_heads, head_dim, d_state, n_groups, d_conv;
  bool use_bias, use_conv_bias;
  float time_step_min, time_step_max;
  size_t norm_size;  // channels that the gated RMSNorm normalises together: d_inner or d_inner / n_groups; 0: no norm
  bool norm_before_gate;
  float rms_norm_eps;
  std::array<float, 5> multipliers = {1, 1, 1, 1, 1};  // of in_proj's z, x, B, C and dt

  // Channels of the convolution: x, B and C.
  [[nodiscard]] size_t conv_dim() const { return d_inner + 2 * n_groups * d_state; }
  // Rows of in_proj: z, x, B, C and dt.
  [[nodiscard]] std::array<size_t, 5> in_proj_parts() const {
    return {d_inner, d_inner, n_groups * d_state, n_groups * d_state, n_heads};
  }
  [[nodiscard]] size_t in_proj_dim() const { return d_inner + conv_dim() + n_heads; }
};
struct Mamba2Config {
  static constexpr std::string_view kName = "mamba2";
  size_t n_layer, d_model, vocab_size;
  Mamba2MixerConfig mixer;
  bool tie_word_embeddings;
  float rms_norm_eps;
};

// Names as in models/llama.md.
struct RopeConfig {
  enum class Scaling : uint8_t { kNone, kLinear, kLlama3 };
  size_t rotary_dim;  // of head_dim; 0: no positions
  double theta;
  Scaling scaling;
  double factor, low_freq_factor, high_freq_factor, original_max_position;
};
struct AttentionConfig {
  size_t d_model, n_heads, n_kv_heads, head_dim;
  float scale;
  bool use_bias;
  RopeConfig rope;
};

// Decoders of attention, Mamba-2 or both with a gated MLP in every layer: models/llama.md, models/hybrid.md.
struct DecoderConfig {
  std::string_view name;  // "llama", "bamba", "granitemoehybrid" or "falcon_h1"
  size_t n_layer, d_model, vocab_size, dim_ffn, max_tokens;
  std::vector<bool> has_attention, has_mamba;  // by layer
  AttentionConfig attention;
  Mamba2MixerConfig mamba;  // where a layer is one
  bool use_mlp_bias, tie_word_embeddings;
  float rms_norm_eps, embedding_multiplier, logits_scaling;
  float attention_multiplier, mamba_multiplier, mlp_multiplier;  // of what each adds to the residual stream
  float gate_multiplier;                                         // of the MLP's gate, before silu
};

struct ModelConfig {
  std::variant<Rwkv7Config, MambaConfig, Mamba2Config, DecoderConfig, Rwkv4Config, Rwkv5Config, Rwkv6Config>
      architecture;
  std::optional<PackedConfig> packed;  // quantization_config
  std::optional<int32_t> bos_token_id;
  std::vector<int32_t> eos_token_ids;

  [[nodiscard]] std::string_view architecture_name() const;  // kName, or a decoder's name
  [[nodiscard]] size_t vocab_size() const;
  [[nodiscard]] size_t n_layer() const;
  [[nodiscard]] size_t n_embd() const;
};

// kUnsupported for a model_type nothing here runs; kMalformed, kNotFound for values that cannot be.
// Keys of transformers, flash-linear-attention and mamba_ssm; `group_norm_epsilon` (RWKV-7) and `grouped_rms_norm`
// (Mamba-2) may be given beside them.
Result<ModelConfig> read_model_config(const JsonObject& json);

}  // namespace sutra
