// The header of a safetensors file: 8 bytes of length, little-endian; that many bytes of JSON; the data.
//
// Files are untrusted. Accepted is what the format text (huggingface/safetensors, README, "Format") allows
// and no more: the JSON begins with '{'; names, record fields and metadata keys are unique after unescaping;
// a record has dtype, shape and data_offsets and nothing else; the tensors' byte ranges cover the data section
// exactly once, in any order of records. A zero dimension is allowed by the format and gives an empty tensor
// of no bytes, which no weight of a model can be (TensorMap::take states its shape).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tensor/tensor.h"

namespace sutra {

inline constexpr uint64_t kSafetensorsLengthBytes = 8;
// The reference implementation's limit.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;
// Our limits, so that no header costs more than 64 MiB beside its own bytes.
inline constexpr size_t kMaxTensorsPerFile = size_t{1} << 17;
inline constexpr size_t kMaxMetadataEntries = size_t{1} << 16;
inline constexpr size_t kMaxSafetensorsTextBytes = size_t{1} << 24;   // all names and metadata, unescaped
inline constexpr size_t kMaxSafetensorsTokenBytes = size_t{1} << 22;  // one of them as written; padding

struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::kF32;
  Shape shape;
  // Bytes relative to the data section; end - begin is what dtype and shape need.
  uint64_t begin = 0;
  uint64_t end = 0;
  // Where the file has it as it is, row after row, and the CRC-32 of those bytes; 0 and none where that is not known.
  uint64_t file_offset = 0;
  std::optional<uint32_t> crc32 = std::nullopt;
};

// In the order of their bytes; of those without any, by name.
void sort_by_place(std::vector<TensorEntry>& tensors);

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;                           // in the order of their bytes
  std::vector<std::pair<std::string, std::string>> metadata;  // in file order
  uint64_t data_offset = 0;                                   // of the data section in the file
};

// The JSON's length from the first bytes of a file of `file_size` bytes.
// kTruncated: fewer than 8 bytes, or a length beyond the end. kTooLarge: over the limit. kMalformed: zero.
Result<uint64_t> safetensors_header_bytes(std::span<const std::byte> first_bytes, uint64_t file_size);

// `header_json` is exactly the JSON, the bytes [8, 8 + its length) of a file of `file_size` bytes.
// kMalformed: a broken rule. kUnsupported: a dtype of the format that nothing here computes with.
// kTooLarge: a limit above, or a size that wraps 64 bits. kTruncated: a tensor that ends beyond the file.
Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> header_json, uint64_t file_size);

}  // namespace sutra
