// One call of Tokenizer::encode.
#pragma once

#include <deque>
#include <string_view>
#include <vector>

#include "text/alignment.h"
#include "text/bpe.h"
#include "text/tokenizer_data.h"

namespace sutra::text {

class Encoder {
 public:
  Encoder(const TokenizerData& data, std::string_view original);
  Encoding run(bool add_special);

 private:
  // A text, and how its bytes lead to the text that it was made from.
  struct Layer {
    std::string_view text;
    const Alignment* alignment;  // nullptr: the text is a part of the one below, byte for byte
    size_t begin;                // of that part in the text below
    const Layer* below;          // nullptr: the original
  };
  // The last words seen, by hash: text has few different words.
  struct CachedWord {
    std::string_view text;
    size_t first_token;  // in ids and lengths_
    size_t n_tokens;
  };

  void encode_text(const Layer& text);
  void encode_normalized(const Layer& text);
  void encode_words(const Layer& text);
  void encode_word(const Layer& text, Offset word);
  void bytes_to_symbols(std::string_view word);

  void emit_word_token(const Layer& text, size_t begin, Symbol symbol);
  void emit_added_token(const Layer& text, const Part& part);
  // `leading`, `trailing`: white space characters at the token's ends.
  void emit(int32_t id, uint32_t length, Offset original, size_t leading, size_t trailing);

  [[nodiscard]] static Offset to_original(const Layer& text, Offset bytes);
  // The text rewritten, kept until the end of the call: cached words point into it.
  const Rewritten& keep(Rewritten rewritten);

  const TokenizerData& data_;
  std::string_view original_;
  Encoding out_;
  std::vector<uint32_t> lengths_;  // bytes of the word that each token stands for
  std::vector<CachedWord> cache_;
  std::deque<Rewritten> kept_;
  Merger merger_;
  std::vector<Symbol> word_;
};

}  // namespace sutra::text
