#include "text/tokenizer.h"

#include <utility>

#include "text/encoder.h"
#include "text/tokenizer_data.h"
#include "text/tokenizer_load.h"
#include "text/utf8.h"
#include "text/world_vocabulary.h"

namespace sutra::text {

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerData> data) : data_(std::move(data)) {}

Result<Tokenizer> Tokenizer::from_json(std::span<const std::byte> tokenizer_json) {
  SUTRA_ASSIGN(const TokenizerFile file, read_tokenizer_file(tokenizer_json));
  return from_tables(file);
}

Result<Tokenizer> Tokenizer::from_tables(const TokenizerFile& tables) {
  const auto data = std::make_shared<TokenizerData>();
  SUTRA_TRY(load_tokenizer(tables, *data));
  return Tokenizer(data);
}

Result<Tokenizer> Tokenizer::from_world_vocabulary(std::span<const std::byte> file) {
  const auto data = std::make_shared<TokenizerData>();
  SUTRA_TRY(load_world_vocabulary(file, *data));
  return Tokenizer(data);
}

Result<Tokenizer> Tokenizer::from_byte_tokens(std::span<const ByteToken> tokens) {
  const auto data = std::make_shared<TokenizerData>();
  SUTRA_TRY(load_byte_tokens(tokens, *data));
  return Tokenizer(data);
}

Result<Tokenizer> Tokenizer::from_file(std::span<const std::byte> file) {
  return looks_like_world_vocabulary(file) ? from_world_vocabulary(file) : from_json(file);
}

Encoding Tokenizer::encode(std::string_view utf8, bool add_special) const {
  if (!data_->longest_match.empty()) return data_->longest_match.encode(utf8);
  return Encoder(*data_, utf8).run(add_special);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  Utf8Repair repair;
  for (const int32_t id : ids) {
    if (!skip_special || !is_special(id)) repair.append(token_bytes(id), out);
  }
  repair.finish(out);
  return out;
}

std::string_view Tokenizer::token_bytes(int32_t id) const { return data_->vocabulary.bytes(id); }

std::string_view Tokenizer::token_text(int32_t id) const { return data_->vocabulary.text(id); }

std::vector<std::string> Tokenizer::token_texts(const Encoding& encoding, std::string_view utf8) const {
  std::vector<std::string> out;
  out.reserve(encoding.ids.size());
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const std::string_view spelling = token_text(encoding.ids[i]);
    const Offset offset = encoding.offsets[i];
    const std::string_view in_text = utf8.substr(offset.begin, offset.end - offset.begin);
    out.emplace_back(in_text.find(spelling) != std::string_view::npos ? in_text : spelling);
  }
  return out;
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token_text) const {
  return data_->vocabulary.find(token_text);
}

size_t Tokenizer::vocab_size() const { return data_->vocabulary.size(); }

bool Tokenizer::is_special(int32_t id) const {
  return data_->vocabulary.has(id) && (data_->flags[static_cast<size_t>(id)] & TokenizerData::kSpecial) != 0;
}

}  // namespace sutra::text
