// Text to token ids and back: byte-level BPE as described by a Hugging Face tokenizer.json, and RWKV's World
// vocabulary (text/world_vocabulary.h), which takes the longest token at each place and has no special ones.
//
// encode: text -> added tokens cut out -> normalizer -> pre-tokenizer (words) -> BPE merges -> ids
// decode: ids -> bytes of the tokens, one after the other -> UTF-8 with U+FFFD for every ill-formed part
//
// Supported: model BPE over the byte alphabet; normalizer none or NFC; pre-tokenizer ByteLevel, alone or
// after one Split with a known expression (see text/pretokenize.h); post-processor none, ByteLevel,
// TemplateProcessing or a sequence of them; decoder ByteLevel. "truncation" and "padding" are a matter
// of the caller and not applied. Everything else is kUnsupported and names the part.
//
// Errors of from_json: kMalformed (not JSON, a wrong type, a token twice, a merge outside the vocabulary,
// two tokens for one id), kTooLarge (an id of kMaxVocab or more, or one that is no smaller than the
// number of bytes in the file), kUnsupported.
//
// Source: the file format of the Hugging Face tokenizers library; Sennrich, Haddow, Birch 2016,
// "Neural Machine Translation of Rare Words with Subword Units", section 3.2; Radford et al. 2019,
// "Language Models are Unsupervised Multitask Learners", section 2.2 (byte-level BPE).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace sutra::text {

// The largest published vocabularies have 2^20 entries. A table over all ids stays below 64 MiB.
inline constexpr int32_t kMaxVocab = 1 << 21;

// Bytes [begin, end) of the text as it was given.
struct Offset {
  size_t begin;
  size_t end;
  friend bool operator==(const Offset&, const Offset&) = default;
};

struct Encoding {
  std::vector<int32_t> ids;
  // One per id. A token that holds a part of a character reports the whole character (the World vocabulary: its
  // bytes); a special token that was added reports {0, 0}.
  std::vector<Offset> offsets;
};

struct TokenizerData;
struct TokenizerFile;
struct ByteToken;

// Immutable. Copies share their tables.
class Tokenizer {
 public:
  static Result<Tokenizer> from_json(std::span<const std::byte> tokenizer_json);
  // rwkv_vocab_v20230424.txt. Errors: those of text/world_vocabulary.h.
  static Result<Tokenizer> from_world_vocabulary(std::span<const std::byte> file);
  // From what another file says: as if a tokenizer.json had been read, and RWKV's World vocabulary.
  static Result<Tokenizer> from_tables(const TokenizerFile& tables);
  static Result<Tokenizer> from_byte_tokens(std::span<const ByteToken> tokens);
  // tokenizer.json or a World vocabulary, told by its first bytes.
  static Result<Tokenizer> from_file(std::span<const std::byte> file);

  // Any bytes: each maximal ill-formed part of UTF-8 counts as one U+FFFD, and its offsets are those of
  // the ill-formed bytes; the World vocabulary has tokens for them as they are. add_special adds what the file's post-processor adds around a text; special
  // tokens written out in the text are recognised in either case.
  // Time O(n log n) in the bytes of the text, whatever they are.
  [[nodiscard]] Encoding encode(std::string_view utf8, bool add_special = true) const;

  // Always valid UTF-8. Ids without a token give nothing.
  [[nodiscard]] std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

  // What the token contributes to decoded text; may be part of a character. Empty where `id` has no token.
  [[nodiscard]] std::string_view token_bytes(int32_t id) const;
  // The token as the file spells it ("Ġthe"). Empty where `id` has no token.
  [[nodiscard]] std::string_view token_text(int32_t id) const;
  // The spellings of an encoded text's tokens; an added token as it stands in the text, with the white space that it
  // took (lstrip, rstrip). Precondition: encoding is encode(utf8, …).
  [[nodiscard]] std::vector<std::string> token_texts(const Encoding& encoding, std::string_view utf8) const;
  // By the file's spelling.
  [[nodiscard]] std::optional<int32_t> token_to_id(std::string_view token_text) const;
  // Largest id + 1.
  [[nodiscard]] size_t vocab_size() const;
  [[nodiscard]] bool is_special(int32_t id) const;

 private:
  explicit Tokenizer(std::shared_ptr<const TokenizerData> data);
  std::shared_ptr<const TokenizerData> data_;
};

}  // namespace sutra::text
