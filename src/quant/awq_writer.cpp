#include <algorithm>

#include "base/assert.h"
#include "base/half.h"
#include "quant/awq_format.h"

namespace sutra {
namespace {

// Words of a line that are packed together, a cache line of them, and lines: both ways through memory are in order then.
constexpr size_t kWords = 16, kLines = 64;

// Numbers of `kBits` bits of the rows that share a word, n_lines at most kLines of them, as words.
template <int kBits>
void pack_words(const uint8_t* rows, size_t stride, size_t n_lines, uint32_t* words) {
  constexpr size_t kPerWord = 32 / kBits;
  const size_t* const order = kBits == 8 ? kAwqByteOrder.data() : kAwqOrder.data();
  const uint8_t* row[kPerWord];
  for (size_t i = 0; i < kPerWord; ++i) row[i] = rows + order[i] * stride;
  for (size_t line = 0; line < n_lines; ++line) {
    uint32_t word = 0;
    if constexpr (kBits == 4) {
      // Pairs first: half as many bytes are widened.
      for (size_t i = 0; i < kPerWord; i += 2) {
        word |= uint32_t{static_cast<uint8_t>(row[i][line] | row[i + 1][line] << 4)} << (4 * i);
      }
    } else {
      for (size_t i = 0; i < kPerWord; ++i) word |= uint32_t{row[i][line]} << (8 * i);
    }
    words[line] = word;
  }
}

// Numbers [n_rows, n_lines] of rows first_row ≤ n of N, as words of [n_lines, N · kBits/32].
template <int kBits>
void pack_rows(std::span<const uint8_t> rows, size_t first_row, size_t n_rows, Tensor& words_out) {
  constexpr size_t kPerWord = 32 / kBits;
  const auto n_lines = static_cast<size_t>(words_out.shape()[0]);
  const auto words_per_line = static_cast<size_t>(words_out.shape()[1]);
  uint32_t* const out = words_out.as<uint32_t>().data() + first_row / kPerWord;
  const size_t n_all = n_rows / kPerWord;
  uint32_t words[kWords][kLines];
  for (size_t first = 0; first < n_all; first += kWords) {
    const size_t n_words = std::min(kWords, n_all - first);
    for (size_t line = 0; line < n_lines; line += kLines) {
      const size_t n = std::min(kLines, n_lines - line);
      for (size_t c = 0; c < n_words; ++c) {
        pack_words<kBits>(rows.data() + (first + c) * kPerWord * n_lines + line, n_lines, n, words[c]);
      }
      for (size_t i = 0; i < n; ++i) {
        for (size_t c = 0; c < n_words; ++c) out[(line + i) * words_per_line + first + c] = words[c][i];
      }
    }
  }
}

}  // namespace

void Q4Integers::dequantize_row(size_t row, float* out) const {
  const size_t groups = n_groups();
  for (size_t k = 0; k < n_cols; ++k) {
    const size_t group = row * groups + k / group_size;
    out[k] = static_cast<float>(nibbles[row * n_cols + k] - zeros[group]) * f16_to_f32(scales[group]);
  }
}

Result<AwqTensors> create_awq(size_t n_out, size_t n_in, size_t group_size, int bits) {
  if (!awq_can_hold(n_out)) {
    return fail(ErrorCode::kInvalidArgument, "the AWQ layout needs a multiple of 8 outputs, found ", n_out);
  }
  AwqTensors out;
  out.group_size = group_size;
  SUTRA_ASSIGN(out.qweight, Tensor::create(Dtype::kI32, awq_qweight_shape(n_out, n_in, bits)));
  SUTRA_ASSIGN(out.qzeros, Tensor::create(Dtype::kI32, awq_qzeros_shape(n_out, n_in, group_size, bits)));
  SUTRA_ASSIGN(out.scales, Tensor::create(Dtype::kF16, awq_scales_shape(n_out, n_in, group_size)));
  return out;
}

void pack_awq(const Q4Integers& rows, size_t first_row, AwqTensors& out) {
  SUTRA_ASSERT(awq_can_hold(first_row) && awq_can_hold(rows.n_rows) && rows.group_size == out.group_size);
  const auto pack = rows.bits == 8 ? pack_rows<8> : pack_rows<4>;
  pack(rows.nibbles, first_row, rows.n_rows, out.qweight);
  pack(rows.zeros, first_row, rows.n_rows, out.qzeros);
  const size_t n_groups = rows.n_groups();
  const auto n_out = static_cast<size_t>(out.scales.shape()[1]);
  const auto scales = out.scales.as<uint16_t>();
  for (size_t row = 0; row < rows.n_rows; ++row) {
    for (size_t group = 0; group < n_groups; ++group) {
      scales[group * n_out + first_row + row] = rows.scales[row * n_groups + group];
    }
  }
}

Result<AwqTensors> to_awq(const Q4Integers& matrix) {
  SUTRA_ASSIGN(AwqTensors out, create_awq(matrix.n_rows, matrix.n_cols, matrix.group_size, matrix.bits));
  pack_awq(matrix, 0, out);
  return out;
}

}  // namespace sutra
