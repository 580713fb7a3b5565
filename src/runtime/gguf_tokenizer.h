// The tokenizer in a GGUF file's metadata, tokenizer.ggml.*:
//
//   model "rwkv"   RWKV's World vocabulary; tokens are spelled as Python's repr does
//   model "gpt2"   byte-level BPE; `pre` says how text is cut into words (kinds in the .cpp)
//
// Tokens of type control are special ones, those of type user-defined are found in the text as they are, unused ones are
// no tokens.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/error.h"
#include "io/gguf_metadata.h"
#include "io/model_files.h"
#include "text/tokenizer.h"

namespace sutra {

// kNotFound: the file has none. kUnsupported: one of another kind; the sentence says which. kMalformed, kTooLarge: a
// broken one, of whatever kind: keys of a wrong type, arrays of another length than that of the tokens, special ids
// beyond them, a byte token that is not <0xHH>, a precompiled_charsmap whose parts do not fit it, and the errors of
// text::Tokenizer.
Result<text::Tokenizer> gguf_tokenizer(const GgufMetadata& metadata);

// Whether such an error says that the file has none that we know, and not that it is broken.
bool has_no_known_tokenizer(const Error& error);

// A file that says the same, to stand beside a model: tokenizer.json, as Hugging Face's tokenizers read it, or a World
// vocabulary. Errors of gguf_tokenizer().
Result<NamedText> gguf_tokenizer_file(const GgufMetadata& metadata);

// The other way: a tokenizer.json or World vocabulary as metadata for a model of `vocab_size` ids, those without a token
// filled up. kUnsupported: a tokenizer.json that cuts words by a rule for which GGUF has no name that is
// certain; kInvalidArgument: more tokens than the model has ids; kTooLarge: over text::kMaxVocab of these; and the errors of text::Tokenizer.
Status write_gguf_tokenizer(std::span<const std::byte> file, size_t vocab_size, GgufMetadata& out);

}  // namespace sutra
