// What the readers of config.json share: bounds, and values that are checked for what they mean.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/config.h"

namespace sutra {

// Bounds that no real model reaches: they keep products of dimensions far from 64 bits.
inline constexpr uint64_t kMaxLayers = 1024;
inline constexpr uint64_t kMaxWidth = 1 << 20;
inline constexpr uint64_t kMaxVocab = 1 << 24;
inline constexpr uint64_t kMaxPositions = 1 << 24;

// The values of an object, key by key. The first error stays and is status(); what is had in place of a value that could
// not be had is the fallback or the least that is allowed, so that reading goes on to its end without harm.
class ConfigReader {
 public:
  // `json` must outlive the reader.
  explicit ConfigReader(const JsonObject& json) : json_(json) {}
  ConfigReader(const ConfigReader&) = delete;
  ConfigReader& operator=(const ConfigReader&) = delete;

  [[nodiscard]] bool has(std::string_view key) const { return json_.has(key); }
  uint64_t required_uint(std::string_view key, uint64_t min, uint64_t max);
  uint64_t uint_or(std::string_view key, uint64_t fallback, uint64_t min, uint64_t max);
  std::string required_string(std::string_view key);
  double required_float(std::string_view key, double min, double max);
  double float_or(std::string_view key, double fallback, double min = -JsonObject::kInfinity,
                  double max = JsonObject::kInfinity);
  bool bool_or(std::string_view key, bool fallback);
  std::string string_or(std::string_view key, std::string_view fallback);
  // Empty when absent.
  std::vector<uint64_t> uints(std::string_view key);
  std::vector<double> floats(std::string_view key);
  std::vector<std::string> strings(std::string_view key);
  std::optional<JsonObject> object(std::string_view key);
  std::vector<std::string> keys() const { return json_.keys(); }
  // Whether the key is absent or has this word, where its value may be a number too.
  [[nodiscard]] bool is_word_or_absent(std::string_view key, std::string_view word) const;

  // From 1 to kMaxWidth.
  size_t width(std::string_view key);
  size_t width_or(std::string_view key, uint64_t fallback);
  // From 0 to 1.
  float epsilon(std::string_view key, double fallback);
  // A finite factor other than 0.
  float multiplier_or(std::string_view key, double fallback);
  // As many of them; 1 where the key is absent.
  template <size_t n>
  std::array<float, n> multipliers_or_ones(std::string_view key) {
    std::array<float, n> out;
    out.fill(1);
    read_multipliers(key, out);
    return out;
  }
  // kUnsupported for another value of a key that Sutra computes with one setting only.
  void require_string(std::string_view key, std::string_view only);
  void require_bool(std::string_view key, bool only);
  // num_hidden_layers and vocab_size.
  template <class Config>
  void read_sizes(Config& c) {
    c.n_layer = static_cast<size_t>(required_uint("num_hidden_layers", 1, kMaxLayers));
    c.vocab_size = static_cast<size_t>(required_uint("vocab_size", 1, kMaxVocab));
  }
  // kTooLarge for sizes that would wrap where size_t has 32 bits: floats of all intermediates of one token, of a
  // sequence's state (without attention's cache) and of a page of that cache. Weights need no such check: they are in the
  // file.
  void check_memory(uint64_t token_floats, uint64_t state_floats, uint64_t page_floats);

  // An error of the object: its source, then the parts.
  template <class... Parts>
  void refuse(ErrorCode code, const Parts&... parts) {
    keep({code, concat(json_.source(), ": ", parts...)});
  }
  void keep(Error error);
  // Of an object in this one.
  void keep(Status status) {
    if (!status) keep(std::move(status).error());
  }
  // The first error; afterwards the reader has none.
  Status status();

 private:
  template <class T>
  T value_or(Result<T> result, T instead) {
    if (result) return *std::move(result);
    keep(std::move(result).error());
    return instead;
  }
  void read_multipliers(std::string_view key, std::span<float> out);

  const JsonObject& json_;
  std::optional<Error> error_;
};

// Of a hybrid model, whose keys begin with "mamba_".
Mamba2MixerConfig read_mamba2_mixer(ConfigReader& json, size_t d_model, float rms_norm_eps);
// One layer's share of what check_memory() asks for.
uint64_t mamba2_token_floats(const Mamba2MixerConfig& c);
uint64_t mamba2_state_floats(const Mamba2MixerConfig& c);
Mamba2Config read_mamba2(ConfigReader& json);
// model_type "llama", "bamba", "granitemoehybrid" or "falcon_h1".
DecoderConfig read_decoder(ConfigReader& json, std::string_view model_type);

// model_type "rwkv", "rwkv5" and "rwkv6".
Rwkv4Config read_rwkv4(ConfigReader& json);
Rwkv5Config read_rwkv5(ConfigReader& json);
Rwkv6Config read_rwkv6(ConfigReader& json);

// The original config.json of Mamba-1 and Mamba-2 (state-spaces/mamba), which has no model_type.
bool is_mamba_ssm(const JsonObject& json);
void read_mamba_ssm(ConfigReader& json, ModelConfig& config);

}  // namespace sutra
