// Strict JSON (RFC 8259) from untrusted bytes, as events. The only place that knows the JSON library.
//
// Beyond the grammar: duplicate keys are the handler's matter (it sees every key); no NUL and no byte order mark;
// nesting and the length of one token are limited, so memory is bounded by the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"

namespace sutra {

// null, true or false, an integer >= 0, an integer < 0 (or "-0"), any other number, text.
using JsonScalar = std::variant<std::monostate, bool, uint64_t, int64_t, double, std::string>;

// "null", "a boolean", "an integer", "a number", "a string": for messages.
std::string_view json_kind(const JsonScalar& value);

class JsonHandler {
 public:
  virtual ~JsonHandler() = default;
  // The first error ends the reading and is its result.
  virtual Status scalar(JsonScalar value) = 0;
  virtual Status key(std::string name) = 0;
  virtual Status start_object() = 0;
  virtual Status end_object() = 0;
  virtual Status start_array() = 0;
  virtual Status end_array() = 0;
};

struct JsonLimits {
  size_t max_depth = 64;
  size_t max_token_bytes = size_t{1} << 22;  // of one string or number as written, or of white space between two
};

// kMalformed: not JSON, with the byte offset; kTooLarge: over a limit; or the handler's error.
Status read_json(std::string_view text, JsonHandler& handler, const JsonLimits& limits = {});

// The text as a JSON string literal, quotes included; bytes that are not UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);

// The fewest digits, from six on, that are read as the same number; with a point or an exponent, because other programs
// take what has neither for an integer. Precondition: finite.
std::string json_number(double value);
std::string json_number(float value);

// An object as text, key by key.
class JsonText {
 public:
  // `json`: a value as it stands in the text.
  void add(std::string_view key, std::string_view json);
  void add_uint(std::string_view key, uint64_t value) { add(key, std::to_string(value)); }
  void add_bool(std::string_view key, bool value) { add(key, value ? "true" : "false"); }
  [[nodiscard]] std::string text() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

}  // namespace sutra
