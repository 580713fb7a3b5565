#include "io/config.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sutra {
namespace {

constexpr std::string_view kFloatKey = "__float__";

// A tree from events. Open containers wait on a stack, so nesting costs no recursion.
class TreeHandler final : public JsonHandler {
 public:
  Status scalar(JsonScalar value) override { return add({std::move(value)}); }
  Status key(std::string name) override {
    open_.back().keys.push_back(std::move(name));
    return {};
  }
  Status start_object() override { return open(true); }
  Status start_array() override { return open(false); }
  Status end_array() override {
    JsonArray values = std::move(open_.back().values);
    open_.pop_back();
    return add({std::move(values)});
  }
  Status end_object() override {
    Open object = std::move(open_.back());
    open_.pop_back();
    JsonMembers members;
    members.reserve(object.keys.size());
    for (size_t i = 0; i < object.keys.size(); ++i) {
      members.push_back({std::move(object.keys[i]), std::move(object.values[i])});
    }
    std::ranges::sort(members, {}, &JsonMember::key);
    const auto twice = std::ranges::adjacent_find(members, {}, &JsonMember::key);
    if (twice != members.end()) {
      return fail(ErrorCode::kMalformed, "key '", printable(twice->key), "' is there twice");
    }
    return add({std::move(members)});
  }

  JsonValue take_root() { return std::move(root_); }

 private:
  struct Open {
    bool is_object;
    std::vector<std::string> keys;
    JsonArray values;
  };

  Status open(bool is_object) {
    open_.push_back({is_object, {}, {}});
    return {};
  }
  Status add(JsonValue value) {
    (open_.empty() ? root_ : open_.back().values.emplace_back()) = std::move(value);
    return {};
  }

  std::vector<Open> open_;
  JsonValue root_;
};

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
    for (const std::string_view candidate : {"Infinity", "-Infinity", "NaN"}) {
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

Result<JsonValue> parse_tree(std::string_view text) {
  if (text.size() > kMaxConfigBytes) {
    return fail(ErrorCode::kTooLarge, text.size(), " bytes; at most ", kMaxConfigBytes, " are allowed");
  }
  TreeHandler handler;
  SUTRA_TRY(read_json(spell_out_non_finite(text), handler));
  return handler.take_root();
}

std::string_view kind_of(const JsonValue& value) {
  if (const auto* const scalar = std::get_if<JsonScalar>(&value.value)) return json_kind(*scalar);
  return std::holds_alternative<JsonArray>(value.value) ? "an array" : "an object";
}

const JsonValue* find_member(const JsonMembers& members, std::string_view key) {
  const auto found =
      std::ranges::lower_bound(members, key, {}, [](const JsonMember& m) -> std::string_view { return m.key; });
  return found != members.end() && found->key == key ? &found->value : nullptr;
}

template <class T>
const T* scalar_of(const JsonValue& value) {
  const auto* const scalar = std::get_if<JsonScalar>(&value.value);
  return scalar == nullptr ? nullptr : std::get_if<T>(scalar);
}

// One conversion per type: the value, or nothing when the JSON holds another type.
std::optional<uint64_t> as_uint(const JsonValue& value) {
  const auto* const number = scalar_of<uint64_t>(value);
  return number == nullptr ? std::nullopt : std::optional(*number);
}
std::optional<bool> as_bool(const JsonValue& value) {
  const auto* const boolean = scalar_of<bool>(value);
  return boolean == nullptr ? std::nullopt : std::optional(*boolean);
}
std::optional<std::string> as_string(const JsonValue& value) {
  const auto* const text = scalar_of<std::string>(value);
  return text == nullptr ? std::nullopt : std::optional(*text);
}
std::optional<double> as_float(const JsonValue& value) {
  if (const auto* const number = scalar_of<double>(value)) return *number;
  if (const auto* const number = scalar_of<uint64_t>(value)) return static_cast<double>(*number);
  if (const auto* const number = scalar_of<int64_t>(value)) return static_cast<double>(*number);
  const auto* const members = std::get_if<JsonMembers>(&value.value);
  if (members == nullptr || members->size() != 1) return std::nullopt;
  const JsonValue* const word = find_member(*members, kFloatKey);
  const auto* const text = word == nullptr ? nullptr : scalar_of<std::string>(*word);
  if (text == nullptr) return std::nullopt;
  if (*text == "Infinity") return JsonObject::kInfinity;
  if (*text == "-Infinity") return -JsonObject::kInfinity;
  if (*text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

Status wrong_type(std::string_view source, std::string_view key, std::string_view expected, const JsonValue& found) {
  return fail(ErrorCode::kMalformed, source, ": expected '", printable(key), "' to be ", expected, ", found ",
              kind_of(found));
}

template <class Convert>
auto converted(std::string_view source, std::string_view key, std::string_view expected, const JsonValue& value,
               Convert convert) -> Result<typename decltype(convert(value))::value_type> {
  auto result = convert(value);
  if (!result) return std::unexpected(wrong_type(source, key, expected, value).error());
  return *std::move(result);
}

template <class Convert>
auto converted_array(std::string_view source, std::string_view key, std::string_view expected, const JsonValue* value,
                     Convert convert) -> Result<std::vector<typename decltype(convert(*value))::value_type>> {
  std::vector<typename decltype(convert(*value))::value_type> out;
  if (value == nullptr) return out;
  const auto* const array = std::get_if<JsonArray>(&value->value);
  if (array == nullptr) return std::unexpected(wrong_type(source, key, expected, *value).error());
  for (size_t i = 0; i < array->size(); ++i) {
    auto item = convert((*array)[i]);
    if (!item) return std::unexpected(wrong_type(source, concat(key, '[', i, ']'), expected, (*array)[i]).error());
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
  auto* const members = std::get_if<JsonMembers>(&root->value);
  if (members == nullptr) {
    return fail(ErrorCode::kMalformed, source, ": expected a JSON object, found ", kind_of(*root));
  }
  return JsonObject(std::string(source), std::move(*members));
}

Status JsonObject::override_value(std::string_view key_and_value) {
  const size_t equals = key_and_value.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(ErrorCode::kInvalidArgument, "expected key=value, found '", printable(key_and_value), "'");
  }
  const std::string_view key = key_and_value.substr(0, equals);
  const std::string_view value = key_and_value.substr(equals + 1);
  auto parsed = parse_tree(value);
  JsonValue replacement = parsed ? std::move(*parsed) : JsonValue{JsonScalar(std::string(value))};
  const auto place =
      std::ranges::lower_bound(members_, key, {}, [](const JsonMember& m) -> std::string_view { return m.key; });
  if (place != members_.end() && place->key == key) {
    place->value = std::move(replacement);
  } else {
    members_.insert(place, {std::string(key), std::move(replacement)});
  }
  overrides_.insert_or_assign(std::string(key), false);
  return {};
}

Status JsonObject::refuse_unread_overrides() const {
  for (const auto& [key, was_read] : overrides_) {
    if (was_read) continue;
    return fail(ErrorCode::kInvalidArgument, source_, ": the override '", printable(key),
                "' is not a key that this model reads");
  }
  return {};
}

const JsonValue* JsonObject::find(std::string_view key) const {
  if (const auto overridden = overrides_.find(key); overridden != overrides_.end()) overridden->second = true;
  const JsonValue* const value = find_member(members_, key);
  return value == nullptr || scalar_of<std::monostate>(*value) != nullptr ? nullptr : value;
}

bool JsonObject::has(std::string_view key) const { return find(key) != nullptr; }

Result<uint64_t> JsonObject::required_uint(std::string_view key, uint64_t min, uint64_t max) const {
  const JsonValue* const value = find(key);
  if (value == nullptr) return std::unexpected(absent(source_, key).error());
  SUTRA_ASSIGN(const uint64_t number, converted(source_, key, "an integer >= 0", *value, as_uint));
  return in_range(source_, key, number, min, max);
}

Result<double> JsonObject::required_float(std::string_view key, double min, double max) const {
  const JsonValue* const value = find(key);
  if (value == nullptr) return std::unexpected(absent(source_, key).error());
  SUTRA_ASSIGN(const double number, converted(source_, key, "a number", *value, as_float));
  return in_range(source_, key, number, min, max);
}

Result<bool> JsonObject::required_bool(std::string_view key) const {
  const JsonValue* const value = find(key);
  if (value == nullptr) return std::unexpected(absent(source_, key).error());
  return converted(source_, key, "a boolean", *value, as_bool);
}

Result<std::string> JsonObject::required_string(std::string_view key) const {
  const JsonValue* const value = find(key);
  if (value == nullptr) return std::unexpected(absent(source_, key).error());
  return converted(source_, key, "a string", *value, as_string);
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
  return converted_array(source_, key, "an array of integers >= 0", find(key), as_uint);
}

Result<std::vector<double>> JsonObject::optional_floats(std::string_view key) const {
  return converted_array(source_, key, "an array of numbers", find(key), as_float);
}

Result<std::vector<std::string>> JsonObject::optional_strings(std::string_view key) const {
  return converted_array(source_, key, "an array of strings", find(key), as_string);
}

Result<std::optional<JsonObject>> JsonObject::optional_object(std::string_view key) const {
  const JsonValue* const value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto* const members = std::get_if<JsonMembers>(&value->value);
  if (members == nullptr) return std::unexpected(wrong_type(source_, key, "an object", *value).error());
  return JsonObject(concat(source_, ": ", key), *members);
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> keys;
  for (const JsonMember& member : members_) keys.push_back(member.key);
  return keys;
}

}  // namespace sutra
