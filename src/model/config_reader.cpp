#include "model/config_reader.h"

#include <algorithm>

namespace sutra {

uint64_t ConfigReader::required_uint(std::string_view key, uint64_t min, uint64_t max) {
  return value_or(json_.required_uint(key, min, max), min);
}
uint64_t ConfigReader::uint_or(std::string_view key, uint64_t fallback, uint64_t min, uint64_t max) {
  return value_or(json_.optional_uint(key, fallback, min, max), fallback);
}
std::string ConfigReader::required_string(std::string_view key) {
  return value_or(json_.required_string(key), std::string());
}
double ConfigReader::required_float(std::string_view key, double min, double max) {
  return value_or(json_.required_float(key, min, max), min);
}
double ConfigReader::float_or(std::string_view key, double fallback, double min, double max) {
  return value_or(json_.optional_float(key, fallback, min, max), fallback);
}
bool ConfigReader::bool_or(std::string_view key, bool fallback) {
  return value_or(json_.optional_bool(key, fallback), fallback);
}
std::string ConfigReader::string_or(std::string_view key, std::string_view fallback) {
  return value_or(json_.optional_string(key, fallback), std::string(fallback));
}
std::vector<uint64_t> ConfigReader::uints(std::string_view key) { return value_or(json_.optional_uints(key), {}); }
std::vector<double> ConfigReader::floats(std::string_view key) { return value_or(json_.optional_floats(key), {}); }
std::vector<std::string> ConfigReader::strings(std::string_view key) {
  return value_or(json_.optional_strings(key), {});
}
std::optional<JsonObject> ConfigReader::object(std::string_view key) {
  return value_or(json_.optional_object(key), std::optional<JsonObject>());
}
bool ConfigReader::is_word_or_absent(std::string_view key, std::string_view word) const {
  const auto text = json_.optional_string(key, word);
  return text && *text == word;
}

size_t ConfigReader::width(std::string_view key) { return static_cast<size_t>(required_uint(key, 1, kMaxWidth)); }
size_t ConfigReader::width_or(std::string_view key, uint64_t fallback) {
  const uint64_t value = uint_or(key, fallback, 1, kMaxWidth);
  if (value >= 1 && value <= kMaxWidth) return static_cast<size_t>(value);
  refuse(ErrorCode::kMalformed, "'", key, "' is not given and cannot be ", value);
  return 1;
}

float ConfigReader::epsilon(std::string_view key, double fallback) {
  const double value = float_or(key, fallback);
  if (!std::isfinite(value) || value < 0 || value > 1) {
    refuse(ErrorCode::kMalformed, "'", key, "' must be between 0 and 1, found ", value);
    return 1;
  }
  return static_cast<float>(value);
}

float ConfigReader::multiplier_or(std::string_view key, double fallback) {
  const double value = float_or(key, fallback);
  const auto narrow = static_cast<float>(value);
  if (!std::isfinite(narrow) || narrow == 0) {
    refuse(ErrorCode::kMalformed, "'", key, "' must be a finite number other than 0, found ", value);
    return 1;
  }
  return narrow;
}

void ConfigReader::read_multipliers(std::string_view key, std::span<float> out) {
  const std::vector<double> values = floats(key);
  if (values.empty()) return;
  if (values.size() != out.size() ||
      std::ranges::any_of(values, [](double v) { return !std::isfinite(v) || v == 0; })) {
    return refuse(ErrorCode::kMalformed, "'", key, "' must be ", out.size(), " factors");
  }
  std::ranges::transform(values, out.begin(), [](double v) { return static_cast<float>(v); });
}

void ConfigReader::require_string(std::string_view key, std::string_view only) {
  const std::string value = string_or(key, only);
  if (value == only) return;
  refuse(ErrorCode::kUnsupported, "'", key, "' must be \"", only, "\", found \"", printable(value), "\"");
}

void ConfigReader::require_bool(std::string_view key, bool only) {
  if (bool_or(key, only) == only) return;
  refuse(ErrorCode::kUnsupported, "'", key, "' must be ", only ? "true" : "false", ", found ", only ? "false" : "true");
}

void ConfigReader::check_memory(uint64_t token_floats, uint64_t state_floats, uint64_t page_floats) {
  constexpr uint64_t kMaxTokenFloats = 1 << 22, kMaxStateFloats = 1 << 29;
  if (token_floats <= kMaxTokenFloats && state_floats <= kMaxStateFloats && page_floats <= kMaxStateFloats) return;
  refuse(ErrorCode::kTooLarge, "its sizes make ", token_floats, " numbers a token and a state of ",
         std::max(state_floats, page_floats), "; at most ", kMaxTokenFloats, " and ", kMaxStateFloats, " can be held");
}

void ConfigReader::keep(Error error) {
  if (!error_) error_ = std::move(error);
}

Status ConfigReader::status() {
  if (!error_) return {};
  return std::unexpected(*std::exchange(error_, std::nullopt));
}

}  // namespace sutra
