// The longest token at each place of a text, from left to right: the model of RWKV's World vocabulary.
// Source: BlinkDL, RWKV-LM, TRIE_TOKENIZER.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace sutra::text {

// A trie over bytes, as tables: a node's children lie next to each other, in the order of their bytes.
class LongestMatch {
 public:
  struct Token {
    std::string_view bytes;  // not empty
    int32_t id;
  };
  LongestMatch() = default;
  // `tokens` in ascending order of their bytes, each once. Takes up to 24 bytes of memory for each of theirs.
  explicit LongestMatch(std::span<const Token> tokens);

  [[nodiscard]] bool empty() const { return nodes_.empty(); }
  // The ids of any bytes, with the bytes that each stands for. Bytes that begin no token are left out.
  // Time O(n · longest token).
  [[nodiscard]] Encoding encode(std::string_view bytes) const;

 private:
  struct Node {
    uint32_t first_child = 0;
    uint16_t n_children = 0;
    uint8_t byte = 0;  // that leads here
    int32_t id = -1;   // of the token that ends here
  };
  [[nodiscard]] const Node* child(const Node& node, uint8_t byte) const;

  std::vector<Node> nodes_;  // the root first
};

}  // namespace sutra::text
