#include "text/tokenizer.h"

#include "text/golden_support.h"
#include "text/small_tokenizer.h"
#include "text/stream_decoder.h"

namespace sutra::text {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

Tokenizer make(const json& file) {
  auto tokenizer = parse_tokenizer(file.dump());
  INFO((tokenizer ? "" : tokenizer.error().message));
  REQUIRE(tokenizer.has_value());
  return *std::move(tokenizer);
}

json added(int id, const std::string& content) {
  return {{"id", id}, {"content", content}, {"special", false}, {"normalized", false}};
}

TEST_CASE("a word is merged in the order of the merges") {
  const Tokenizer tokenizer = make(small_tokenizer());
  CHECK(tokenizer.vocab_size() == 262);
  CHECK(tokenizer.encode("hello hello").ids == Ids{259, 260});
  CHECK(tokenizer.encode("help").ids == Ids{256, 'l', 'p'});
  CHECK(tokenizer.encode("").ids.empty());
  CHECK(tokenizer.token_text(260) == "\u0120hello");
  CHECK(tokenizer.token_bytes(260) == " hello");
  CHECK(tokenizer.token_to_id("\u0120hello") == 260);
  CHECK(!tokenizer.token_to_id("world").has_value());
}

TEST_CASE("merges may be written as pairs instead of lines") {
  json file = small_tokenizer();
  file["model"]["merges"] = json::parse(R"([["h","e"],["l","l"],["he","ll"],["hell","o"],["\u0120","hello"]])");
  CHECK(make(file).encode("hello hello").ids == Ids{259, 260});
}

TEST_CASE("a file without model.type but with merges is a BPE; the version line among merges is skipped") {
  json file = small_tokenizer();
  file["model"].erase("type");
  file["model"]["merges"].insert(file["model"]["merges"].begin(), "#version: 0.2");
  CHECK(make(file).encode("hello hello").ids == Ids{259, 260});
}

TEST_CASE("ids that have no token decode to nothing") {
  const Tokenizer tokenizer = make(small_tokenizer());
  CHECK(tokenizer.decode(Ids{259, -1, 262, 1 << 30, 259}) == "hellohello");
  CHECK(tokenizer.token_bytes(-1).empty());
  CHECK(tokenizer.token_text(262).empty());
  CHECK(!tokenizer.is_special(262));
}

TEST_CASE("special tokens are found in the text, left out of decoded text on request, and never cut") {
  const Tokenizer tokenizer = make(small_tokenizer());
  const Encoding got = tokenizer.encode("hello<|end|>hello<|en");
  CHECK(got.ids == Ids{259, 261, 259, '<', '|', 'e', 'n'});
  CHECK(got.offsets[1] == Offset{5, 12});
  CHECK(tokenizer.is_special(261));
  CHECK(tokenizer.decode(Ids{259, 261}) == "hello");
  CHECK(tokenizer.decode(Ids{259, 261}, false) == "hello<|end|>");
}

TEST_CASE("added tokens: the longest at a place, strip, whole words") {
  json file = small_tokenizer();
  file["added_tokens"].push_back(added(262, "<|"));
  file["added_tokens"].push_back(added(263, "[L]"));
  file["added_tokens"].push_back(added(264, "[R]"));
  file["added_tokens"].push_back(added(265, "cat"));
  file["added_tokens"][2]["lstrip"] = true;
  file["added_tokens"][3]["rstrip"] = true;
  file["added_tokens"][4]["single_word"] = true;
  const Tokenizer tokenizer = make(file);
  CHECK(tokenizer.encode("<|end|><|en").ids == Ids{261, 262, 'e', 'n'});
  const Encoding left = tokenizer.encode("a \u3000[L] b");
  CHECK(left.ids == Ids{'a', 263, ' ', 'b'});
  CHECK(left.offsets[1] == Offset{1, 8});
  const Encoding right = tokenizer.encode("a [R] \t[L]b");
  CHECK(right.ids == Ids{'a', ' ', 264, 263, 'b'});
  CHECK(right.offsets[2] == Offset{2, 7});
  CHECK(right.offsets[3] == Offset{7, 10});
  CHECK(tokenizer.encode("cat,cat").ids == Ids{265, ',', 265});
  CHECK(tokenizer.encode("cats").ids == Ids{'c', 'a', 't', 's'});
  CHECK(tokenizer.encode("\u00e9cat").ids == Ids{0xc3, 0xa9, 'c', 'a', 't'});
}

TEST_CASE("an added token with normalized is found after NFC") {
  json file = small_tokenizer();
  file["normalizer"] = {{"type", "NFC"}};
  file["added_tokens"].push_back(added(262, "\u00e9!"));
  file["added_tokens"][1]["normalized"] = true;
  const Encoding got = make(file).encode("ae\u0301!b");
  CHECK(got.ids == Ids{'a', 262, 'b'});
  CHECK(got.offsets[1] == Offset{1, 5});
}

TEST_CASE("add_prefix_space puts a space before each stretch of text that has none") {
  json file = small_tokenizer();
  file["pre_tokenizer"]["add_prefix_space"] = true;
  const Tokenizer tokenizer = make(file);
  const Encoding got = tokenizer.encode("hello<|end|>hello");
  CHECK(got.ids == Ids{260, 261, 260});
  CHECK(got.offsets[0] == Offset{0, 5});
  CHECK(got.offsets[2] == Offset{12, 17});
  CHECK(tokenizer.encode(" hello").ids == Ids{260});
}

TEST_CASE("trim_offsets leaves white space out of offsets") {
  json file = small_tokenizer();
  file["post_processor"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  const Encoding got = make(file).encode("hello hello  ");
  CHECK(got.offsets[1] == Offset{6, 11});
  CHECK(got.offsets[2] == Offset{12, 12});
}

TEST_CASE("a template's special tokens stand around the text when asked for") {
  json file = small_tokenizer();
  file["added_tokens"].push_back(added(262, "<s>"));
  file["post_processor"] = json::parse(R"({"type": "TemplateProcessing", "single": [
      {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
      {"SpecialToken": {"id": "<|end|>", "type_id": 0}}], "pair": [], "special_tokens": {
      "<s>": {"id": "<s>", "ids": [262], "tokens": ["<s>"]},
      "<|end|>": {"id": "<|end|>", "ids": [261], "tokens": ["<|end|>"]}}})");
  const Tokenizer tokenizer = make(file);
  CHECK(tokenizer.encode("hello").ids == Ids{262, 259, 261});
  CHECK(tokenizer.encode("hello", false).ids == Ids{259});
  CHECK(tokenizer.encode("").ids == Ids{262, 261});
  CHECK(tokenizer.encode("hello").offsets[2] == Offset{0, 0});
}

TEST_CASE("ignore_merges takes a word that is a token, but not one that was only added") {
  json file = small_tokenizer();
  file["model"]["vocab"]["xyz"] = 262;
  file["added_tokens"].push_back(added(263, "\u0120abc"));
  CHECK(make(file).encode("xyz").ids == Ids{'x', 'y', 'z'});
  file["model"]["ignore_merges"] = true;
  const Tokenizer tokenizer = make(file);
  CHECK(tokenizer.encode("xyz").ids == Ids{262});
  CHECK(tokenizer.encode(" abc").ids == Ids{' ', 'a', 'b', 'c'});
}

TEST_CASE("bytes without a token are left out, or become unk_token, one for several with fuse_unk") {
  json file = small_tokenizer();
  file["model"]["vocab"].erase("x");
  CHECK(make(file).encode("axxb").ids == Ids{'a', 'b'});
  file["model"]["vocab"]["?"] = 63;
  file["model"]["unk_token"] = "?";
  CHECK(make(file).encode("axxb").ids == Ids{'a', '?', '?', 'b'});
  file["model"]["fuse_unk"] = true;
  const Encoding got = make(file).encode("axxb");
  CHECK(got.ids == Ids{'a', '?', 'b'});
  CHECK(got.offsets[1] == Offset{1, 3});
}

TEST_CASE("offsets of ill-formed bytes are those of the bytes") {
  const Encoding got = make(small_tokenizer()).encode("a\xff\xe2\x82z");
  // U+FFFD is three bytes, each a token here.
  CHECK(got.ids == Ids{'a', 0xef, 0xbf, 0xbd, 0xef, 0xbf, 0xbd, 'z'});
  CHECK(pairs_of(got.offsets) ==
        std::vector<std::vector<size_t>>{{0, 1}, {1, 2}, {1, 2}, {1, 2}, {2, 4}, {2, 4}, {2, 4}, {4, 5}});
}

TEST_CASE("long runs and long random text are encoded in reasonable time") {
  const Tokenizer tokenizer = load_tokenizer_or_fail(test::golden_path("text/bpe-gpt2/tokenizer.json"));
  for (const char* const unit : {"a", " ", "\n", "=", "\u0301", "ab", "\xff"}) {
    std::string text;
    while (text.size() < 300'000) text += unit;
    const Encoding got = tokenizer.encode(text);
    CHECK(got.offsets.back().end == text.size());
    if (unit[0] != '\xff') CHECK((tokenizer.decode(got.ids) == text));
  }
}

TEST_CASE("a stream decoder holds back half characters and a copy of it goes on alone") {
  const Tokenizer tokenizer = make(small_tokenizer());
  StreamDecoder decoder(tokenizer);
  CHECK(decoder.push(259) == "hello");
  CHECK(decoder.push(0xe2).empty());
  CHECK(decoder.push(0x82).empty());
  StreamDecoder copy = decoder;
  CHECK(decoder.push(0xac) == "\u20ac");
  CHECK(copy.push('a') ==
        "\ufffd"
        "a");
  CHECK(copy.flush().empty());
  CHECK(decoder.push(0xc3).empty());
  CHECK(decoder.flush() == "\ufffd");
  CHECK(decoder.push('b') == "b");
  CHECK(decoder.push(261).empty());
}

}  // namespace
}  // namespace sutra::text
