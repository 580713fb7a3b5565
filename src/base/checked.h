// File arithmetic: 64 bits everywhere (size_t has 32 in wasm), overflow is an error value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

namespace sutra {

[[nodiscard]] inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

[[nodiscard]] inline std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

[[nodiscard]] inline bool fits_size_t(uint64_t value) { return value <= std::numeric_limits<size_t>::max(); }

[[nodiscard]] constexpr size_t div_up(size_t a, size_t b) { return (a + b - 1) / b; }
[[nodiscard]] constexpr size_t round_up(size_t a, size_t multiple) { return div_up(a, multiple) * multiple; }

}  // namespace sutra
