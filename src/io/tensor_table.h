// The tensors of a file of any format that is read, without their data. Native builds only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "io/file.h"
#include "io/gguf_header.h"
#include "io/safetensors.h"

namespace sutra {

struct TensorTable {
  std::string_view format;  // "safetensors", "torch", "gguf"
  uint64_t file_bytes = 0;
  std::vector<TensorEntry> tensors;
  // In file order. Arrays as a text that says their type, their length and how they begin.
  std::vector<std::pair<std::string, JsonScalar>> metadata;
};

// The format is told by the file's first bytes, never by its name. Errors: those of the format's reader, with the
// file's name before them; kUnsupported when it is none that is known.
Result<TensorTable> read_tensor_table(const std::string& path);

// Of a GGUF file, without its data.
Result<GgufHeader> read_gguf_header(const InputFile& file);

}  // namespace sutra
