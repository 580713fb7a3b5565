#include "text/stream_decoder.h"

#include <utility>

namespace sutra::text {

StreamDecoder::StreamDecoder(Tokenizer tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

std::string StreamDecoder::push(int32_t id) {
  std::string out;
  if (!skip_special_ || !tokenizer_.is_special(id)) repair_.append(tokenizer_.token_bytes(id), out);
  return out;
}

std::string StreamDecoder::flush() {
  std::string out;
  repair_.finish(out);
  return out;
}

}  // namespace sutra::text
