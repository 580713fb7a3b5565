#include "text/utf8.h"

#include <algorithm>
#include <cstring>

namespace sutra::text {
namespace {

// What may follow a lead byte (table 3-7): how many bytes, and the range of the first of them.
struct Lead {
  uint32_t length;
  uint8_t low;
  uint8_t high;
};

Lead lead(uint8_t byte) {
  if (byte < 0xc2) return {0, 0, 0};
  if (byte < 0xe0) return {2, 0x80, 0xbf};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};  // no surrogates
  if (byte < 0xf0) return {3, 0x80, 0xbf};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte < 0xf4) return {4, 0x80, 0xbf};
  if (byte == 0xf4) return {4, 0x80, 0x8f};  // none above U+10FFFF
  return {0, 0, 0};
}

}  // namespace

CodePoint decode_utf8(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, true, false};
  const Lead expected = lead(first);
  if (expected.length == 0) return {kReplacement, 1, false, false};
  char32_t value = first & (0x7fu >> expected.length);
  for (uint32_t i = 1; i < expected.length; ++i) {
    if (at + i >= text.size()) return {kReplacement, i, false, true};
    const uint8_t low = i == 1 ? expected.low : uint8_t{0x80};
    const uint8_t high = i == 1 ? expected.high : uint8_t{0xbf};
    if (byte(i) < low || byte(i) > high) return {kReplacement, i, false, false};
    value = value << 6 | (byte(i) & 0x3fu);
  }
  return {value, expected.length, true, false};
}

void append_utf8(std::string& out, char32_t value) {
  const auto tail = [&](uint32_t shift) { out += static_cast<char>(0x80u | (value >> shift & 0x3fu)); };
  if (value < 0x80) {
    out += static_cast<char>(value);
  } else if (value < 0x800) {
    out += static_cast<char>(0xc0u | value >> 6);
    tail(0);
  } else if (value < 0x10000) {
    out += static_cast<char>(0xe0u | value >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0u | value >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight = 0;
    if (text.size() - at >= sizeof eight) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080u) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const CodePoint c = decode_utf8(text, at);
    if (!c.well_formed) return at;
    at += c.length;
  }
  return at;
}

void Utf8Repair::append(std::string_view bytes, std::string& out) {
  // At most three bytes are held, so this copies little more than the piece itself.
  std::string joined;
  if (!held_.empty()) {
    joined = held_;
    joined += bytes;
    bytes = joined;
    held_.clear();
  }
  while (!bytes.empty()) {
    const size_t valid = valid_utf8_prefix(bytes);
    out += bytes.substr(0, valid);
    bytes.remove_prefix(valid);
    if (bytes.empty()) return;
    const CodePoint c = decode_utf8(bytes, 0);
    if (c.cut) {
      held_ = bytes;
      return;
    }
    append_utf8(out, kReplacement);
    bytes.remove_prefix(c.length);
  }
}

void Utf8Repair::finish(std::string& out) {
  if (!held_.empty()) append_utf8(out, kReplacement);
  held_.clear();
}

}  // namespace sutra::text
