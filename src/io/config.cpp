#include "io/config.h"

#include <algorithm>
#include <utility>

namespace sutra {
namespace {

constexpr std::string_view kFloatKey = "__float__";
constexpr std::string_view kNonFinite[] = {"Infinity", "-Infinity", "NaN"};

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

// Bare Infinity, -Infinity and NaN outside of strings become the object spelling, which is JSON.
std::string spell_out_non_finite(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') in_string = !in_string;
    if (in_string) {
      out += c;
      if (c == '\\' && i + 1 < text.size()) out += text[++i];
      continue;
    }
    const bool at_word_start = i == 0 || !is_word_character(text[i - 1]);
    const std::string_view rest = text.substr(i);
    std::string_view word;
    for (const std::string_view candidate : kNonFinite) {
      if (at_word_start && rest.starts_with(candidate)) word = candidate;
    }
    if (word.empty() || (word.size() < rest.size() && is_word_character(rest[word.size()]))) {
      out += c;
    } else {
      out += concat("{\"", kFloatKey, "\":\"", word, "\"}");
      i += word.size() - 1;
    }
  }
  return out;
}

// The opposite, in text that json_text() wrote; inside of strings its quotes would be escaped.
std::string spell_bare(std::string_view text) {
  const std::string before = concat("{\"", kFloatKey, "\": \"");
  constexpr std::string_view kBehind = "\"}";
  std::string out;
  for (size_t at = text.find(before); at != text.npos; at = text.find(before)) {
    const std::string_view rest = text.substr(at + before.size());
    const auto is_here = [&](std::string_view word) {
      return rest.starts_with(word) && rest.substr(word.size()).starts_with(kBehind);
    };
    const auto word = std::ranges::find_if(kNonFinite, is_here);
    const bool is_found = word != std::end(kNonFinite);
    out += text.substr(0, at);
    out += is_found ? *word : std::string_view(before);
    text = is_found ? rest.substr(word->size() + kBehind.size()) : rest;
  }
  return concat(out, text);
}

Result<JsonTree> parse_tree(std::string_view text) {
  if (text.size() > kMaxConfigBytes) {
    return fail(ErrorCode::kTooLarge, text.size(), " bytes; at most ", kMaxConfigBytes, " are allowed");
  }
  return read_json_tree(spell_out_non_finite(text));
}

// One conversion per type: the value, or nothing when the JSON holds another type.
template <class T>
std::optional<T> as(const JsonTree& value) {
  const T* const scalar = value.get<T>();
  return scalar == nullptr ? std::nullopt : std::optional(*scalar);
}
std::optional<double> as_float(const JsonTree& value) {
  if (const auto* const number = value.get<double>()) return *number;
  if (const auto* const number = value.get<uint64_t>()) return static_cast<double>(*number);
  if (const auto* const number = value.get<int64_t>()) return static_cast<double>(*number);
  if (value.members.size() != 1) return std::nullopt;
  const JsonTree* const word = value.find(kFloatKey);
  const auto* const text = word == nullptr ? nullptr : word->get<std::string>();
  if (text == nullptr) return std::nullopt;
  if (*text == "Infinity") return JsonObject::kInfinity;
  if (*text == "-Infinity") return -JsonObject::kInfinity;
  if (*text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

Status wrong_type(std::string_view source, std::string_view key, std::string_view expected, const JsonTree& found) {
  return fail(ErrorCode::kMalformed, source, ": expected '", printable(key), "' to be ", expected, ", found ",
              found.kind_name());
}

template <class Convert>
auto converted(std::string_view source, std::string_view key, std::string_view expected, const JsonTree& value,
               Convert convert) -> Result<typename decltype(convert(value))::value_type> {
  auto result = convert(value);
  if (!result) return std::unexpected(wrong_type(source, key, expected, value).error());
  return *std::move(result);
}

template <class Convert>
auto converted_array(std::string_view source, std::string_view key, std::string_view expected, const JsonTree* value,
                     Convert convert) -> Result<std::vector<typename decltype(convert(*value))::value_type>> {
  std::vector<typename decltype(convert(*value))::value_type> out;
  if (value == nullptr) return out;
  if (value->kind != JsonTree::Kind::kArray) {
    return std::unexpected(wrong_type(source, key, expected, *value).error());
  }
  for (size_t i = 0; i < value->items.size(); ++i) {
    auto item = convert(value->items[i]);
    if (!item) return std::unexpected(wrong_type(source, concat(key, '[', i, ']'), expected, value->items[i]).error());
    out.push_back(*std::move(item));
  }
  return out;
}

Status absent(std::string_view source, std::string_view key) {
  return fail(ErrorCode::kNotFound, source, ": '", printable(key), "' is missing");
}

template <class T>
Result<T> in_range(std::string_view source, std::string_view key, T value, T min, T max) {
  if (value >= min && value <= max) return value;  // false for NaN
  return fail(ErrorCode::kMalformed, source, ": expected '", printable(key), "' to be from ", min, " to ", max,
              ", found ", value);
}

}  // namespace

Result<JsonObject> JsonObject::parse(std::string_view text, std::string_view source) {
  auto root = parse_tree(text);
  if (!root) return fail(root.error().code, source, ": ", root.error().message);
  if (root->kind != JsonTree::Kind::kObject) {
    return fail(ErrorCode::kMalformed, source, ": expected a JSON object, found ", root->kind_name());
  }
  return JsonObject(std::string(source), std::move(*root));
}

Status JsonObject::override_value(std::string_view key_and_value) {
  const size_t equals = key_and_value.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(ErrorCode::kInvalidArgument, "expected key=value, found '", printable(key_and_value), "'");
  }
  const std::string_view key = key_and_value.substr(0, equals);
  const std::string_view value = key_and_value.substr(equals + 1);
  auto parsed = parse_tree(value);
  if (!parsed) parsed = JsonTree{JsonTree::Kind::kScalar, std::string(value), {}, {}};
  const auto place = std::ranges::find(object_.members, key, &JsonMember::key);
  if (place != object_.members.end()) {
    place->value = std::move(*parsed);
  } else {
    object_.members.push_back({std::string(key), std::move(*parsed)});
  }
  overrides_.insert_or_assign(std::string(key), false);
  return {};
}

void JsonObject::remove(std::string_view key) {
  std::erase_if(object_.members, [&](const JsonMember& member) { return member.key == key; });
}

std::string JsonObject::text() const {
  std::string out;
  for (const JsonMember& member : object_.members) {
    out += concat(out.empty() ? "{" : ",", "\n  ", json_quote(member.key), ": ", json_text(member.value));
  }
  return spell_bare(concat(out.empty() ? "{" : out, "\n}\n"));
}

Status JsonObject::refuse_unread_overrides() const {
  for (const auto& [key, was_read] : overrides_) {
    if (was_read) continue;
    return fail(ErrorCode::kInvalidArgument, source_, ": the override '", printable(key),
                "' is not a key that this model reads");
  }
  return {};
}

const JsonTree* JsonObject::find(std::string_view key) const {
  if (const auto overridden = overrides_.find(key); overridden != overrides_.end()) overridden->second = true;
  return object_.find(key);
}

bool JsonObject::has(std::string_view key) const { return find(key) != nullptr; }

Result<uint64_t> JsonObject::required_uint(std::string_view key, uint64_t min, uint64_t max) const {
  const JsonTree* const value = find(key);
  if (value == nullptr) return std::unexpected(absent(source_, key).error());
  SUTRA_ASSIGN(const uint64_t number, converted(source_, key, "an integer >= 0", *value, as<uint64_t>));
  return in_range(source_, key, number, min, max);
}

Result<double> JsonObject::required_float(std::string_view key, double min, double max) const {
  const JsonTree* const value = find(key);
  if (value == nullptr) return std::unexpected(absent(source_, key).error());
  SUTRA_ASSIGN(const double number, converted(source_, key, "a number", *value, as_float));
  return in_range(source_, key, number, min, max);
}

Result<bool> JsonObject::required_bool(std::string_view key) const {
  const JsonTree* const value = find(key);
  if (value == nullptr) return std::unexpected(absent(source_, key).error());
  return converted(source_, key, "a boolean", *value, as<bool>);
}

Result<std::string> JsonObject::required_string(std::string_view key) const {
  const JsonTree* const value = find(key);
  if (value == nullptr) return std::unexpected(absent(source_, key).error());
  return converted(source_, key, "a string", *value, as<std::string>);
}

Result<uint64_t> JsonObject::optional_uint(std::string_view key, uint64_t fallback, uint64_t min, uint64_t max) const {
  return find(key) == nullptr ? fallback : required_uint(key, min, max);
}

Result<double> JsonObject::optional_float(std::string_view key, double fallback, double min, double max) const {
  return find(key) == nullptr ? fallback : required_float(key, min, max);
}

Result<bool> JsonObject::optional_bool(std::string_view key, bool fallback) const {
  return find(key) == nullptr ? fallback : required_bool(key);
}

Result<std::string> JsonObject::optional_string(std::string_view key, std::string_view fallback) const {
  return find(key) == nullptr ? std::string(fallback) : required_string(key);
}

Result<std::vector<uint64_t>> JsonObject::optional_uints(std::string_view key) const {
  return converted_array(source_, key, "an array of integers >= 0", find(key), as<uint64_t>);
}

Result<std::vector<double>> JsonObject::optional_floats(std::string_view key) const {
  return converted_array(source_, key, "an array of numbers", find(key), as_float);
}

Result<std::vector<std::string>> JsonObject::optional_strings(std::string_view key) const {
  return converted_array(source_, key, "an array of strings", find(key), as<std::string>);
}

Result<std::optional<JsonObject>> JsonObject::optional_object(std::string_view key) const {
  const JsonTree* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != JsonTree::Kind::kObject) {
    return std::unexpected(wrong_type(source_, key, "an object", *value).error());
  }
  return JsonObject(concat(source_, ": ", key), *value);
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> keys;
  for (const JsonMember& member : object_.members) keys.push_back(member.key);
  std::ranges::sort(keys);
  return keys;
}

}  // namespace sutra
