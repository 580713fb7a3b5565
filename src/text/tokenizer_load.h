// From a read tokenizer.json to the tables of a Tokenizer.
#pragma once

#include "base/error.h"
#include "text/tokenizer_data.h"
#include "text/tokenizer_file.h"

namespace sutra::text {

// The pipeline around the model: each function reads one member of the file's root into `data`.
// kUnsupported names the part; kMalformed where the part breaks the format.
Status load_normalizer(const JsonTree& root, TokenizerData& data);
Status load_pre_tokenizer(const JsonTree& root, TokenizerData& data);
// Precondition: the vocabulary is complete.
Status load_post_processor(const JsonTree& root, TokenizerData& data);
Status check_decoder(const JsonTree& root);

// All of it.
Status load_tokenizer(const TokenizerFile& file, TokenizerData& data);

}  // namespace sutra::text
