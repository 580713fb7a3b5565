#include "text/nfc.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "text/unicode.h"

namespace sutra::text {
namespace {

std::string nfc(const std::string& text) {
  const auto out = to_nfc(text);
  return out ? out->text : text;
}

TEST_CASE("text in form C is reported as such, without a copy") {
  CHECK(!to_nfc("").has_value());
  CHECK(!to_nfc("plain ASCII").has_value());
  CHECK(!to_nfc("\u00e9\u4e2d\uac01\u0915\u094d").has_value());
  CHECK(nfc("q\u0307") == "q\u0307");
}

TEST_CASE("NFC composes, orders marks, and leaves exclusions apart") {
  CHECK(nfc("e\u0301") == "\u00e9");
  CHECK(nfc("a\u0302\u0301") == "\u1ea5");
  CHECK(nfc("D\u0307\u0323") == "\u1e0c\u0307");  // order by class, then compose
  CHECK(nfc("\u1e0b\u0323") == "\u1e0d\u0307");   // UAX 15, figure 6
  CHECK(nfc("a\u0315\u0300\u05ae\u0300b") ==
        "\u00e0\u05ae\u0300\u0315"
        "b");                              // stable among equals
  CHECK(nfc("\u212b") == "\u00c5");        // singleton
  CHECK(nfc("\u0958") == "\u0915\u093c");  // composition exclusion
  CHECK(nfc("\U0001d15e") == "\U0001d157\U0001d165");
  CHECK(nfc("\U0002f800") == "\u4e3d");
  CHECK(nfc("\u0344") == "\u0308\u0301");              // a mark that is two marks
  CHECK(nfc("\U00011099\U000110ba") == "\U0001109a");  // a pair beyond the basic plane
}

TEST_CASE("NFC composes Hangul by arithmetic, and not across a blocked place") {
  CHECK(nfc("\u1112\u1161\u11ab") == "\ud55c");
  CHECK(nfc("\uac00\u11a8") == "\uac01");
  CHECK(nfc("\uac01\u11a8") == "\uac01\u11a8");
  CHECK(nfc("\uac00\u11a7") == "\uac00\u11a7");  // U+11A7 is no tail
  CHECK(nfc("\u1100\u0301\u1161") == "\u1100\u0301\u1161");
}

TEST_CASE("a composed character reports the first character it came from, the rest of the text itself") {
  const std::string text = "xe\u0301y";  // x, e, two bytes of mark, y
  const auto out = to_nfc(text);
  REQUIRE(out.has_value());
  CHECK(out->text == "x\u00e9y");
  CHECK(out->alignment.source_of({0, 1}) == Offset{0, 1});
  CHECK(out->alignment.source_of({1, 3}) == Offset{1, 2});
  CHECK(out->alignment.source_of({3, 4}) == Offset{4, 5});
}

TEST_CASE("what a character is split into reports that character") {
  const auto out = to_nfc("\u0958");
  REQUIRE(out.has_value());
  CHECK(out->alignment.source_of({0, 3}) == Offset{0, 3});
  CHECK(out->alignment.source_of({3, 6}) == Offset{0, 3});
}

TEST_CASE("a million marks on one letter are normalized in reasonable time") {
  std::string text = "a";
  for (int i = 0; i < 500'000; ++i) text += "\u0323\u0301";
  std::string expected = "\u1ea1";  // the first U+0323 composes, all others of its class come next
  for (int i = 1; i < 500'000; ++i) expected += "\u0323";
  for (int i = 0; i < 500'000; ++i) expected += "\u0301";
  CHECK((nfc(text) == expected));
}

TEST_CASE("character classes follow the Unicode categories") {
  struct {
    char32_t c;
    CharClass expected;
  } const cases[] = {
      {U' ', CharClass::kSpace},           {U'\u0085', CharClass::kSpace},
      {U'\u00a0', CharClass::kSpace},      {U'\u2028', CharClass::kSpace},
      {U'\u3000', CharClass::kSpace},      {U'\u200b', CharClass::kOther},
      {U'\u180e', CharClass::kOther},      {U'\u001c', CharClass::kOther},
      {U'A', CharClass::kUpper},           {U'\u0100', CharClass::kUpper},
      {U'\u0101', CharClass::kLower},      {U'\u0102', CharClass::kUpper},
      {U'\u01c5', CharClass::kTitle},      {U'\u02b0', CharClass::kModifier},
      {U'\u4e2d', CharClass::kLetter},     {U'\uac00', CharClass::kLetter},
      {U'\u0301', CharClass::kMark},       {U'\u0903', CharClass::kMark},
      {U'7', CharClass::kNumber},          {U'\u0667', CharClass::kNumber},
      {U'\u2160', CharClass::kNumber},     {U'\u00bd', CharClass::kOtherNumber},
      {U'_', CharClass::kWordOther},       {U'\u24b6', CharClass::kWordOther},
      {U'\u200d', CharClass::kWordOther},  {U'!', CharClass::kOther},
      {U'\U0001f600', CharClass::kOther},  {U'\U00010400', CharClass::kUpper},
      {U'\U00020000', CharClass::kLetter}, {U'\U000e01ef', CharClass::kMark},
      {U'\U0010ffff', CharClass::kOther},
  };
  for (const auto& one : cases) {
    INFO("U+" << std::hex << uint32_t{one.c});
    CHECK(char_class(one.c) == one.expected);
  }
}

}  // namespace
}  // namespace sutra::text
