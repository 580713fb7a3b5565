#include "text/pretokenize.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace sutra::text {
namespace {

struct Expression {
  std::string_view text;
  WordRule rule;
};

constexpr Expression kExpressions[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", WordRule::kGpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
     R"(\s+(?!\S)|\s+)",
     WordRule::kLlama3},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
     R"(\s+(?!\S)|\s+)",
     WordRule::kQwen2},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordRule::kO200k},
};

// [^\s\p{L}\p{N}]
constexpr uint32_t kSymbols = ~(kSpaces | kLetters | kNumbers);
// The two halves of a word in kO200k; what is in both can belong to either.
constexpr uint32_t kEitherCase = class_bit(CharClass::kModifier) | class_bit(CharClass::kLetter) | kMarks;
constexpr uint32_t kUpperPart = kEitherCase | class_bit(CharClass::kUpper) | class_bit(CharClass::kTitle);
constexpr uint32_t kLowerPart = kEitherCase | class_bit(CharClass::kLower);

constexpr std::array<uint8_t, 128> ascii_classes() {
  std::array<uint8_t, 128> classes{};
  for (size_t c = 0; c < 128; ++c) {
    CharClass value = CharClass::kOther;
    if (c == ' ' || (c >= '\t' && c <= '\r')) value = CharClass::kSpace;
    if (c >= 'A' && c <= 'Z') value = CharClass::kUpper;
    if (c >= 'a' && c <= 'z') value = CharClass::kLower;
    if (c >= '0' && c <= '9') value = CharClass::kNumber;
    if (c == '_') value = CharClass::kWordOther;
    classes[c] = static_cast<uint8_t>(value);
  }
  return classes;
}
constexpr std::array<uint8_t, 128> kAscii = ascii_classes();

struct Char {
  uint32_t bit;  // class_bit of its class; 0 at the end of the text
  uint32_t length;
};

bool is_newline(char c) { return c == '\r' || c == '\n'; }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[nodiscard]] Char at(size_t i) const {
    if (i >= text_.size()) return {0, 0};
    const auto byte = static_cast<uint8_t>(text_[i]);
    if (byte < 128) return {1u << kAscii[byte], 1};
    const CodePoint c = decode_utf8(text_, i);
    return {class_bit(char_class(c.value)), c.length};
  }

  // End of the run of these classes from i on.
  [[nodiscard]] size_t run(size_t i, uint32_t classes) const {
    for (;;) {
      const Char c = at(i);
      if ((c.bit & classes) == 0) return i;
      i += c.length;
    }
  }

  [[nodiscard]] size_t run_of(size_t i, std::string_view characters) const {
    while (i < text_.size() && characters.find(text_[i]) != std::string_view::npos) ++i;
    return i;
  }

  // 's 't 're 've 'm 'll 'd: the end of it, or i.
  [[nodiscard]] size_t contraction(size_t i, bool any_case) const {
    if (text_[i] != '\'') return i;
    // U+017F folds to s: the one character beyond ASCII that these letters match without case.
    if (any_case && text_.substr(i + 1, 2) == "\xc5\xbf") return i + 3;
    const auto letter = [&](size_t k) -> char {
      if (i + k >= text_.size()) return '\0';
      const char c = text_[i + k];
      return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const char first = letter(1);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return i + 2;
    const char second = letter(2);
    const bool two =
        (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
    return two ? i + 3 : i;
  }

  // \s+(?!\S)|\s+ where at(i) is a space: leaves the last one to the word that follows.
  [[nodiscard]] size_t spaces(size_t i) const {
    size_t end = i;
    size_t last = i;
    for (Char c = at(end); (c.bit & kSpaces) != 0; c = at(end)) {
      last = end;
      end += c.length;
    }
    return end == text_.size() || last == i ? end : last;
  }

  // \s*[\r\n]+|\s+(?!\S)|\s+ where at(i) is a space.
  [[nodiscard]] size_t lines_or_spaces(size_t i) const {
    size_t after_newline = i;
    for (size_t end = i;;) {
      const Char c = at(end);
      if ((c.bit & kSpaces) == 0) break;
      end += c.length;
      if (is_newline(text_[end - 1])) after_newline = end;
    }
    return after_newline > i ? after_newline : spaces(i);
  }

  [[nodiscard]] size_t gpt2(size_t i) const {
    if (const size_t end = contraction(i, false); end > i) return end;
    const size_t start = text_[i] == ' ' ? i + 1 : i;
    for (const uint32_t classes : {kLetters, kNumbers, kSymbols}) {
      if (const size_t end = run(start, classes); end > start) return end;
    }
    return spaces(i);
  }

  [[nodiscard]] size_t llama3(size_t i, size_t n_digits) const {
    if (const size_t end = contraction(i, true); end > i) return end;
    if (const size_t start = word_prefix(i); start > i) {
      if (const size_t end = run(start, kLetters); end > start) return end;
    }
    if (const size_t end = run(i, kLetters); end > i) return end;
    if (const size_t end = numbers(i, n_digits); end > i) return end;
    if (const size_t end = symbols(i, "\r\n"); end > i) return end;
    return lines_or_spaces(i);
  }

  [[nodiscard]] size_t o200k(size_t i) const {
    const size_t prefixed = word_prefix(i);
    for (const auto part : {&Scanner::word_with_lower, &Scanner::word_with_upper}) {
      size_t end = prefixed > i ? (this->*part)(prefixed) : 0;
      if (end == 0) end = (this->*part)(i);
      if (end != 0) return end < text_.size() ? contraction(end, true) : end;
    }
    if (const size_t end = numbers(i, 3); end > i) return end;
    if (const size_t end = symbols(i, "\r\n/"); end > i) return end;
    return lines_or_spaces(i);
  }

 private:
  // [^\r\n\p{L}\p{N}]?
  [[nodiscard]] size_t word_prefix(size_t i) const {
    const Char c = at(i);
    return (c.bit & (kLetters | kNumbers)) == 0 && !is_newline(text_[i]) ? i + c.length : i;
  }

  // \p{N}{1,most}
  [[nodiscard]] size_t numbers(size_t i, size_t most) const {
    for (Char c = at(i); most > 0 && (c.bit & kNumbers) != 0; c = at(i), --most) i += c.length;
    return i;
  }

  //  ?[^\s\p{L}\p{N}]+[tail]*
  [[nodiscard]] size_t symbols(size_t i, std::string_view tail) const {
    const size_t start = text_[i] == ' ' ? i + 1 : i;
    const size_t end = run(start, kSymbols);
    return end > start ? run_of(end, tail) : i;
  }

  // Upper* Lower+ from i, as a backtracking matcher finds it; 0 if it does not match.
  [[nodiscard]] size_t word_with_lower(size_t i) const {
    size_t end = i;
    size_t after_either = 0;  // end of the last character so far that counts as lower as well
    for (Char c = at(end); (c.bit & kUpperPart) != 0; c = at(end)) {
      end += c.length;
      if ((c.bit & kEitherCase) != 0) after_either = end;
    }
    const size_t lower_end = run(end, kLowerPart);
    return lower_end > end ? lower_end : after_either;
  }

  // Upper+ Lower* from i, asked only where word_with_lower does not match: nothing lower follows.
  [[nodiscard]] size_t word_with_upper(size_t i) const {
    const size_t end = run(i, kUpperPart);
    return end > i ? end : 0;
  }

  std::string_view text_;
};

}  // namespace

std::optional<WordRule> word_rule(std::string_view expression) {
  const auto* found = std::find_if(std::begin(kExpressions), std::end(kExpressions),
                                   [&](const Expression& known) { return known.text == expression; });
  if (found == std::end(kExpressions)) return std::nullopt;
  return found->rule;
}

std::string_view word_expression(WordRule rule) {
  const auto* found = std::find_if(std::begin(kExpressions), std::end(kExpressions),
                                   [&](const Expression& known) { return known.rule == rule; });
  SUTRA_ASSERT(found != std::end(kExpressions));
  return found->text;
}

size_t word_end(WordRule rule, std::string_view text, size_t at) {
  const Scanner scanner(text);
  switch (rule) {
    case WordRule::kWhole: return text.size();
    case WordRule::kGpt2: return scanner.gpt2(at);
    case WordRule::kLlama3: return scanner.llama3(at, 3);
    case WordRule::kQwen2: return scanner.llama3(at, 1);
    case WordRule::kO200k: return scanner.o200k(at);
  }
  return text.size();
}

}  // namespace sutra::text
