#include "text/vocabulary.h"

#include <bit>
#include <functional>

#include "base/assert.h"
#include "text/byte_alphabet.h"

namespace sutra::text {
namespace {

constexpr int32_t kFree = -1;

}  // namespace

Vocabulary::Vocabulary(size_t n_ids) : tokens_(n_ids), slots_(std::bit_ceil(2 * n_ids + 1), kFree) {}

size_t Vocabulary::slot(std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  size_t at = std::hash<std::string_view>{}(text)&mask;
  while (slots_[at] != kFree && this->text(slots_[at]) != text) at = (at + 1) & mask;
  return at;
}

bool Vocabulary::insert(int32_t id, std::string_view text) {
  SUTRA_ASSERT(id >= 0 && static_cast<size_t>(id) < tokens_.size());
  Token& token = tokens_[static_cast<size_t>(id)];
  const size_t at = slot(text);
  if (token.used || slots_[at] != kFree) return false;
  slots_[at] = id;
  token = {static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(text.size()),
           static_cast<uint32_t>(bytes_.size()), 0, true};
  texts_ += text;
  append_spelled_bytes(bytes_, text);
  token.bytes_size = static_cast<uint32_t>(bytes_.size() - token.bytes_begin);
  return true;
}

std::string_view Vocabulary::text(int32_t id) const {
  if (!has(id)) return {};
  const Token& token = tokens_[static_cast<size_t>(id)];
  return std::string_view(texts_).substr(token.text_begin, token.text_size);
}

std::string_view Vocabulary::bytes(int32_t id) const {
  if (!has(id)) return {};
  const Token& token = tokens_[static_cast<size_t>(id)];
  return std::string_view(bytes_).substr(token.bytes_begin, token.bytes_size);
}

std::optional<int32_t> Vocabulary::find(std::string_view text) const {
  const int32_t id = slots_[slot(text)];
  if (id == kFree) return std::nullopt;
  return id;
}

}  // namespace sutra::text
