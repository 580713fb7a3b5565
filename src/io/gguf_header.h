// The header of a GGUF file, version 2 or 3, little-endian, read item by item as its bytes come: its length is known
// only when it was read.
//
//   "GGUF"  version u32  n_tensors u64  n_keys u64
//   n_keys times:     key string, type u32, value
//   n_tensors times:  name string, n_dims u32, dims u64 (innermost first), type u32, offset u64
//   padding to a multiple of general.alignment (32 where it is not given); from there on the offsets count
//
// A string is its length (u64) and that many bytes; an array its elements' type (u32), their number (u64), and they.
// Source: ggml, docs/gguf.md.
//
// Files are untrusted. Refused is, beside what ends beyond the file: a key that is empty or there twice, a bool that is
// neither 0 nor 1, an array of arrays; a tensor whose name is empty, longer than 64 bytes or there twice, with no or more
// than four dimensions or one of zero, of an offset that is not aligned, or that overlaps another. Numbers of things and
// lengths are compared with the bytes left before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/gguf_metadata.h"
#include "io/safetensors.h"

namespace sutra {

// Our limits, so that no header costs more than 64 MiB beside its own bytes. The largest vocabularies, of 2^18 tokens
// and twice as many merges, take 16 MiB.
inline constexpr uint64_t kMaxGgufHeaderBytes = uint64_t{1} << 25;
inline constexpr uint64_t kMaxGgufStringBytes = uint64_t{1} << 22;
inline constexpr uint64_t kMaxGgufNameBytes = 64;  // of tensors, the format's own
inline constexpr uint64_t kGgufStartBytes = 24;
inline constexpr size_t kGgufAlignment = 32;  // where general.alignment is not given

struct GgufHeader {
  GgufMetadata metadata;
  std::vector<TensorEntry> tensors;  // in the order of their bytes; dimensions outermost first
  uint64_t data_offset = 0;          // of what TensorEntry::begin and end count from
};

// The format's number of a tensor's type; nothing for those that GGUF does not have.
std::optional<uint32_t> gguf_tensor_type(Dtype dtype);

class GgufHeaderParser {
 public:
  explicit GgufHeaderParser(uint64_t file_size) : file_size_(file_size) {}

  // Reads as many whole items as the bytes hold, which follow those that were taken before; gives the number of bytes
  // that it took. kTruncated: an item reaches beyond the file. kUnsupported: another version, big-endian files, tensor
  // types that nothing here reads. kTooLarge: a limit, or a size that wraps. kMalformed: any other broken rule.
  Result<size_t> take(std::span<const std::byte> bytes);
  // The least bytes, from the first that was not taken on, with which take() gets further.
  [[nodiscard]] uint64_t n_needed() const { return n_needed_; }
  [[nodiscard]] bool is_done() const { return step_ == Step::kDone; }
  // Precondition: is_done().
  [[nodiscard]] GgufHeader finish() { return std::move(header_); }

 private:
  enum class Step : uint8_t { kStart, kKeys, kArray, kTensors, kDone };
  class Cursor;

  Status read_item(Cursor& cursor);
  Status read_start(Cursor& cursor);
  Status read_key(Cursor& cursor);
  Status start_array(std::string key, GgufType element, uint64_t count, uint64_t bytes_left);
  Status read_elements(Cursor& cursor);
  Status read_tensor(Cursor& cursor);
  Status next_key();
  Status end_keys();
  Status end_tensors();

  uint64_t file_size_;
  uint64_t at_ = 0;  // bytes taken
  uint64_t n_needed_ = kGgufStartBytes;
  Step step_ = Step::kStart;
  size_t n_keys_left_ = 0;
  size_t n_tensors_left_ = 0;
  uint64_t alignment_ = 0;
  // Step::kArray
  std::string array_key_;
  GgufArray array_;
  uint64_t n_elements_left_ = 0;

  GgufHeader header_;
};

}  // namespace sutra
