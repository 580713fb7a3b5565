// Element types of tensors in files and in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sutra {

enum class Dtype : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

// Bytes of one element.
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
  }
  return 0;
}

constexpr bool is_float(Dtype dtype) {
  return dtype == Dtype::kF64 || dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16;
}

// The safetensors spelling: "F32", "BF16", "BOOL".
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
