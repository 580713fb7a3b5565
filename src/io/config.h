// Typed reading of config.json and its kind: a value is had by its key, type and range, and an error names the
// file, the key, what was expected and what was found. Knows no architecture.
//
// Infinity and NaN are read in both spellings that transformers writes: the bare word `Infinity` (up to 4.x, not
// JSON) and `{"__float__": "Infinity"}` (5.x). A key whose value is null counts as absent.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_tree.h"

namespace sutra {

inline constexpr size_t kMaxConfigBytes = size_t{1} << 20;

class JsonObject {
 public:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  // `source` names the file in messages. kMalformed: not a JSON object; kTooLarge: over kMaxConfigBytes.
  static Result<JsonObject> parse(std::string_view text, std::string_view source);

  // "key=value": replaces the value of a key by JSON, or by a word that stands for itself (--override).
  // The key need not be in the file, since older files leave out keys that they rely on; whether it means
  // anything shows when the config is read: see refuse_unread_overrides(). kInvalidArgument: no '=', no key.
  Status override_value(std::string_view key_and_value);
  // After the whole config has been read: kInvalidArgument names an overridden key that nobody asked for.
  [[nodiscard]] Status refuse_unread_overrides() const;

  void remove(std::string_view key);
  // As a file: a member a line, Infinity and NaN in the bare spelling, which every version of transformers reads.
  [[nodiscard]] std::string text() const;

  // The file, and for a nested object the key in it: how messages begin.
  [[nodiscard]] const std::string& source() const { return source_; }
  // Present and not null.
  [[nodiscard]] bool has(std::string_view key) const;

  // kNotFound: absent; kMalformed: another type, or outside [min, max] (NaN is outside every range).
  [[nodiscard]] Result<uint64_t> required_uint(std::string_view key, uint64_t min, uint64_t max) const;
  [[nodiscard]] Result<double> required_float(std::string_view key, double min = -kInfinity,
                                              double max = kInfinity) const;
  [[nodiscard]] Result<bool> required_bool(std::string_view key) const;
  [[nodiscard]] Result<std::string> required_string(std::string_view key) const;

  // `fallback` when absent, even if it lies outside [min, max].
  [[nodiscard]] Result<uint64_t> optional_uint(std::string_view key, uint64_t fallback, uint64_t min,
                                               uint64_t max) const;
  [[nodiscard]] Result<double> optional_float(std::string_view key, double fallback, double min = -kInfinity,
                                              double max = kInfinity) const;
  [[nodiscard]] Result<bool> optional_bool(std::string_view key, bool fallback) const;
  [[nodiscard]] Result<std::string> optional_string(std::string_view key, std::string_view fallback) const;
  // Empty when absent.
  [[nodiscard]] Result<std::vector<uint64_t>> optional_uints(std::string_view key) const;
  [[nodiscard]] Result<std::vector<double>> optional_floats(std::string_view key) const;
  [[nodiscard]] Result<std::vector<std::string>> optional_strings(std::string_view key) const;
  // A nested object, e.g. quantization_config; nothing when absent.
  [[nodiscard]] Result<std::optional<JsonObject>> optional_object(std::string_view key) const;

  // Keys in the object, sorted.
  [[nodiscard]] std::vector<std::string> keys() const;

 private:
  JsonObject(std::string source, JsonTree object) : source_(std::move(source)), object_(std::move(object)) {}
  // Null for an absent key and for the value null.
  [[nodiscard]] const JsonTree* find(std::string_view key) const;

  std::string source_;  // "config.json", or "config.json: quantization_config" for a nested object
  JsonTree object_;
  // Overridden keys, and whether a getter has asked for them.
  mutable std::map<std::string, bool, std::less<>> overrides_;
};

}  // namespace sutra
