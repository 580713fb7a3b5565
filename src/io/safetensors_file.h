// A safetensors file of the operating system, through io/safetensors_stream. Native builds only.
#pragma once

#include <string>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/safetensors_stream.h"
#include "io/tensor_map.h"

namespace sutra {

// Adds every tensor of the file to `out`. Peak memory: the tensors, the header and kFileChunkBytes.
Status load_safetensors_file(const std::string& path, TensorMap& out, TensorMapSinkOptions options = {});

// The tensor table and metadata alone; the data is not read.
Result<SafetensorsHeader> read_safetensors_header(const std::string& path);

}  // namespace sutra
