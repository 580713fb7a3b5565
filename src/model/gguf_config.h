// The metadata of llama.cpp's GGUF files, which say what config.json says elsewhere, in both directions. An architecture is
// a row of the table in the .cpp. The epsilon of RWKV's ln_x is not in the file: it is 64e-5.
//
// Source: llama.cpp, gguf-py/gguf/constants.py (keys), conversion/ (their values).
#pragma once

#include <string>

#include "base/error.h"
#include "io/gguf_header.h"
#include "io/gguf_metadata.h"
#include "model/config.h"

namespace sutra {

// What config.json would say. kUnsupported: another architecture, a variant of one, a file that was split; kNotFound: a
// key or tensor that says it is missing; kMalformed: a key of a wrong type, a special id outside the vocabulary.
Result<std::string> gguf_config(const GgufHeader& header);

// The metadata but for the tokenizer's. kUnsupported: an architecture that is not written, or a variant of one.
Status write_gguf_metadata(const ModelConfig& config, GgufMetadata& out);

}  // namespace sutra
