// RWKV's World vocabulary, rwkv_vocab_v20230424.txt: a line for each token, "id literal length", where the literal is
// Python's, of text ('é', "it's", '\u200b') or of bytes (b'\xe2\x80'), and the length counts the token's bytes.
#pragma once

#include <span>

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

}  // namespace sutra::text
