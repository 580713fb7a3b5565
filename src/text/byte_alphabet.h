// The 256 characters by which byte-level vocabularies spell bytes: printable Latin-1 stands for itself,
// the other bytes, in order, for U+0100 and following (a space is U+0120, "Ġ").
// Source: Radford et al. 2019, the published encoder's bytes_to_unicode.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sutra::text {

constexpr bool spells_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
}

constexpr std::array<uint16_t, 256> byte_characters() {
  std::array<uint16_t, 256> characters{};
  uint16_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    characters[byte] = spells_itself(byte) ? static_cast<uint16_t>(byte) : next++;
  }
  return characters;
}
inline constexpr std::array<uint16_t, 256> kByteCharacters = byte_characters();

// The spelling of bytes.
std::string spell_bytes(std::string_view bytes);

// Appends the bytes that a token spells. A token with any character outside the alphabet stands for its
// own UTF-8.
void append_spelled_bytes(std::string& out, std::string_view token_text);

}  // namespace sutra::text
