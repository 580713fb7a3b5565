#include "text/encoder.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "text/byte_alphabet.h"
#include "text/nfc.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace sutra::text {
namespace {

constexpr size_t kMaxCachedWords = size_t{1} << 14;
// Positions within a word have 32 bits; a longer one is cut.
constexpr size_t kMaxWordBytes = size_t{1} << 30;

// Each maximal ill-formed part becomes U+FFFD. Precondition: the first one is at `valid`.
Rewritten repair_utf8(std::string_view text, size_t valid) {
  Rewritten out;
  size_t at = 0;
  for (;;) {
    out.text += text.substr(at, valid);
    out.alignment.copied(valid, at);
    at += valid;
    if (at == text.size()) return out;
    const CodePoint c = decode_utf8(text, at);
    const size_t before = out.text.size();
    append_utf8(out.text, kReplacement);
    out.alignment.written(out.text.size() - before, {at, at + c.length});
    at += c.length;
    valid = valid_utf8_prefix(text.substr(at));
  }
}

// A space before the text that shares the source of the first character.
Rewritten prefix_space(std::string_view text) {
  Rewritten out;
  out.text.reserve(text.size() + 1);
  out.text += ' ';
  out.text += text;
  out.alignment.written(1, {0, character_end(text, 0)});
  out.alignment.copied(text.size(), 0);
  return out;
}

size_t count_leading(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size() && is_in(decode_utf8(text, at).value, kSpaces); ++count) {
    at = character_end(text, at);
  }
  return count;
}

size_t count_trailing(std::string_view text) {
  size_t count = 0;
  for (size_t end = text.size(); end > 0; ++count) {
    end = character_begin(text, end - 1);
    if (!is_in(decode_utf8(text, end).value, kSpaces)) break;
  }
  return count;
}

}  // namespace

Encoder::Encoder(const TokenizerData& data, std::string_view original) : data_(data), original_(original) {
  cache_.resize(std::min(std::bit_ceil(original.size() / 8 + 1), kMaxCachedWords));
  out_.ids.reserve(original.size() / 4);
  out_.offsets.reserve(original.size() / 4);
  lengths_.reserve(original.size() / 4);
}

Encoding Encoder::run(bool add_special) {
  if (add_special) {
    for (const int32_t id : data_.prefix) emit(id, 0, {0, 0}, 0, 0);
  }
  const size_t valid = valid_utf8_prefix(original_);
  if (valid == original_.size()) {
    encode_text({original_, nullptr, 0, nullptr});
  } else {
    const Rewritten& repaired = keep(repair_utf8(original_, valid));
    encode_text({repaired.text, &repaired.alignment, 0, nullptr});
  }
  if (add_special) {
    for (const int32_t id : data_.suffix) emit(id, 0, {0, 0}, 0, 0);
  }
  return std::move(out_);
}

void Encoder::encode_text(const Layer& text) {
  std::vector<Part> parts;
  data_.added.split(text.text, parts);
  for (const Part& part : parts) {
    if (part.id != Part::kNoToken) {
      emit_added_token(text, part);
      continue;
    }
    const Layer piece{text.text.substr(part.bytes.begin, part.bytes.end - part.bytes.begin), nullptr, part.bytes.begin,
                      &text};
    std::optional<Rewritten> normalized = data_.has_nfc ? to_nfc(piece.text) : std::nullopt;
    if (normalized) {
      const Rewritten& kept = keep(*std::move(normalized));
      encode_normalized({kept.text, &kept.alignment, part.bytes.begin, &text});
    } else {
      encode_normalized(piece);
    }
  }
}

void Encoder::encode_normalized(const Layer& text) {
  std::vector<Part> parts;
  data_.added_normalized.split(text.text, parts);
  for (const Part& part : parts) {
    if (part.id != Part::kNoToken) {
      emit_added_token(text, part);
      continue;
    }
    const Layer piece{text.text.substr(part.bytes.begin, part.bytes.end - part.bytes.begin), nullptr, part.bytes.begin,
                      &text};
    if (data_.add_prefix_space && piece.text[0] != ' ') {
      const Rewritten& prefixed = keep(prefix_space(piece.text));
      encode_words({prefixed.text, &prefixed.alignment, part.bytes.begin, &text});
    } else {
      encode_words(piece);
    }
  }
}

void Encoder::encode_words(const Layer& text) {
  for (size_t begin = 0; begin < text.text.size();) {
    const size_t end = std::min(word_end(data_.word_rule, text.text, begin), begin + kMaxWordBytes);
    encode_word(text, {begin, end});
    begin = end;
  }
}

void Encoder::encode_word(const Layer& text, Offset bytes) {
  const std::string_view word = text.text.substr(bytes.begin, bytes.end - bytes.begin);
  CachedWord& cached = cache_[std::hash<std::string_view>{}(word) & (cache_.size() - 1)];
  size_t begin = bytes.begin;
  if (cached.text == word) {
    for (size_t i = cached.first_token; i < cached.first_token + cached.n_tokens; ++i) {
      const Symbol symbol{out_.ids[i], lengths_[i]};
      emit_word_token(text, begin, symbol);
      begin += symbol.length;
    }
    return;
  }
  word_.clear();
  if (data_.ignore_merges) {
    const auto whole = data_.vocabulary.find(spell_bytes(word));
    if (whole && (data_.flags[static_cast<size_t>(*whole)] & TokenizerData::kAddedOnly) == 0) {
      word_.push_back({*whole, static_cast<uint32_t>(word.size())});
    }
  }
  if (word_.empty()) {
    bytes_to_symbols(word);
    merger_.merge(data_.merges, word_);
  }
  cached = {word, out_.ids.size(), word_.size()};
  for (const Symbol& symbol : word_) {
    emit_word_token(text, begin, symbol);
    begin += symbol.length;
  }
}

void Encoder::bytes_to_symbols(std::string_view word) {
  bool after_unknown = false;
  for (const char byte : word) {
    const int32_t id = data_.byte_ids[static_cast<uint8_t>(byte)];
    const bool is_unknown = id == TokenizerData::kNoToken;
    if (is_unknown && data_.unknown_id == TokenizerData::kNoToken) continue;
    if (is_unknown && after_unknown && data_.fuse_unknown) {
      ++word_.back().length;
      continue;
    }
    word_.push_back({is_unknown ? data_.unknown_id : id, 1});
    after_unknown = is_unknown;
  }
}

void Encoder::emit_word_token(const Layer& text, size_t begin, Symbol symbol) {
  size_t leading = 0;
  size_t trailing = 0;
  if (data_.trim_offsets) {
    // A byte-level token spells a space as one character; no other white space has a spelling of its own.
    const std::string_view bytes = data_.vocabulary.bytes(symbol.id);
    leading = std::min(bytes.find_first_not_of(' '), bytes.size());
    trailing = bytes.size() - (bytes.find_last_not_of(' ') + 1);
  }
  emit(symbol.id, symbol.length, to_original(text, {begin, begin + symbol.length}), leading, trailing);
}

void Encoder::emit_added_token(const Layer& text, const Part& part) {
  size_t leading = 0;
  size_t trailing = 0;
  if (data_.trim_offsets) {
    const std::string_view bytes = text.text.substr(part.bytes.begin, part.bytes.end - part.bytes.begin);
    leading = count_leading(bytes);
    trailing = count_trailing(bytes);
  }
  emit(part.id, 0, to_original(text, part.bytes), leading, trailing);
}

void Encoder::emit(int32_t id, uint32_t length, Offset original, size_t leading, size_t trailing) {
  const bool is_first = out_.ids.empty() || original.begin == 0;
  if (is_first && data_.trim_keeps_first_space) leading = 0;
  for (; leading > 0 && original.begin < original.end; --leading) {
    original.begin += decode_utf8(original_, original.begin).length;
  }
  for (; trailing > 0 && original.end > original.begin; --trailing) {
    original.end = std::max(original.begin, character_begin(original_, original.end - 1));
  }
  out_.ids.push_back(id);
  out_.offsets.push_back(original);
  lengths_.push_back(length);
}

Offset Encoder::to_original(const Layer& text, Offset bytes) {
  for (const Layer* layer = &text; layer != nullptr; layer = layer->below) {
    bytes = {character_begin(layer->text, bytes.begin), character_end(layer->text, bytes.end - 1)};
    if (layer->alignment != nullptr) bytes = layer->alignment->source_of(bytes);
    bytes.begin += layer->begin;
    bytes.end += layer->begin;
  }
  return bytes;
}

const Rewritten& Encoder::keep(Rewritten rewritten) { return kept_.emplace_back(std::move(rewritten)); }

}  // namespace sutra::text
