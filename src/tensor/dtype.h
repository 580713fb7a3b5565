// Element types of tensors in files and in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sutra {

enum class Dtype : uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
  // GGUF's blocks: 32 or 256 consecutive elements of a row share their scales (quant/ggml_blocks.h).
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K
};
inline constexpr Dtype kLastDtype = Dtype::kQ6_K;

// Bytes of one element; 0 where only whole blocks have bytes.
constexpr size_t dtype_bytes(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
    case Dtype::kI64:
    case Dtype::kU64: return 8;
    case Dtype::kF32:
    case Dtype::kI32:
    case Dtype::kU32: return 4;
    case Dtype::kF16:
    case Dtype::kBF16:
    case Dtype::kI16:
    case Dtype::kU16: return 2;
    case Dtype::kI8:
    case Dtype::kU8:
    case Dtype::kBool: return 1;
    default: return 0;
  }
}

struct BlockSize {
  size_t n_elements;  // 1: no blocks
  size_t n_bytes;
};
constexpr BlockSize block_size(Dtype dtype) {
  switch (dtype) {
    case Dtype::kQ4_0: return {32, 18};
    case Dtype::kQ4_1: return {32, 20};
    case Dtype::kQ5_0: return {32, 22};
    case Dtype::kQ5_1: return {32, 24};
    case Dtype::kQ8_0: return {32, 34};
    case Dtype::kQ4_K: return {256, 144};
    case Dtype::kQ5_K: return {256, 176};
    case Dtype::kQ6_K: return {256, 210};
    default: return {1, dtype_bytes(dtype)};
  }
}
constexpr bool is_block(Dtype dtype) { return block_size(dtype).n_elements > 1; }

constexpr bool is_float(Dtype dtype) {
  return dtype == Dtype::kF64 || dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16;
}

// The spelling of safetensors, "F32", "BF16", "BOOL", and for blocks that of GGUF, "Q4_0".
constexpr std::string_view dtype_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64: return "F64";
    case Dtype::kF32: return "F32";
    case Dtype::kF16: return "F16";
    case Dtype::kBF16: return "BF16";
    case Dtype::kI64: return "I64";
    case Dtype::kI32: return "I32";
    case Dtype::kI16: return "I16";
    case Dtype::kI8: return "I8";
    case Dtype::kU64: return "U64";
    case Dtype::kU32: return "U32";
    case Dtype::kU16: return "U16";
    case Dtype::kU8: return "U8";
    case Dtype::kBool: return "BOOL";
    case Dtype::kQ4_0: return "Q4_0";
    case Dtype::kQ4_1: return "Q4_1";
    case Dtype::kQ5_0: return "Q5_0";
    case Dtype::kQ5_1: return "Q5_1";
    case Dtype::kQ8_0: return "Q8_0";
    case Dtype::kQ4_K: return "Q4_K";
    case Dtype::kQ5_K: return "Q5_K";
    case Dtype::kQ6_K: return "Q6_K";
  }
  return "?";
}

// The dtype of a safetensors spelling; nothing for any other text.
constexpr std::optional<Dtype> dtype_from_name(std::string_view name) {
  for (unsigned i = 0; i <= static_cast<unsigned>(Dtype::kBool); ++i) {
    if (dtype_name(static_cast<Dtype>(i)) == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

}  // namespace sutra
