// Safetensors files as bytes, made without the writer under test.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors_stream.h"
#include "io/tensor_map.h"

namespace sutra::test {

using Bytes = std::vector<std::byte>;

// The length field, the JSON, and n_data bytes 0, 1, 2 .. 63, 0, 1 ..: small enough to be finite in every dtype.
inline Bytes safetensors_bytes(std::string_view json, size_t n_data) {
  Bytes bytes;
  for (size_t i = 0; i < 8; ++i) bytes.push_back(static_cast<std::byte>(uint64_t{json.size()} >> (8 * i) & 0xff));
  for (const char c : json) bytes.push_back(static_cast<std::byte>(c));
  for (size_t i = 0; i < n_data; ++i) bytes.push_back(static_cast<std::byte>(i % 64));
  return bytes;
}

// Feeds the file in pieces of at most `chunk_bytes`; `announced` is the size that the stream is told.
inline Result<TensorMap> load(std::span<const std::byte> file, size_t chunk_bytes, uint64_t announced,
                              TensorMapSinkOptions options = {}) {
  TensorMap tensors;
  TensorMapSink sink(tensors, options);
  SafetensorsStream stream("test.safetensors", announced, sink);
  for (size_t begin = 0; begin < file.size(); begin += chunk_bytes) {
    SUTRA_TRY(stream.feed(file.subspan(begin, std::min(chunk_bytes, file.size() - begin))));
  }
  SUTRA_TRY(stream.finish());
  return tensors;
}

inline Result<TensorMap> load(std::span<const std::byte> file) { return load(file, file.size() + 1, file.size()); }

inline Result<SafetensorsHeader> parse(std::string_view json, size_t n_data) {
  return parse_safetensors_header(std::as_bytes(std::span(json)), 8 + json.size() + n_data);
}

}  // namespace sutra::test
