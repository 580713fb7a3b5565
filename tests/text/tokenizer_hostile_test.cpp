// Broken and hostile tokenizer files: always a typed error, never a crash.
#include <filesystem>

#include "support/random.h"
#include "text/golden_support.h"
#include "text/small_tokenizer.h"

namespace sutra::text {
namespace {

using nlohmann::json;

void check_refused(const std::string& file, ErrorCode code, const std::string& mention) {
  const auto got = parse_tokenizer(file);
  REQUIRE(!got.has_value());
  INFO(got.error().message);
  CHECK(error_code_name(got.error().code) == error_code_name(code));
  CHECK(got.error().message.find(mention) != std::string::npos);
}
void check_refused(const json& file, ErrorCode code, const std::string& mention) {
  check_refused(file.dump(), code, mention);
}

TEST_CASE("what is no JSON object is refused") {
  check_refused(std::string(), ErrorCode::kMalformed, "");
  check_refused(std::string("\0\0\0", 3), ErrorCode::kMalformed, "");
  check_refused(std::string("not JSON"), ErrorCode::kMalformed, "");
  check_refused(std::string("\xff\xfe{}"), ErrorCode::kMalformed, "");
  check_refused(std::string("[]"), ErrorCode::kMalformed, "object");
  check_refused(std::string("null"), ErrorCode::kMalformed, "null");
  check_refused(std::string("{}"), ErrorCode::kMalformed, "model");
}

TEST_CASE("a million levels of nesting are refused") {
  for (const std::string open : {"[", "{\"a\":", "{\"model\":{\"vocab\":[", "{\"model\":{\"merges\":["}) {
    std::string file;
    for (int i = 0; i < 1'000'000; ++i) file += open;
    CHECK(!parse_tokenizer(file).has_value());
    std::string inside = open;
    for (int i = 0; i < 1'000'000; ++i) inside += '[';
    CHECK(!parse_tokenizer(inside).has_value());
  }
}

TEST_CASE("what is not supported is named") {
  const auto with = [](const std::string& pointer, const json& value) {
    json file = small_tokenizer();
    file[json::json_pointer(pointer)] = value;
    return file;
  };
  constexpr auto kCode = ErrorCode::kUnsupported;
  check_refused(with("/normalizer", {{"type", "Precompiled"}}), kCode, "normalizer 'Precompiled'");
  check_refused(
      with("/normalizer", json::parse(R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]})")),
      kCode, "normalizer 'Lowercase'");
  check_refused(with("/pre_tokenizer", {{"type", "Metaspace"}}), kCode, "pre_tokenizer 'Metaspace'");
  check_refused(with("/pre_tokenizer", nullptr), kCode, "ByteLevel");
  check_refused(with("/pre_tokenizer", json::parse(R"({"type":"Sequence","pretokenizers":[{"type":"Split",
                     "pattern":{"Regex":"x+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel"}]})")),
                kCode, "x+");
  check_refused(with("/post_processor", {{"type", "BertProcessing"}}), kCode, "post_processor 'BertProcessing'");
  check_refused(with("/decoder", {{"type", "WordPiece"}}), kCode, "decoder 'WordPiece'");
  check_refused(with("/decoder", nullptr), kCode, "decoder");
  check_refused(with("/model/type", "Unigram"), kCode, "model 'Unigram'");
  check_refused(with("/model/dropout", 0.1), kCode, "dropout");
  check_refused(with("/model/end_of_word_suffix", "</w>"), kCode, "end_of_word_suffix");
  json unigram = small_tokenizer();
  unigram["model"] = json::parse(R"({"unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.5]]})");
  check_refused(unigram, kCode, "model 'Unigram'");
  json fallback = with("/model/byte_fallback", true);
  fallback["model"]["vocab"].erase("x");
  check_refused(fallback, kCode, "byte_fallback");
}

TEST_CASE("merges outside the vocabulary, ids twice, ids below 0 or without end are refused") {
  const auto with_merge = [](const json& merge) {
    json file = small_tokenizer();
    file["model"]["merges"].push_back(merge);
    return file;
  };
  check_refused(with_merge("qq q"), ErrorCode::kMalformed, "'qq'");
  check_refused(with_merge("q qq"), ErrorCode::kMalformed, "'qq'");
  check_refused(with_merge("q q"), ErrorCode::kMalformed, "'qq'");
  check_refused(with_merge("q"), ErrorCode::kMalformed, "merge 5");
  check_refused(with_merge("q q q"), ErrorCode::kMalformed, "merge 5");
  check_refused(with_merge(" q"), ErrorCode::kMalformed, "merge 5");
  check_refused(with_merge(json::array({"q"})), ErrorCode::kMalformed, "merge 5");
  check_refused(with_merge(json::array({"q", "q", "q"})), ErrorCode::kMalformed, "merge 5");
  check_refused(with_merge(json::array({"q", 7})), ErrorCode::kMalformed, "merge 5");
  check_refused(with_merge(json::array({"q", json::array()})), ErrorCode::kMalformed, "");
  check_refused(with_merge(7), ErrorCode::kMalformed, "merge 5");
  check_refused(with_merge(json::object()), ErrorCode::kMalformed, "");

  const auto with_id = [](const json& id) {
    json file = small_tokenizer();
    file["model"]["vocab"]["new"] = id;
    return file;
  };
  check_refused(with_id(7), ErrorCode::kMalformed, "id 7");
  check_refused(with_id(-1), ErrorCode::kMalformed, "'new'");
  check_refused(with_id(1.5), ErrorCode::kMalformed, "'new'");
  check_refused(with_id("1"), ErrorCode::kMalformed, "'new'");
  check_refused(with_id(nullptr), ErrorCode::kMalformed, "'new'");
  check_refused(with_id(json::array()), ErrorCode::kMalformed, "");
  check_refused(with_id(kMaxVocab), ErrorCode::kTooLarge, "'new'");
  check_refused(with_id(2147483647), ErrorCode::kTooLarge, "'new'");
  check_refused(with_id(4294967296), ErrorCode::kTooLarge, "'new'");
  check_refused(with_id(18446744073709551615u), ErrorCode::kTooLarge, "'new'");
  // Few bytes must not ask for a table of millions.
  check_refused(with_id(1'000'000), ErrorCode::kTooLarge, "1000000");

  json twice = small_tokenizer();
  std::string text = twice.dump();
  text.insert(text.find("\"vocab\":{") + 9, "\"he\":300,");
  check_refused(text, ErrorCode::kMalformed, "'he'");
  text = twice.dump();
  text.insert(text.find("\"vocab\":{"), "\"vocab\":{\"a\":1},");
  check_refused(text, ErrorCode::kMalformed, "twice");
  text = twice.dump();
  text.insert(1, "\"decoder\":null,");
  check_refused(text, ErrorCode::kMalformed, "'decoder' twice");
}

TEST_CASE("added tokens and templates that contradict the vocabulary are refused") {
  const auto with_added = [](const json& token) {
    json file = small_tokenizer();
    file["added_tokens"].push_back(token);
    return file;
  };
  check_refused(with_added({{"id", 7}, {"content", "<x>"}}), ErrorCode::kMalformed, "'<x>'");
  check_refused(with_added({{"id", 261}, {"content", "<x>"}}), ErrorCode::kMalformed, "'<x>'");
  check_refused(with_added({{"id", 262}, {"content", "<|end|>"}}), ErrorCode::kMalformed, "'<|end|>'");
  check_refused(with_added({{"id", -1}, {"content", "<x>"}}), ErrorCode::kMalformed, "'id'");
  check_refused(with_added({{"id", 2147483647}, {"content", "<x>"}}), ErrorCode::kTooLarge, "'id'");
  check_refused(with_added({{"id", 262}, {"content", ""}}), ErrorCode::kMalformed, "262");
  check_refused(with_added({{"id", 262}}), ErrorCode::kMalformed, "'content'");
  check_refused(with_added({{"id", 262}, {"content", 7}}), ErrorCode::kMalformed, "'content'");
  check_refused(with_added({{"id", 262}, {"content", "<x>"}, {"lstrip", 1}}), ErrorCode::kMalformed, "'lstrip'");
  check_refused(with_added({{"id", 262}, {"content", std::string(5000, 'x')}}), ErrorCode::kTooLarge, "5000");
  check_refused(with_added("<x>"), ErrorCode::kMalformed, "");
  json many = small_tokenizer();
  many["added_tokens"] = json::array();
  for (int i = 0; i < 300'000; ++i) many["added_tokens"].push_back(0);
  check_refused(many, ErrorCode::kTooLarge, "");

  json file = small_tokenizer();
  file["post_processor"] = json::parse(R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},
      {"SpecialToken":{"id":"<s>"}}],"special_tokens":{"<s>":{"ids":[9999]}}})");
  check_refused(file, ErrorCode::kMalformed, "'<s>'");
  file["post_processor"]["special_tokens"] = json::object();
  check_refused(file, ErrorCode::kMalformed, "'<s>'");
  file["post_processor"]["single"] = json::array();
  check_refused(file, ErrorCode::kMalformed, "sequence 'A'");
}

// Every value of the file in turn replaced by one of each other type.
TEST_CASE("a wrong type anywhere is an error or does not matter, and never a crash") {
  json file = small_tokenizer();
  file["post_processor"] = json::parse(R"({"type":"Sequence","processors":[{"type":"ByteLevel","trim_offsets":true},
      {"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[1]}}}]})");
  const json flat = file.flatten();
  size_t n_refused = 0;
  for (const auto& [pointer, unused] : flat.items()) {
    std::vector<json::json_pointer> places;
    for (json::json_pointer at(pointer); !at.empty(); at.pop_back()) places.push_back(at);
    for (const auto& place : places) {
      if (place.to_string().starts_with("/model/vocab/") && place.to_string().size() > 15) continue;  // 256 alike
      for (const json& value :
           {json(nullptr), json(true), json(-1), json(1e300), json("x"), json::array({1}), json::object()}) {
        json changed = file;
        changed[place] = value;
        const auto got = parse_tokenizer(changed.dump());
        if (got) continue;
        ++n_refused;
        CHECK(!got.error().message.empty());
      }
    }
  }
  CHECK(n_refused > 100);
}

TEST_CASE("every prefix of a tokenizer file is refused, but for the whole one") {
  const std::string file = small_tokenizer().dump();
  REQUIRE(parse_tokenizer(file).has_value());
  for (size_t size = 0; size < file.size(); ++size) {
    if (parse_tokenizer(std::string_view(file).substr(0, size)).has_value()) FAIL("prefix of " << size << " bytes");
  }
}

TEST_CASE("a tokenizer file with changed bytes gives an error or a tokenizer that works") {
  const std::string file = small_tokenizer().dump();
  const uint64_t seed = 11;
  CAPTURE(seed);
  test::Random random(seed);
  for (int round = 0; round < 4000; ++round) {
    std::string changed = file;
    for (int64_t n = random.integer(1, 3); n > 0; --n) {
      auto& byte = changed[static_cast<size_t>(random.integer(0, static_cast<int64_t>(file.size()) - 1))];
      constexpr std::string_view kSyntax = "{}[]\",:0-9ntue\\";
      const auto last = static_cast<int64_t>(kSyntax.size()) - 1;
      byte = random.integer(0, 1) == 0 ? static_cast<char>(random.integer(0, 255))
                                       : kSyntax[static_cast<size_t>(random.integer(0, last))];
    }
    const auto got = parse_tokenizer(changed);
    if (!got) {
      CHECK(!got.error().message.empty());
      continue;
    }
    const Encoding encoding = got->encode("hello <|end|> \u00e9\xff");
    for (const int32_t id : encoding.ids) CHECK((id >= 0 && static_cast<size_t>(id) < got->vocab_size()));
    static_cast<void>(got->decode(encoding.ids));
  }
}

TEST_CASE("no file of the shared JSON test suite is taken for a tokenizer") {
  for (const char* const folder : {"test_parsing", "test_transform"}) {
    const auto path = test::shared_path(std::string("conformance/json_test_suite/") + folder);
    if (!path) continue;
    for (const auto& entry : std::filesystem::directory_iterator(*path)) {
      INFO(entry.path().string());
      const auto got = Tokenizer::from_json(test::read_bytes(entry.path().string()));
      REQUIRE(!got.has_value());
      CHECK(!got.error().message.empty());
    }
  }
}

TEST_CASE("tokenizers of other kinds in the shared goldens are refused by name") {
  for (const auto& [kind, part] :
       {std::pair("bpe-llama2", "normalizer 'Prepend'"), std::pair("unigram-nfkc", "'Unigram'"),
        std::pair("wordpiece-uncased", "'WordPiece'")}) {
    const auto path = test::shared_path(std::string("golden/tokenizers/") + kind + "/tokenizer.json");
    if (path) check_refused(test::read_text(*path), ErrorCode::kUnsupported, part);
  }
}

}  // namespace
}  // namespace sutra::text
