#include "base/json.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace sutra {
namespace {

using Library = nlohmann::json;

// What the library lets pass or cannot bound: it takes NUL for the end of the text, skips a byte order mark, and
// copies whatever stands between two structural characters, a string, a number or white space, however long.
Status check_bytes(std::string_view text, const JsonLimits& limits) {
  if (text.starts_with("\xef\xbb\xbf")) return fail(ErrorCode::kMalformed, "the JSON begins with a byte order mark");
  bool in_string = false;
  size_t token_begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') {
      return fail(ErrorCode::kMalformed, "the JSON has control byte ", static_cast<int>(c), " at byte ", i);
    }
    const bool ends_token =
        c == '"' || (!in_string && (c == ',' || c == ':' || c == '[' || c == ']' || c == '{' || c == '}'));
    if (ends_token) {
      if (c == '"') in_string = !in_string;
      token_begin = i + 1;
      continue;
    }
    // Whatever is escaped does not end the string; a control byte there is no JSON escape.
    if (in_string && c == '\\') ++i;
    if (i - token_begin >= limits.max_token_bytes) {
      return fail(ErrorCode::kTooLarge, "the JSON has a string, number or gap of more than ", limits.max_token_bytes,
                  " bytes at byte ", token_begin);
    }
  }
  return {};
}

// The library's event interface on one side, ours on the other. `false` makes the library stop.
class Adaptor {
 public:
  Adaptor(JsonHandler& handler, size_t max_depth) : handler_(handler), max_depth_(max_depth) {}

  bool null() { return keep(handler_.scalar(std::monostate{})); }
  bool boolean(bool value) { return keep(handler_.scalar(value)); }
  bool number_integer(int64_t value) { return keep(handler_.scalar(value)); }
  bool number_unsigned(uint64_t value) { return keep(handler_.scalar(value)); }
  bool number_float(double value, const std::string&) { return keep(handler_.scalar(value)); }
  // Copied, not moved: the library's buffer may have twice the capacity that the text needs.
  bool string(const std::string& value) { return keep(handler_.scalar(std::string(value))); }
  bool key(const std::string& name) { return keep(handler_.key(std::string(name))); }
  bool binary(const Library::binary_t&) { return false; }
  bool start_object(size_t) { return deeper() && keep(handler_.start_object()); }
  bool start_array(size_t) { return deeper() && keep(handler_.start_array()); }
  bool end_object() {
    --depth_;
    return keep(handler_.end_object());
  }
  bool end_array() {
    --depth_;
    return keep(handler_.end_array());
  }
  bool parse_error(size_t position, const std::string& last_token, const nlohmann::detail::exception&) {
    return keep(
        fail(ErrorCode::kMalformed, "not valid JSON at byte ", position, " near '", printable(last_token), "'"));
  }

  [[nodiscard]] Error error() const {
    return error_.value_or(Error{ErrorCode::kInternal, "the JSON library stopped without a reason"});
  }

 private:
  bool keep(Status status) {
    if (status) return true;
    error_ = std::move(status).error();
    return false;
  }
  bool deeper() {
    if (++depth_ <= max_depth_) return true;
    return keep(fail(ErrorCode::kTooLarge, "the JSON is nested more than ", max_depth_, " levels deep"));
  }

  JsonHandler& handler_;
  size_t max_depth_;
  size_t depth_ = 0;
  std::optional<Error> error_;
};

}  // namespace

std::string_view json_kind(const JsonScalar& value) {
  switch (value.index()) {
    case 0: return "null";
    case 1: return "a boolean";
    case 2: return "an integer";
    case 3: return "a negative integer";
    case 4: return "a number";
    default: return "a string";
  }
}

Status read_json(std::string_view text, JsonHandler& handler, const JsonLimits& limits) {
  SUTRA_TRY(check_bytes(text, limits));
  Adaptor adaptor(handler, limits.max_depth);
  if (!Library::sax_parse(text.begin(), text.end(), &adaptor)) return std::unexpected(adaptor.error());
  return {};
}

namespace {

// Not std::to_chars, whose tables would be 3 KB of every artefact.
template <class Number>
std::string fewest_digits(Number value, int most, Number (*read)(const char*, char**)) {
  constexpr int kFewest = 6;
  std::array<char, 32> text{};
  for (int n_digits = kFewest; n_digits <= most; ++n_digits) {
    std::snprintf(text.data(), text.size(), "%.*g", n_digits, static_cast<double>(value));
    if (read(text.data(), nullptr) == value) break;
  }
  const std::string_view digits = text.data();
  return concat(digits, digits.find_first_of(".e") == digits.npos ? ".0" : "");
}

}  // namespace

std::string json_number(double value) { return fewest_digits(value, 17, std::strtod); }
std::string json_number(float value) { return fewest_digits(value, 9, std::strtof); }

std::string json_quote(std::string_view text) {
  return Library(text).dump(-1, ' ', false, Library::error_handler_t::replace);
}

void JsonText::add(std::string_view key, std::string_view json) {
  if (!members_.empty()) members_ += ", ";
  members_ += json_quote(key);
  members_ += ": ";
  members_ += json;
}

}  // namespace sutra
