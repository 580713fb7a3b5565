// UTF-8 read so that any bytes have a meaning: each maximal subpart of an ill-formed sequence is one
// U+FFFD, the practice of web browsers, Python and Rust.
// Source: Unicode 15.0, section 3.9, table 3-7 and "U+FFFD Substitution of Maximal Subparts".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sutra::text {

inline constexpr char32_t kReplacement = 0xfffd;

struct CodePoint {
  char32_t value;   // kReplacement where ill-formed
  uint32_t length;  // bytes taken: 1 to 4
  bool well_formed;
  bool cut;  // ill-formed only because the text ends: more bytes could complete it
};

// Precondition: at < text.size().
CodePoint decode_utf8(std::string_view text, size_t at);

// Precondition: value is a Unicode scalar value.
void append_utf8(std::string& out, char32_t value);

// Bytes before the first ill-formed sequence; text.size() if there is none.
size_t valid_utf8_prefix(std::string_view text);

// For well-formed text: the start of the character that byte `at` belongs to, and its end.
inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0u) == 0x80u; }
inline size_t character_begin(std::string_view text, size_t at) {
  while (at > 0 && is_continuation(text[at])) --at;
  return at;
}
inline size_t character_end(std::string_view text, size_t at) {
  ++at;
  while (at < text.size() && is_continuation(text[at])) ++at;
  return at;
}

// Makes bytes that come in pieces into valid UTF-8. Holds back at most three bytes.
class Utf8Repair {
 public:
  void append(std::string_view bytes, std::string& out);
  void finish(std::string& out);

 private:
  std::string held_;  // the start of a character whose rest has not come
};

}  // namespace sutra::text
