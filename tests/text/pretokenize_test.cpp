// The scanners against a naive backtracking matcher of the published expressions.
#include "text/pretokenize.h"

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <string>
#include <vector>

#include "support/random.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace sutra::text {
namespace {

using Text = std::u32string;
using Accepts = std::function<bool(char32_t)>;

// One term of an expression: between `least` and `most` characters of a set, greedily.
struct Term {
  Accepts accepts;
  size_t least = 1;
  size_t most = 1;
};
struct Alternative {
  std::vector<Term> terms;
  bool not_before_word = false;  // (?!\S) at the end
  bool has_contraction = false;  // (?i:'s|'t|'re|'ve|'m|'ll|'d)? at the end
};

constexpr size_t kMany = SIZE_MAX;
constexpr size_t kNoMatch = SIZE_MAX;

Accepts in(uint32_t classes) {
  return [classes](char32_t c) { return is_in(c, classes); };
}
Accepts any_of(Text characters) {
  return [characters](char32_t c) { return characters.find(c) != Text::npos; };
}
Accepts neither(
    Accepts a, Accepts b = [](char32_t) { return false; }) {
  return [a, b](char32_t c) { return !a(c) && !b(c); };
}

const Accepts kSpace = in(kSpaces);
const Accepts kLetter = in(kLetters);
const Accepts kNumber = in(kNumbers);
const Accepts kSymbol = neither(in(kSpaces | kLetters | kNumbers));
const Accepts kNewline = any_of(U"\r\n");
const Accepts kPrefix = neither(kNewline, in(kLetters | kNumbers));

size_t contraction_end(const Text& text, size_t at, bool any_case) {
  for (const Text suffix : {U"s", U"t", U"re", U"ve", U"m", U"ll", U"d"}) {
    if (at + suffix.size() >= text.size() || text[at] != U'\'') continue;
    bool same = true;
    for (size_t i = 0; i < suffix.size(); ++i) {
      char32_t c = text[at + 1 + i];
      if (any_case && c >= U'A' && c <= U'Z') c += 32;
      if (any_case && c == U'\u017f') c = U's';
      same = same && c == suffix[i];
    }
    if (same) return at + 1 + suffix.size();
  }
  return kNoMatch;
}

size_t match(const Text& text, size_t at, const Alternative& alternative, size_t term_index) {
  if (term_index == alternative.terms.size()) {
    if (alternative.not_before_word && at < text.size() && !kSpace(text[at])) return kNoMatch;
    if (!alternative.has_contraction) return at;
    const size_t end = contraction_end(text, at, true);
    return end == kNoMatch ? at : end;
  }
  const Term& term = alternative.terms[term_index];
  size_t n = 0;
  while (n < term.most && at + n < text.size() && term.accepts(text[at + n])) ++n;
  for (;; --n) {
    if (n < term.least) return kNoMatch;
    const size_t end = match(text, at + n, alternative, term_index + 1);
    if (end != kNoMatch) return end;
    if (n == 0) return kNoMatch;
  }
}

struct Expression {
  bool starts_with_contraction;
  bool contraction_any_case;
  std::vector<Alternative> alternatives;
};

Expression expression(WordRule rule) {
  const Term space{any_of(U" "), 0, 1};
  const Term prefix{kPrefix, 0, 1};
  const Alternative lines{{{kSpace, 0, kMany}, {kNewline, 1, kMany}}};
  const Alternative trailing{{{kSpace, 1, kMany}}, true};
  const Alternative spaces{{{kSpace, 1, kMany}}};
  if (rule == WordRule::kGpt2) {
    return {true,
            false,
            {{{space, {kLetter, 1, kMany}}},
             {{space, {kNumber, 1, kMany}}},
             {{space, {kSymbol, 1, kMany}}},
             trailing,
             spaces}};
  }
  if (rule == WordRule::kO200k) {
    const uint32_t either = class_bit(CharClass::kModifier) | class_bit(CharClass::kLetter) | kMarks;
    const Accepts upper = in(either | class_bit(CharClass::kUpper) | class_bit(CharClass::kTitle));
    const Accepts lower = in(either | class_bit(CharClass::kLower));
    return {false,
            false,
            {{{prefix, {upper, 0, kMany}, {lower, 1, kMany}}, false, true},
             {{prefix, {upper, 1, kMany}, {lower, 0, kMany}}, false, true},
             {{{kNumber, 1, 3}}},
             {{space, {kSymbol, 1, kMany}, {any_of(U"\r\n/"), 0, kMany}}},
             lines,
             trailing,
             spaces}};
  }
  const size_t n_digits = rule == WordRule::kLlama3 ? 3 : 1;
  return {true,
          true,
          {{{prefix, {kLetter, 1, kMany}}},
           {{{kNumber, 1, n_digits}}},
           {{space, {kSymbol, 1, kMany}, {kNewline, 0, kMany}}},
           lines,
           trailing,
           spaces}};
}

size_t expected_end(const Expression& rule, const Text& text, size_t at) {
  if (rule.starts_with_contraction) {
    const size_t end = contraction_end(text, at, rule.contraction_any_case);
    if (end != kNoMatch) return end;
  }
  for (const Alternative& alternative : rule.alternatives) {
    const size_t end = match(text, at, alternative, 0);
    if (end != kNoMatch && end > at) return end;
  }
  FAIL("the expression accepts nothing");
  return kNoMatch;
}

std::string utf8(const Text& text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

TEST_CASE("every scanner cuts random text where its expression does") {
  const Text alphabet =
      U"aabzAZ  \t\n\r\u00a0\u2003\u0085'''sStTrReEvVmMlLdD\u017f0123\u0663\u00bd.,!/-_\u0301\u0903\u02b0\u4e2d\u00aa"
      U"\u00e9\u00c9\u01c5\u01c4\U0001f600\U0001d400\u200d\u2160\u24b6";
  for (const WordRule rule : {WordRule::kGpt2, WordRule::kLlama3, WordRule::kQwen2, WordRule::kO200k}) {
    const Expression oracle = expression(rule);
    const uint64_t seed = 17;
    CAPTURE(seed, static_cast<int>(rule));
    test::Random random(seed);
    for (int round = 0; round < 6000; ++round) {
      Text text;
      const int64_t length = random.integer(1, 14);
      for (int64_t i = 0; i < length; ++i) {
        text += alphabet[static_cast<size_t>(random.integer(0, static_cast<int64_t>(alphabet.size()) - 1))];
      }
      const std::string bytes = utf8(text);
      size_t byte = 0;
      for (size_t at = 0; at < text.size();) {
        const size_t end = expected_end(oracle, text, at);
        byte += utf8(text.substr(at, end - at)).size();
        const size_t got = word_end(rule, bytes, byte - utf8(text.substr(at, end - at)).size());
        if (got != byte)
          FAIL("text " << bytes << " word at character " << at << ": ends at " << got << ", not " << byte);
        at = end;
      }
    }
  }
}

TEST_CASE("scanners stay linear on text that makes expressions backtrack") {
  const size_t n = 1'000'000;
  for (const WordRule rule : {WordRule::kGpt2, WordRule::kLlama3, WordRule::kQwen2, WordRule::kO200k}) {
    for (const std::string& unit : {std::string(" "), std::string("\n "), std::string("A"), std::string("\u00aaA"),
                                    std::string("'"), std::string(" \u0301"), std::string("\u0301A")}) {
      std::string text;
      while (text.size() < n) text += unit;
      text += "x";
      size_t at = 0;
      while (at < text.size()) {
        const size_t end = word_end(rule, text, at);
        if (end <= at) FAIL("no progress at " << at);
        at = end;
      }
      CHECK(at == text.size());
    }
  }
}

TEST_CASE("an expression is known by its exact text only") {
  CHECK(word_rule(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)") == WordRule::kGpt2);
  CHECK(!word_rule("").has_value());
  CHECK(!word_rule(R"(\p{L}+)").has_value());
}

}  // namespace
}  // namespace sutra::text
