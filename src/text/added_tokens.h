// Tokens that are found in the text as they are, before any rule cuts it: special tokens and others that
// were added to a vocabulary after its training.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace sutra::text {

// Bounds the time of a search: bytes of the text times this.
inline constexpr size_t kMaxAddedTokenBytes = 1024;

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // looked for in the normalized text
  bool special = false;
};

// A part of a text: one added token, or the text between two (id = kNoToken).
struct Part {
  static constexpr int32_t kNoToken = -1;
  Offset bytes;
  int32_t id;
};

class AddedTokenSet {
 public:
  // Precondition: contents are not empty and at most kMaxAddedTokenBytes long.
  explicit AddedTokenSet(std::vector<AddedToken> tokens = {});

  // Cuts the text at the tokens in it: leftmost first, the longest of several at one place. Appends to
  // `out`; nothing for an empty text. Precondition: well-formed UTF-8.
  void split(std::string_view text, std::vector<Part>& out) const;

 private:
  // nullptr: no token starts at `at`.
  [[nodiscard]] const AddedToken* longest_at(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;  // by content
  std::array<bool, 256> starts_{};  // bytes that a token starts with
};

}  // namespace sutra::text
