// RWKV's World vocabulary: the form of its lines, and the published one against its reference.
#include "text/world_vocabulary.h"

#include "text/golden_support.h"
#include "text/stream_decoder.h"

namespace sutra::text {
namespace {

using nlohmann::json;

Result<Tokenizer> parse_world(std::string_view file) {
  return Tokenizer::from_world_vocabulary(std::as_bytes(std::span(file)));
}

ErrorCode code_of(std::string_view file) {
  const auto tokenizer = parse_world(file);
  REQUIRE_FALSE(tokenizer.has_value());
  return tokenizer.error().code;
}

}  // namespace

TEST_CASE("the World vocabulary reads Python's literals of text and of bytes") {
  const auto tokenizer = parse_world(
      "1 'a' 1\n2 \"it's\" 4\n3 '\\n' 1\n4 '\\x85' 2\n5 b'\\x85' 1\n6 '\\u200b' 3\n7 'é\\'' 3\r\n9 '\\U0001f600\\\\' "
      "5\n");
  REQUIRE(tokenizer.has_value());
  CHECK(tokenizer->vocab_size() == 10);
  CHECK(tokenizer->token_bytes(2) == "it's");
  CHECK(tokenizer->token_bytes(3) == "\n");
  CHECK(tokenizer->token_bytes(4) == "\xc2\x85");
  CHECK(tokenizer->token_bytes(5) == "\x85");
  CHECK(tokenizer->token_bytes(6) == "\xe2\x80\x8b");
  CHECK(tokenizer->token_bytes(7) == "\xc3\xa9'");
  CHECK(tokenizer->token_bytes(8).empty());
  CHECK(tokenizer->token_bytes(9) == "\xf0\x9f\x98\x80\\");
  CHECK_FALSE(tokenizer->is_special(1));
}

TEST_CASE("the World vocabulary takes the longest token and leaves out bytes that begin none") {
  const auto tokenizer = parse_world("1 'a' 1\n2 'ab' 2\n3 'abcd' 4\n4 'c' 1\n");
  REQUIRE(tokenizer.has_value());
  const Encoding encoding = tokenizer->encode("abcabcdxab");
  CHECK(encoding.ids == std::vector<int32_t>{2, 4, 3, 2});
  CHECK(encoding.offsets == std::vector<Offset>{{0, 2}, {2, 3}, {3, 7}, {8, 10}});
  CHECK(tokenizer->encode("").ids.empty());
}

TEST_CASE("a World vocabulary with a broken line is refused") {
  for (const std::string_view file : {"",
                                      "\n",
                                      "x",
                                      "1",
                                      "1 a 1",
                                      "1 'a 1",
                                      "1 'a'",
                                      "1 'a' 2",
                                      "1 'a' 1 ",
                                      "1  'a' 1",
                                      "-1 'a' 1",
                                      "1 '' 0",
                                      "1 '\\q' 2",
                                      "1 '\\x4' 1",
                                      "1 '\\ud800' 3",
                                      "1 b'\\u0041' 1",
                                      "1 'a' 1\n1 'b' 1",
                                      "1 'a' 1\n2 'a' 1",
                                      "1 'a' 1\n2 b'a' 1",
                                      "1 'a' 99999999999999999999999"}) {
    CAPTURE(file);
    CHECK(code_of(file) == ErrorCode::kMalformed);
  }
  CHECK(code_of("2097152 'a' 1") == ErrorCode::kTooLarge);
  CHECK(code_of("14 'a' 1\n") == ErrorCode::kTooLarge);  // an id beyond the file's own size
}

TEST_CASE("a tokenizer file is told by its first bytes") {
  const auto from = [](std::string_view file) { return Tokenizer::from_file(std::as_bytes(std::span(file))); };
  CHECK(from("1 'a' 1\n").has_value());
  CHECK_FALSE(from("{}").has_value());
  CHECK_FALSE(from("12").has_value());
}

TEST_CASE("the published World vocabulary agrees with its reference on every text, byte string and sequence of ids") {
  const auto folder = test::shared_path("golden/tokenizers/rwkv-world");
  if (!folder) SKIP("the shared golden data is not there");
  const auto loaded = Tokenizer::from_file(test::read_bytes(*folder + "/rwkv_vocab_v20230424.txt"));
  REQUIRE(loaded.has_value());
  const Tokenizer& tokenizer = *loaded;
  CHECK(tokenizer.vocab_size() == 65530);
  for (const json& one : read_json_lines(*folder + "/cases.jsonl")) {
    INFO("case " << one["id"] << " " << one["tag"]);
    const Encoding got = tokenizer.encode(one["text"].get<std::string>());
    CHECK(got.ids == one["ids"].get<std::vector<int32_t>>());
    CHECK(pairs_of(got.offsets) == one["offsets_bytes"].get<std::vector<std::vector<size_t>>>());
    CHECK(tokenizer.decode(got.ids) == one["decoded"].get<std::string>());
    for (size_t i = 0; i < got.ids.size(); ++i) {
      CHECK(tokenizer.token_bytes(got.ids[i]) == from_hex(one["token_bytes_hex"][i]));
    }
  }
  for (const json& one : read_json_lines(*folder + "/invalid_utf8.jsonl")) {
    INFO("bytes " << one["bytes_hex"]);
    const Encoding got = tokenizer.encode(from_hex(one["bytes_hex"]));
    CHECK(got.ids == one["ids"].get<std::vector<int32_t>>());
    CHECK(tokenizer.decode(got.ids) == one["decoded_lossy"].get<std::string>());
  }
  for (const json& one : read_json_lines(*folder + "/decode_cases.jsonl")) {
    INFO("decode " << one["ids"].dump());
    const auto ids = one["ids"].get<std::vector<int32_t>>();
    CHECK(tokenizer.decode(ids) == one["decoded_lossy"].get<std::string>());
    StreamDecoder decoder(tokenizer);
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.push(id);
    CHECK(streamed + decoder.flush() == one["decoded_lossy"].get<std::string>());
  }
}

}  // namespace sutra::text
