// Any bytes as a text, through each rule that cuts words. Promises: no crash; offsets lie in the text and cover every
// byte of it; decoding gives the text back (repaired, and normalized where the tokenizer does that); a stream of ids
// decodes to the same.
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.h"
#include "text/byte_alphabet.h"
#include "text/nfc.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using namespace sutra::text;

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|)"
    R"(\\s+(?!\\S)|\\s+)";
constexpr const char* kO200k =
    R"([^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)";

// All bytes, a few merges, and the pre-tokenizer and normalizer asked for.
Tokenizer make(const std::string& expression, bool nfc) {
  std::string vocab;
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    const std::string spelling = spell_bytes({&character, 1});
    const bool is_escaped = spelling == "\"" || spelling == "\\";
    vocab += "\"" + std::string(is_escaped ? "\\" : "") + spelling + "\":" + std::to_string(byte) + ",";
  }
  vocab += "\"aa\":256,\"aaaa\":257,\"th\":258,\"the\":259,\"\u0120the\":260,\"\u0120\u0120\":261";
  const std::string byte_level = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":)";
  const std::string pre_tokenizer =
      expression.empty() ? byte_level + "true}"
                         : R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":")" + expression +
                               R"("},"behavior":"Isolated","invert":false},)" + byte_level + "false}]}";
  const std::string json = R"({"added_tokens":[{"id":262,"content":"<|end|>","special":true},)"
                           R"({"id":263,"content":"  ","special":false,"normalized":true}],"normalizer":)" +
                           std::string(nfc ? R"({"type":"NFC"})" : "null") + R"(,"pre_tokenizer":)" + pre_tokenizer +
                           R"(,"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{)" + vocab +
                           "},\"merges\":[\"a a\",\"aa aa\",\"t h\",\"th e\",\"\u0120 the\",\"\u0120 \u0120\"]}}";
  auto tokenizer = Tokenizer::from_json(std::as_bytes(std::span(json)));
  FUZZ_CHECK(tokenizer.has_value());
  return *std::move(tokenizer);
}

std::string repaired(std::string_view bytes) {
  Utf8Repair repair;
  std::string out;
  repair.append(bytes, out);
  repair.finish(out);
  return out;
}

void check(const Tokenizer& tokenizer, std::string_view text, bool nfc) {
  const Encoding encoding = tokenizer.encode(text);
  FUZZ_CHECK(encoding.ids.size() == encoding.offsets.size());
  size_t covered = 0;
  for (const Offset& offset : encoding.offsets) {
    FUZZ_CHECK(offset.begin < offset.end && offset.end <= text.size());
    FUZZ_CHECK(nfc || offset.begin <= covered);
    covered = std::max(covered, offset.end);
  }
  FUZZ_CHECK(nfc || covered == text.size());
  const std::string decoded = tokenizer.decode(encoding.ids, false);
  const std::string expected = repaired(text);
  FUZZ_CHECK(nfc || decoded == expected);
  // Added tokens cut the text before it is normalized, so only the result's form is certain.
  const auto normalized = to_nfc(expected);
  FUZZ_CHECK(!nfc || expected.find("<|end|>") != std::string::npos ||
             decoded == (normalized ? normalized->text : expected));
  StreamDecoder stream(tokenizer, false);
  std::string joined;
  for (const int32_t id : encoding.ids) joined += stream.push(id);
  FUZZ_CHECK(joined + stream.flush() == decoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Tokenizer gpt2 = make("", false);
  static const Tokenizer gpt2_nfc = make("", true);
  static const Tokenizer llama3 = make(kLlama3, false);
  static const Tokenizer o200k = make(kO200k, false);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(gpt2, text, false);
  check(gpt2_nfc, text, true);
  check(llama3, text, false);
  check(o200k, text, false);
  return 0;
}
