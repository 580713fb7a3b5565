#include <iostream>

#include "cli/command.h"

namespace sutra::cli {
namespace {

struct Options {
  std::string tokenizer;
  bool decode = false, no_special = false, offsets = false;
};

Result<Json> encode_line(const text::Tokenizer& tokenizer, const Json& line, const Options& options) {
  const auto text = line.find("text");
  if (text == line.end() || !text->is_string()) return fail(ErrorCode::kMalformed, "a line must be {\"text\": \"…\"}");
  const auto& string = text->get_ref<const std::string&>();
  const text::Encoding encoding = tokenizer.encode(string, !options.no_special);
  Json result = {{"ids", encoding.ids}, {"tokens", tokenizer.token_texts(encoding, string)}};
  if (options.offsets) {
    Json offsets = Json::array();
    for (const text::Offset& offset : encoding.offsets) offsets.push_back({offset.begin, offset.end});
    result["offsets"] = std::move(offsets);
  }
  return result;
}

Result<Json> decode_line(const text::Tokenizer& tokenizer, const Json& line, const Options& options) {
  const auto list = line.find("ids");
  if (list == line.end() || !list->is_array()) return fail(ErrorCode::kMalformed, "a line must be {\"ids\": […]}");
  std::vector<int32_t> ids;
  for (const Json& id : *list) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(text::kMaxVocab)) {
      return fail(ErrorCode::kMalformed, "ids must be integers from 0 to ", text::kMaxVocab - 1);
    }
    ids.push_back(static_cast<int32_t>(id.get<uint64_t>()));
  }
  return Json{{"text", tokenizer.decode(ids, options.no_special)}};
}

Status run(const Options& options) {
  SUTRA_ASSIGN(const text::Tokenizer tokenizer, load_tokenizer(options.tokenizer));
  std::string line;
  for (uint64_t number = 1; std::getline(std::cin, line); ++number) {
    if (line.empty()) continue;
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return fail(ErrorCode::kMalformed, "line ", number, " is not a JSON object");
    const Result<Json> result =
        options.decode ? decode_line(tokenizer, json, options) : encode_line(tokenizer, json, options);
    if (!result) return fail(result.error().code, "line ", number, ": ", result.error().message);
    print_json(*result);
  }
  return {};
}

}  // namespace

Run add_tokenize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--tokenizer", options->tokenizer,
                 "tokenizer.json, rwkv_vocab_v20230424.txt, or a folder that holds one")
      ->required();
  app.add_flag("--decode", options->decode, "ids to text");
  app.add_flag("--no-special", options->no_special, "neither add special tokens nor show them when decoding");
  app.add_flag("--offsets", options->offsets, "byte offsets of every token in the original text");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
