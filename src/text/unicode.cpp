#include "text/unicode.h"

#include <array>
#include <cstddef>
#include <vector>

#include "text/unicode_tables.h"

namespace sutra::text {
namespace {

constexpr uint32_t kCodePoints = 0x110000;
constexpr uint32_t kBlockShift = 7;
constexpr uint32_t kBlockSize = 1u << kBlockShift;

// Two-level table: a block of 128 classes per code point / 128. Blocks of one class only are shared.
struct ClassTable {
  std::array<uint16_t, kCodePoints / kBlockSize> block;
  std::vector<CharClass> classes;

  [[nodiscard]] CharClass of(char32_t c) const {
    return classes[(static_cast<size_t>(block[c >> kBlockShift]) << kBlockShift) + (c & (kBlockSize - 1))];
  }
};

// Calls visit(first, end, class) for each run of the packed table.
template <class Visit>
void each_run(const Visit& visit) {
  uint32_t first = 0;
  for (size_t at = 0; at < std::size(tables::kClassRuns);) {
    const uint8_t code = tables::kClassRuns[at++];
    uint32_t length = (code & 15u) + 1;
    if (length == 16) {
      uint32_t shift = 0;
      uint8_t part = 0;
      do {
        part = tables::kClassRuns[at++];
        length += (part & 127u) << shift;
        shift += 7;
      } while (part >= 128);
    }
    visit(first, first + length, static_cast<uint8_t>(code >> 4));
    first += length;
  }
}

ClassTable unpack() {
  ClassTable table;
  constexpr uint16_t kNone = 0xffff;
  std::array<uint16_t, tables::kAlternating + 1> uniform;
  uniform.fill(kNone);
  table.block.fill(kNone);
  const auto add_block = [&table](CharClass fill) {
    table.classes.insert(table.classes.end(), kBlockSize, fill);
    return static_cast<uint16_t>(table.classes.size() / kBlockSize - 1);
  };
  each_run([&](uint32_t first, uint32_t end, uint8_t code) {
    for (uint32_t c = first; c < end;) {
      uint16_t& block = table.block[c >> kBlockShift];
      if (code != tables::kAlternating && c % kBlockSize == 0 && end - c >= kBlockSize) {
        if (uniform[code] == kNone) uniform[code] = add_block(static_cast<CharClass>(code));
        block = uniform[code];
        c += kBlockSize;
        continue;
      }
      if (block == kNone) block = add_block(CharClass::kOther);
      const CharClass alternating = (c - first) % 2 == 0 ? CharClass::kUpper : CharClass::kLower;
      table.classes[(static_cast<size_t>(block) << kBlockShift) + c % kBlockSize] =
          code == tables::kAlternating ? alternating : static_cast<CharClass>(code);
      ++c;
    }
  });
  return table;
}

}  // namespace

CharClass char_class(char32_t c) {
  static const ClassTable table = unpack();
  return c < kCodePoints ? table.of(c) : CharClass::kOther;
}

}  // namespace sutra::text
