// Random 4-bit matrices and what the product of one should be, computed without the code under test.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/half.h"
#include "kernels/gemm_q4/gemm_q4.h"
#include "support/random.h"

namespace sutra::test {

// An unpacked matrix and its packed form.
struct Q4Matrix {
  size_t n_rows = 0;
  size_t n_cols = 0;
  size_t group_size = 0;
  std::vector<uint8_t> nibbles;
  std::vector<uint8_t> zeros;
  std::vector<uint16_t> scales;
  std::vector<uint16_t> offsets;  // instead of zeros
  AlignedBuffer packed;

  [[nodiscard]] size_t n_groups() const { return (n_cols + group_size - 1) / group_size; }
  [[nodiscard]] kernels::Q4Form form() const {
    return offsets.empty() ? kernels::Q4Form::kZeros : kernels::Q4Form::kOffsets;
  }
  [[nodiscard]] kernels::Q4View view() const { return {packed.data(), n_rows, n_cols, group_size, form()}; }
};

inline void repack(Q4Matrix& m) {
  m.packed =
      AlignedBuffer::create(kernels::q4_packed_bytes(m.n_rows, m.n_cols, m.group_size, m.form()).value()).value();
  // Padding has to be written, not found.
  std::fill(m.packed.bytes().begin(), m.packed.bytes().end(), std::byte{0xff});
  kernels::pack_q4({m.nibbles, m.zeros, m.scales, m.offsets}, m.n_rows, m.n_cols, m.group_size, m.packed.bytes())
      .value();
}

// Scales of both signs from 2^-12 to 2^-4; zero points mostly in 0…15, some above (sources with an offset of one).
inline Q4Matrix random_q4(Random& random, size_t n_rows, size_t n_cols, size_t group_size) {
  Q4Matrix m{n_rows, n_cols, group_size, {}, {}, {}, {}, {}};
  m.nibbles = random.bytes(n_rows * n_cols, 0, 15);
  m.zeros = random.bytes(n_rows * m.n_groups(), 0, 16);
  for (size_t i = 0; i < n_rows * m.n_groups(); ++i) {
    const float magnitude = std::exp2(random.uniform(-12.0f, -4.0f));
    m.scales.push_back(f32_to_f16(random.integer(0, 7) == 0 ? -magnitude : magnitude));
  }
  repack(m);
  return m;
}

// The same with offsets of both signs instead of zeros.
inline Q4Matrix random_q4_with_offsets(Random& random, size_t n_rows, size_t n_cols, size_t group_size) {
  Q4Matrix m = random_q4(random, n_rows, n_cols, group_size);
  m.zeros.clear();
  for (size_t i = 0; i < m.scales.size(); ++i) m.offsets.push_back(f32_to_f16(random.uniform(-0.5f, 0.1f)));
  repack(m);
  return m;
}

// Quantised tokens with the buffer that holds them.
struct QuantizedTokens {
  AlignedBuffer buffer;
  kernels::Activations x;
};

inline QuantizedTokens make_tokens(size_t n_tokens, size_t n_cols, size_t group_size, kernels::Precision precision) {
  QuantizedTokens tokens;
  const uint64_t bytes = kernels::activation_bytes(n_tokens, n_cols, group_size, precision).value();
  tokens.buffer = AlignedBuffer::create(bytes).value();
  std::fill(tokens.buffer.bytes().begin(), tokens.buffer.bytes().end(), std::byte{0xff});
  tokens.x = {tokens.buffer.data(), n_tokens, n_cols, group_size, precision};
  return tokens;
}

inline QuantizedTokens quantize(std::span<const float> values, size_t n_tokens, size_t n_cols, size_t group_size,
                                kernels::Precision precision) {
  QuantizedTokens tokens = make_tokens(n_tokens, n_cols, group_size, precision);
  kernels::quantize_activations(values.data(), tokens.x, 0, n_tokens);
  return tokens;
}

// The integers of one token as the header defines them.
inline std::vector<int> expected_integers(std::span<const float> x, float scale) {
  std::vector<int> integers;
  for (const float value : x) {
    integers.push_back(scale > 0.0f ? static_cast<int>(std::nearbyint(static_cast<double>(value / scale))) : 0);
  }
  return integers;
}

// max |x| / M, with the special values of the header.
inline float expected_scale(std::span<const float> x, kernels::Precision precision) {
  float largest = 0.0f;
  for (const float value : x) {
    if (!std::isfinite(value)) return std::nanf("");
    largest = std::max(largest, std::abs(value));
  }
  float levels = 127.0f;
  if (precision == kernels::Precision::kA15) levels = 16256.0f;
  if (precision == kernels::Precision::kA14) levels = 8191.0f;
  const float scale = largest / levels;
  return scale < 0x1p-126f ? 0.0f : scale;
}

// One result, straight from the formula: 64-bit integers, then the float operations in the order of the contract.
inline float expected_product(const Q4Matrix& w, size_t row, std::span<const float> x, kernels::Precision precision) {
  float y = 0.0f;
  for (size_t group = 0; group < w.n_groups(); ++group) {
    const size_t first = group * w.group_size;
    const std::span<const float> part = x.subspan(first, std::min(w.group_size, w.n_cols - first));
    const float x_scale = expected_scale(part, precision);
    const std::vector<int> integers = expected_integers(part, x_scale);
    const int zero = w.zeros.empty() ? 0 : w.zeros[row * w.n_groups() + group];
    int64_t sum = 0;
    for (size_t k = 0; k < part.size(); ++k) {
      const int q = w.nibbles[row * w.n_cols + first + k];
      sum += int64_t{q - zero} * integers[k];
    }
    const float scale = f16_to_f32(w.scales[row * w.n_groups() + group]) * x_scale;
    y = y + static_cast<float>(sum) * scale;
    if (w.form() == kernels::Q4Form::kOffsets) {
      const int64_t x_sum = std::accumulate(integers.begin(), integers.end(), int64_t{0});
      y = y + f16_to_f32(w.offsets[row * w.n_groups() + group]) * (static_cast<float>(x_sum) * x_scale);
    }
  }
  return y;
}

}  // namespace sutra::test
