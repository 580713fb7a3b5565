// What the readers of config.json share: bounds, and values that are checked for what they mean.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/config.h"

namespace sutra {

// Bounds that no real model reaches: they keep products of dimensions far from 64 bits.
inline constexpr uint64_t kMaxLayers = 1024;
inline constexpr uint64_t kMaxWidth = 1 << 20;
inline constexpr uint64_t kMaxVocab = 1 << 24;
inline constexpr uint64_t kMaxPositions = 1 << 24;

// From 1 to kMaxWidth.
Result<size_t> width(const JsonObject& json, std::string_view key);
Result<size_t> width_or(const JsonObject& json, std::string_view key, size_t fallback);
// From 0 to 1.
Result<float> epsilon(const JsonObject& json, std::string_view key, double fallback);
// A finite factor other than 0.
Result<float> multiplier_or(const JsonObject& json, std::string_view key, double fallback);
// kUnsupported for another value of a key that Sutra computes with one setting only.
Status require_string(const JsonObject& json, std::string_view key, std::string_view only);
Status require_bool(const JsonObject& json, std::string_view key, bool only);
// kTooLarge for sizes that would wrap where size_t has 32 bits: floats of all intermediates of one token, of a sequence's
// state (without attention's cache) and of a page of that cache. Weights need no such check: they are in the file.
Status check_memory(uint64_t token_floats, uint64_t state_floats, uint64_t page_floats);
// num_hidden_layers and vocab_size.
template <class Config>
Status read_sizes(const JsonObject& json, Config& c) {
  SUTRA_ASSIGN(const uint64_t n_layer, json.required_uint("num_hidden_layers", 1, kMaxLayers));
  SUTRA_ASSIGN(const uint64_t vocab_size, json.required_uint("vocab_size", 1, kMaxVocab));
  c.n_layer = static_cast<size_t>(n_layer);
  c.vocab_size = static_cast<size_t>(vocab_size);
  return {};
}

// Of a hybrid model, whose keys begin with "mamba_".
Result<Mamba2MixerConfig> read_mamba2_mixer(const JsonObject& json, size_t d_model);
// One layer's share of what check_memory() asks for.
uint64_t mamba2_token_floats(const Mamba2MixerConfig& c);
uint64_t mamba2_state_floats(const Mamba2MixerConfig& c);
Result<Mamba2Config> read_mamba2(const JsonObject& json);
// model_type "llama", "bamba" or "granitemoehybrid".
Result<DecoderConfig> read_decoder(const JsonObject& json, std::string_view model_type);

// model_type "rwkv", "rwkv5" and "rwkv6".
Result<Rwkv4Config> read_rwkv4(const JsonObject& json);
Result<Rwkv5Config> read_rwkv5(const JsonObject& json);
Result<Rwkv6Config> read_rwkv6(const JsonObject& json);

// The original config.json of Mamba-1 and Mamba-2 (state-spaces/mamba), which has no model_type.
bool is_mamba_ssm(const JsonObject& json);
Status read_mamba_ssm(const JsonObject& json, ModelConfig& config);

}  // namespace sutra
