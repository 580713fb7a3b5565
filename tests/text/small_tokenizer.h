// A tokenizer.json of a few hundred entries, made in the test so that each part can be changed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "text/byte_alphabet.h"

namespace sutra::text {

// Ids 0 to 255 are the bytes; 256 "he", 257 "ll", 258 "hell", 259 "hello", 260 "Ġhello"; 261 <|end|>.
inline nlohmann::json small_tokenizer() {
  nlohmann::json vocab = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    vocab[spell_bytes({&character, 1})] = byte;
  }
  int next = 256;
  for (const char* const token : {"he", "ll", "hell", "hello", "\u0120hello"}) vocab[token] = next++;
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens",
       {{{"id", 261},
         {"content", "<|end|>"},
         {"single_word", false},
         {"lstrip", false},
         {"rstrip", false},
         {"normalized", false},
         {"special", true}}}},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"vocab", vocab},
        {"merges", {"h e", "l l", "he ll", "hell o", "\u0120 hello"}}}},
  };
}

}  // namespace sutra::text
