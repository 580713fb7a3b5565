#include "text/byte_alphabet.h"

#include "text/utf8.h"

namespace sutra::text {
namespace {

constexpr size_t kAlphabetEnd = 0x144;

// Character -> byte; -1 outside the alphabet.
constexpr std::array<int16_t, kAlphabetEnd> character_bytes() {
  std::array<int16_t, kAlphabetEnd> bytes{};
  bytes.fill(-1);
  for (size_t byte = 0; byte < 256; ++byte) bytes[kByteCharacters[byte]] = static_cast<int16_t>(byte);
  return bytes;
}
constexpr std::array<int16_t, kAlphabetEnd> kCharacterBytes = character_bytes();

}  // namespace

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) append_utf8(out, kByteCharacters[static_cast<uint8_t>(byte)]);
  return out;
}

void append_spelled_bytes(std::string& out, std::string_view token_text) {
  const size_t before = out.size();
  for (size_t at = 0; at < token_text.size();) {
    const CodePoint c = decode_utf8(token_text, at);
    if (c.value >= kAlphabetEnd || kCharacterBytes[c.value] < 0) {
      out.resize(before);
      out += token_text;
      return;
    }
    out += static_cast<char>(kCharacterBytes[c.value]);
    at += c.length;
  }
}

}  // namespace sutra::text
