// Against Hugging Face tokenizers 0.23.1: exact ids, tokens, offsets and decoded text.
#include "text/golden_support.h"
#include "text/stream_decoder.h"

namespace sutra::text {
namespace {

using nlohmann::json;

void check_encoding(const Tokenizer& tokenizer, const std::string& text, bool add_special, const json& expected) {
  const Encoding got = tokenizer.encode(text, add_special);
  CHECK(got.ids == expected["ids"].get<std::vector<int32_t>>());
  CHECK(pairs_of(got.offsets) == expected["offsets_bytes"].get<std::vector<std::vector<size_t>>>());
  CHECK(tokenizer.token_texts(got, text) == expected["tokens"].get<std::vector<std::string>>());
  CHECK(tokenizer.decode(got.ids, false) == expected["decoded"].get<std::string>());
  CHECK(tokenizer.decode(got.ids, true) == expected["decoded_skip_special"].get<std::string>());
}

std::string stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string out;
  for (const int32_t id : ids) {
    const std::string piece = decoder.push(id);
    CHECK(valid_utf8_prefix(piece) == piece.size());
    out += piece;
  }
  return out + decoder.flush();
}

void check_folder(const std::string& folder) {
  INFO(folder);
  const Tokenizer tokenizer = load_tokenizer_or_fail(folder + "/tokenizer.json");
  for (const json& one : read_json_lines(folder + "/cases.jsonl")) {
    INFO("case " << one["id"] << " " << one["tag"] << ": " << one["text"].dump());
    const auto text = one["text"].get<std::string>();
    check_encoding(tokenizer, text, false, one["plain"]);
    check_encoding(tokenizer, text, true, one["special"].is_null() ? one["plain"] : one["special"]);
  }
  for (const json& one : read_json_lines(folder + "/decode_cases.jsonl")) {
    INFO("decode " << one["ids"].dump());
    const auto ids = one["ids"].get<std::vector<int32_t>>();
    CHECK(tokenizer.decode(ids, false) == one["decoded"].get<std::string>());
    CHECK(tokenizer.decode(ids, true) == one["decoded_skip_special"].get<std::string>());
    CHECK(stream(tokenizer, ids, false) == one["decoded"].get<std::string>());
    CHECK(stream(tokenizer, ids, true) == one["decoded_skip_special"].get<std::string>());
  }
  for (const json& one : read_json_lines(folder + "/invalid_utf8.jsonl")) {
    INFO("bytes " << one["bytes_hex"]);
    const Encoding got = tokenizer.encode(from_hex(one["bytes_hex"]), false);
    CHECK(got.ids == one["ids"].get<std::vector<int32_t>>());
  }
}

TEST_CASE("the tokenizer agrees with the reference on GPT-2's pipeline") {
  check_folder(test::golden_path("text/bpe-gpt2"));
}

TEST_CASE("the tokenizer agrees with the reference on Llama 3's pipeline: template, ignore_merges") {
  check_folder(test::golden_path("text/bpe-llama3"));
}

TEST_CASE("the tokenizer agrees with the reference on Qwen 2's pipeline: NFC, single digits") {
  check_folder(test::golden_path("text/bpe-qwen2"));
}

TEST_CASE("the tokenizer agrees with the reference on o200k's pipeline: words that end before capitals") {
  check_folder(test::golden_path("text/bpe-o200k"));
}

TEST_CASE("the tokenizer agrees with the reference on every shared byte-level golden") {
  for (const char* const kind : {"bpe-gpt2", "bpe-neox20b", "bpe-llama3", "bpe-qwen2", "bpe-o200k"}) {
    if (const auto folder = test::shared_path(std::string("golden/tokenizers/") + kind)) check_folder(*folder);
  }
}

TEST_CASE("the tokenizer agrees with the shared GPT-NeoX 20B conformance cases") {
  const auto folder = test::shared_path("conformance/tokenizers/gpt_neox_20b");
  if (!folder) return;
  const Tokenizer tokenizer = load_tokenizer_or_fail(*folder + "/20B_tokenizer.json");
  CHECK(tokenizer.vocab_size() == 50277);
  for (const json& one : read_json_lines(*folder + "/cases.jsonl")) {
    INFO(one["kind"] << ": " << one["text"].dump());
    const auto text = one["text"].get<std::string>();
    const Encoding got = tokenizer.encode(text, false);
    CHECK(got.ids == one["ids"].get<std::vector<int32_t>>());
    CHECK(pairs_of(got.offsets) == one["offsets"].get<std::vector<std::vector<size_t>>>());
    CHECK(tokenizer.encode(text, true).ids == one["ids_special"].get<std::vector<int32_t>>());
    CHECK(tokenizer.decode(got.ids, false) == one["decoded"].get<std::string>());
  }
}

}  // namespace
}  // namespace sutra::text
