// Token ids to text, one id at a time: what a page shows while a model writes.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"
#include "text/utf8.h"

namespace sutra::text {

// The pieces, joined, equal Tokenizer::decode of the same ids. A value: a copy continues on its own.
class StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = true);

  // The text that is certain after this id: complete characters only, so it may be empty.
  [[nodiscard]] std::string push(int32_t id);
  // The rest: U+FFFD if the bytes so far end within a character. The decoder is as new afterwards.
  [[nodiscard]] std::string flush();

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  Utf8Repair repair_;
};

}  // namespace sutra::text
