// Any bytes as a tokenizer file of either kind. Promises: no crash; an error has a message; a tokenizer that loads encodes and decodes
// any text to ids of its vocabulary and to valid UTF-8.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sutra;
  const auto tokenizer = text::Tokenizer::from_file(std::as_bytes(std::span(data, size)));
  if (!tokenizer) {
    FUZZ_CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  for (const std::string_view sample : {"", "Hello  world 123's\n", "<|end|> e\xcc\x81 \xe4\xb8\xad\xff\xf0\x9f"}) {
    const text::Encoding encoding = tokenizer->encode(sample);
    FUZZ_CHECK(encoding.ids.size() == encoding.offsets.size());
    for (size_t i = 0; i < encoding.ids.size(); ++i) {
      FUZZ_CHECK(encoding.ids[i] >= 0 && static_cast<size_t>(encoding.ids[i]) < tokenizer->vocab_size());
      FUZZ_CHECK(encoding.offsets[i].begin <= encoding.offsets[i].end && encoding.offsets[i].end <= sample.size());
    }
    const std::string decoded = tokenizer->decode(encoding.ids, false);
    FUZZ_CHECK(text::valid_utf8_prefix(decoded) == decoded.size());
  }
  return 0;
}
