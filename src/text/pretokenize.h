// Cuts text into the words that BPE never merges across: hand-written scanners that accept exactly what
// the published regular expressions accept, in linear time.
// Source: the expressions themselves, which tokenizer.json files spell out (kExpressions in the .cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sutra::text {

enum class WordRule : uint8_t {
  kWhole,   // no cut
  kGpt2,    // GPT-2, GPT-NeoX: ByteLevel's own expression
  kLlama3,  // Llama 3: numbers in groups of three
  kQwen2,   // Qwen 2: digits one by one
  kO200k,   // o200k: words also end before a capital
};

// The rule that a Split pre-tokenizer's expression stands for; nullopt if it is none of the known ones.
std::optional<WordRule> word_rule(std::string_view expression);
// Its inverse. Precondition: not kWhole.
std::string_view word_expression(WordRule rule);

// End of the word that starts at `at`. Words follow one another without gaps.
// Preconditions: well-formed UTF-8, at < text.size().
size_t word_end(WordRule rule, std::string_view text, size_t at);

}  // namespace sutra::text
