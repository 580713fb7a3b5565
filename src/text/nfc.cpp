#include "text/nfc.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "text/unicode_tables.h"
#include "text/utf8.h"

namespace sutra::text {
namespace {

constexpr uint32_t kHangulBase = 0xac00, kLeadBase = 0x1100, kVowelBase = 0x1161, kTailBase = 0x11a7;
constexpr uint32_t kLeads = 19, kVowels = 21, kTails = 28;
constexpr uint32_t kSyllables = kLeads * kVowels * kTails;

struct Properties {
  uint8_t combining_class;
  bool quick;  // NFC_Quick_Check = Yes

  // Nothing before it can change because of it, and it changes nothing before it.
  [[nodiscard]] bool starts_segment() const { return quick && combining_class == 0; }
};

Properties properties(char32_t c) {
  if (c < 0x300) return {0, true};
  const auto after = std::upper_bound(std::begin(tables::kNormalization), std::end(tables::kNormalization), c,
                                      [](char32_t value, uint32_t entry) { return value < entry >> 9; });
  const uint32_t entry = *(after - 1);
  return {static_cast<uint8_t>(entry & 255u), (entry & 256u) == 0};
}

struct Decomposed {
  char32_t first;
  char32_t second;  // 0: none
};

// One step; nullopt: does not decompose. Not for Hangul.
std::optional<Decomposed> decompose_once(char32_t c) {
  if (c >= tables::kBlockFirst && c - tables::kBlockFirst < std::size(tables::kBlock)) {
    return Decomposed{tables::kBlock[c - tables::kBlockFirst], 0};
  }
  const auto before = [](const auto& entry, char32_t value) { return entry.composed < value; };
  const auto pair = std::lower_bound(std::begin(tables::kPairs), std::end(tables::kPairs), c, before);
  if (pair != std::end(tables::kPairs) && pair->composed == c) return Decomposed{pair->first, pair->second};
  const auto single = std::lower_bound(std::begin(tables::kSingles), std::end(tables::kSingles), c, before);
  if (single != std::end(tables::kSingles) && single->composed == c) return Decomposed{single->first, 0};
  const auto large = std::lower_bound(std::begin(tables::kLargePairs), std::end(tables::kLargePairs), c, before);
  if (large != std::end(tables::kLargePairs) && large->composed == c) return Decomposed{large->first, large->second};
  return std::nullopt;
}

// The primary composite of two characters in `pairs`, 0 if there is none.
template <class Entry>
char32_t find_composite(std::span<const Entry> pairs, std::span<const uint16_t> order, char32_t first,
                        char32_t second) {
  const auto found = std::lower_bound(order.begin(), order.end(), 0, [&](uint16_t index, int) {
    const Entry& pair = pairs[index];
    return pair.first != first ? pair.first < first : pair.second < second;
  });
  if (found == order.end()) return 0;
  const Entry& pair = pairs[*found];
  return pair.first == first && pair.second == second ? pair.composed : 0;
}

char32_t compose(char32_t first, char32_t second) {
  if (first - kLeadBase < kLeads && second - kVowelBase < kVowels) {
    return kHangulBase + ((first - kLeadBase) * kVowels + (second - kVowelBase)) * kTails;
  }
  const bool is_open_syllable = first - kHangulBase < kSyllables && (first - kHangulBase) % kTails == 0;
  if (is_open_syllable && second > kTailBase && second - kTailBase < kTails) return first + (second - kTailBase);
  const char32_t small = find_composite<tables::Pair>(tables::kPairs, tables::kPairOrder, first, second);
  if (small != 0) return small;
  return find_composite<tables::LargePair>(tables::kLargePairs, tables::kLargePairOrder, first, second);
}

// A character on its way, and how it relates to the source characters in order: 0 takes the next one,
// -n takes the next one and n more, 1 and above take none (it was split off).
struct Item {
  char32_t value;
  uint8_t combining_class;
  int32_t change;
  size_t position;  // among the items before ordering
};

class Segment {
 public:
  // One source character: its full decomposition.
  void add(char32_t c) {
    if (c - kHangulBase < kSyllables) {
      const uint32_t index = c - kHangulBase;
      push(kLeadBase + index / (kVowels * kTails), 0, 0);
      push(kVowelBase + index / kTails % kVowels, 0, 1);
      if (index % kTails != 0) push(kTailBase + index % kTails, 0, 1);
      return;
    }
    rest_.assign(1, c);  // what is still to be split, the first part on top
    for (int32_t change = 0; !rest_.empty();) {
      const char32_t next = rest_.back();
      rest_.pop_back();
      if (const auto parts = decompose_once(next)) {
        if (parts->second != 0) rest_.push_back(parts->second);
        rest_.push_back(parts->first);
        continue;
      }
      push(next, properties(next).combining_class, change);
      change = 1;
    }
  }

  // Orders the marks and composes; leaves the result in items().
  void compose_all() {
    for (auto first = items_.begin(); first != items_.end();) {
      if (first->combining_class == 0) {
        ++first;
        continue;
      }
      const auto end = std::find_if(first, items_.end(), [](const Item& item) { return item.combining_class == 0; });
      std::sort(first, end, [](const Item& a, const Item& b) {
        return a.combining_class != b.combining_class ? a.combining_class < b.combining_class : a.position < b.position;
      });
      first = end;
    }
    constexpr size_t kNone = SIZE_MAX;
    size_t starter = kNone;
    size_t kept = 0;
    for (size_t i = 0; i < items_.size(); ++i) {
      const Item item = items_[i];
      if (starter != kNone) {
        // Blocked when something of the same or a higher class stands between (definition D115).
        const bool adjacent = kept == starter + 1;
        const bool blocked = !adjacent && items_[kept - 1].combining_class >= item.combining_class;
        const char32_t composite = blocked ? 0 : compose(items_[starter].value, item.value);
        if (composite != 0) {
          items_[starter].value = composite;
          items_[starter].change += item.change - 1;
          continue;
        }
      }
      if (item.combining_class == 0) starter = kept;
      items_[kept++] = item;
    }
    items_.resize(kept);
  }

  [[nodiscard]] const std::vector<Item>& items() const { return items_; }
  void clear() { items_.clear(); }

 private:
  void push(char32_t value, uint8_t combining_class, int32_t change) {
    items_.push_back({value, combining_class, change, items_.size()});
  }

  std::vector<Item> items_;
  std::vector<char32_t> rest_;
};

// Writes the normalized segment and takes its source characters from text[at, end) in order.
void write_segment(std::string_view text, size_t at, const Segment& segment, Rewritten& out) {
  Offset last{at, at};
  for (const Item& item : segment.items()) {
    if (item.change <= 0) {
      last = {at, character_end(text, at)};
      at = last.end;
      for (int32_t more = item.change; more < 0; ++more) at = character_end(text, at);
    } else if (at > 0) {
      // Split off: shares the source of the character just before, which may have been taken as well.
      last = {character_begin(text, at - 1), at};
    }
    const size_t before = out.text.size();
    append_utf8(out.text, item.value);
    out.alignment.written(out.text.size() - before, last);
  }
}

}  // namespace

std::optional<Rewritten> to_nfc(std::string_view text) {
  std::optional<Rewritten> out;
  size_t copied = 0;         // text before this is in `out`, if there is one
  size_t segment_begin = 0;  // the last place where a segment can start
  uint8_t last_class = 0;
  Segment segment;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    const Properties p = properties(c.value);
    if (p.starts_segment()) segment_begin = at;
    const bool ordered = p.combining_class == 0 || last_class <= p.combining_class;
    last_class = p.combining_class;
    at += c.length;
    if (p.quick && ordered) continue;

    segment.clear();
    for (at = segment_begin; at < text.size();) {
      const CodePoint next = decode_utf8(text, at);
      if (at > segment_begin && properties(next.value).starts_segment()) break;
      segment.add(next.value);
      at += next.length;
    }
    segment.compose_all();
    if (!out) out.emplace();
    out->text += text.substr(copied, segment_begin - copied);
    out->alignment.copied(segment_begin - copied, copied);
    write_segment(text, segment_begin, segment, *out);
    copied = at;
    segment_begin = at;
    last_class = 0;
  }
  if (!out) return out;
  out->text += text.substr(copied);
  out->alignment.copied(text.size() - copied, copied);
  return out;
}

}  // namespace sutra::text
