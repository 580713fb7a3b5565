#include <algorithm>

#include "base/checked.h"
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

// rows [N, n_lines] of numbers as words [n_lines, N · kBits/32].
template <int kBits>
void pack_rows(std::span<const uint8_t> rows, size_t n_lines, size_t n_out, std::span<uint32_t> out) {
  constexpr size_t kPerWord = 32 / kBits;
  const size_t words_per_line = n_out / kPerWord;
  uint32_t words[kWords][kLines];
  for (size_t first = 0; first < words_per_line; first += kWords) {
    const size_t n_words = std::min(kWords, words_per_line - first);
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

Result<AwqTensors> to_awq(const Q4Integers& matrix) {
  if (!awq_can_hold(matrix.n_rows)) {
    return fail(ErrorCode::kInvalidArgument, "the AWQ layout needs a multiple of 8 outputs, found ", matrix.n_rows);
  }
  const size_t n_out = matrix.n_rows;
  const size_t n_groups = matrix.n_groups();
  AwqTensors out;
  out.group_size = matrix.group_size;
  SUTRA_ASSIGN(out.qweight, Tensor::create(Dtype::kI32, awq_qweight_shape(n_out, matrix.n_cols, matrix.bits)));
  SUTRA_ASSIGN(out.qzeros,
               Tensor::create(Dtype::kI32, awq_qzeros_shape(n_out, matrix.n_cols, matrix.group_size, matrix.bits)));
  SUTRA_ASSIGN(out.scales, Tensor::create(Dtype::kF16, awq_scales_shape(n_out, matrix.n_cols, matrix.group_size)));
  const auto pack = matrix.bits == 8 ? pack_rows<8> : pack_rows<4>;
  pack(matrix.nibbles, matrix.n_cols, n_out, out.qweight.as<uint32_t>());
  pack(matrix.zeros, n_groups, n_out, out.qzeros.as<uint32_t>());
  const auto scales = out.scales.as<uint16_t>();
  for (size_t row = 0; row < n_out; ++row) {
    for (size_t group = 0; group < n_groups; ++group)
      scales[group * n_out + row] = matrix.scales[row * n_groups + group];
  }
  return out;
}

}  // namespace sutra
