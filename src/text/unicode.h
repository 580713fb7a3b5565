// Character classes as far as tokenizers' expressions need them.
// Source: Unicode Character Database 15.0 (tools/unicode_tables.mjs).
#pragma once

#include <cstdint>

namespace sutra::text {

// Disjoint. In brackets the general categories.
enum class CharClass : uint8_t {
  kOther = 0,
  kSpace = 1,        // White_Space, whatever the category
  kUpper = 2,        // Lu
  kLower = 3,        // Ll
  kTitle = 4,        // Lt
  kModifier = 5,     // Lm
  kLetter = 6,       // Lo
  kMark = 7,         // Mn Mc Me
  kNumber = 8,       // Nd Nl
  kOtherNumber = 9,  // No
  kWordOther = 10,   // Pc, other alphabetic characters, join controls: word characters of none of the above
};

CharClass char_class(char32_t c);

constexpr uint32_t class_bit(CharClass c) { return 1u << static_cast<uint32_t>(c); }

// Sets of classes, by the names that expressions use.
inline constexpr uint32_t kSpaces = class_bit(CharClass::kSpace);  // \s
inline constexpr uint32_t kLetters = class_bit(CharClass::kUpper) | class_bit(CharClass::kLower) |
                                     class_bit(CharClass::kTitle) | class_bit(CharClass::kModifier) |
                                     class_bit(CharClass::kLetter);                                       // \p{L}
inline constexpr uint32_t kMarks = class_bit(CharClass::kMark);                                           // \p{M}
inline constexpr uint32_t kNumbers = class_bit(CharClass::kNumber) | class_bit(CharClass::kOtherNumber);  // \p{N}
inline constexpr uint32_t kWords =
    kLetters | kMarks | class_bit(CharClass::kNumber) | class_bit(CharClass::kWordOther);  // \w

inline bool is_in(char32_t c, uint32_t classes) { return (class_bit(char_class(c)) & classes) != 0; }

}  // namespace sutra::text
