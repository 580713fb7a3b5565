// What a Tokenizer holds. Built by load_tokenizer, read by Encoder and the Tokenizer's own functions.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/longest_match.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"
#include "text/tokenizer_file.h"
#include "text/vocabulary.h"

namespace sutra::text {

struct TokenizerData {
  static constexpr int32_t kNoToken = -1;
  // Of flags.
  static constexpr uint8_t kSpecial = 1;
  static constexpr uint8_t kAddedOnly = 2;  // not in the model's own vocabulary

  Vocabulary vocabulary;
  std::vector<uint8_t> flags;  // by id

  // RWKV World: where it is not empty, everything below is of no use.
  LongestMatch longest_match;

  // BPE
  MergeTable merges;
  std::array<int32_t, 256> byte_ids;  // kNoToken where the vocabulary has no token for the byte
  int32_t unknown_id = kNoToken;      // for such bytes; without it they are left out
  bool fuse_unknown = false;          // one unknown_id for several such bytes in a row
  bool ignore_merges = false;         // a word that is a token is that token, whatever the merges say

  // Before it
  AddedTokenSet added;             // found in the text as it is
  AddedTokenSet added_normalized;  // found after the normalizer
  bool has_nfc = false;
  WordRule word_rule = WordRule::kWhole;
  bool add_prefix_space = false;

  // After it
  bool trim_offsets = false;
  bool trim_keeps_first_space = false;
  std::vector<int32_t> prefix;  // special tokens around the text
  std::vector<int32_t> suffix;
};

}  // namespace sutra::text
