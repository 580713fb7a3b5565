// A tokenizer.json as read: the two big tables of a BPE model apart, the rest as a tree. Types are
// checked, meanings are not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/json_members.h"

namespace sutra::text {

struct TokenizerFile {
  struct Token {
    uint32_t begin;  // in `texts`
    uint32_t size;
    int32_t id;
  };
  // left and right lie one after the other.
  struct Merge {
    uint32_t begin;
    uint32_t left_size;
    uint32_t right_size;
  };

  std::string texts;
  std::vector<Token> vocab;
  std::vector<Merge> merges;
  bool has_vocab = false;   // model.vocab is an object: of BPE, WordPiece, WordLevel
  bool has_pieces = false;  // model.vocab is an array: of Unigram
  bool has_merges = false;
  JsonTree root;  // without model.vocab and model.merges
  size_t bytes = 0;

  // Appends to the tables. kMalformed: a line that is not "left right".
  void add_token(std::string_view token, int32_t id);
  Status add_merge(std::string_view line);
  uint32_t append(std::string_view text);

  [[nodiscard]] std::string_view text(const Token& token) const { return view(token.begin, token.size); }
  [[nodiscard]] std::string_view left(const Merge& merge) const { return view(merge.begin, merge.left_size); }
  [[nodiscard]] std::string_view right(const Merge& merge) const {
    return view(merge.begin + merge.left_size, merge.right_size);
  }
  [[nodiscard]] std::string_view joined(const Merge& merge) const {
    return view(merge.begin, merge.left_size + merge.right_size);
  }

 private:
  [[nodiscard]] std::string_view view(uint32_t begin, uint32_t size) const {
    return std::string_view(texts).substr(begin, size);
  }
};

// Ids must be below kMaxVocab and below the number of bytes in the file, so that a table over all ids
// costs no more than the file. Errors: kMalformed, kTooLarge.
Result<TokenizerFile> read_tokenizer_file(std::span<const std::byte> json);

// The file as text: `root` with the vocabulary and the merges in its "model". Precondition: there is one, an object.
std::string tokenizer_file_text(const TokenizerFile& file);

}  // namespace sutra::text
