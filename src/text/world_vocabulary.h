// RWKV's World vocabulary, rwkv_vocab_v20230424.txt: a line for each token, "id literal length", where the literal is
// Python's, of text ('é', "it's", '\u200b') or of bytes (b'\xe2\x80'), and the length counts the token's bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer_data.h"

namespace sutra::text {

// Whether a tokenizer file that begins so may be such a vocabulary: its first line is a number and a literal.
[[nodiscard]] bool looks_like_world_vocabulary(std::span<const std::byte> file);

// Bytes of all tokens; the published vocabulary has half a million.
inline constexpr size_t kMaxWorldTokenBytes = size_t{1} << 21;

// kMalformed, naming the line: a line of another form, an escape that Python does not know, a length that is wrong, an
// id or a token twice. kTooLarge: an id of kMaxVocab or more, or no smaller than the number of bytes in the file; more than
// kMaxWorldTokenBytes.
Status load_world_vocabulary(std::span<const std::byte> file, TokenizerData& data);

// A token of it.
struct ByteToken {
  int32_t id;  // 0 to kMaxVocab - 1
  std::string bytes;
};
// The same from its tokens. kMalformed: none at all, an empty token, an id or a token twice. kTooLarge: more than
// kMaxWorldTokenBytes.
Status load_byte_tokens(std::span<const ByteToken> tokens, TokenizerData& data);

// The bytes of a token in the spelling of Python's repr, without its quotes; nothing for an escape that repr does not
// write. GGUF files have them so.
std::optional<std::string> unescape_token(std::string_view repr);
// Its inverse.
std::string escape_token(std::string_view bytes);

}  // namespace sutra::text
