#include "quant/awq_format.h"

#include <algorithm>

#include "base/checked.h"
#include "base/half.h"
#include "quant/awq_packer.h"

namespace sutra {
namespace {

constexpr size_t numbers_per_word(int bits) { return 32 / static_cast<size_t>(bits); }

// rows [N, n_lines] of numbers as words [n_lines, N · bits/32].
void pack_rows(std::span<const uint8_t> rows, size_t n_lines, size_t n_out, int bits, std::span<uint32_t> words) {
  const size_t per_word = numbers_per_word(bits), words_per_line = n_out / per_word;
  const size_t* const order = bits == 8 ? kAwqByteOrder.data() : kAwqOrder.data();
  for (size_t line = 0; line < n_lines; ++line) {
    for (size_t c = 0; c < words_per_line; ++c) {
      uint32_t word = 0;
      for (size_t i = 0; i < per_word; ++i) {
        word |= static_cast<uint32_t>(rows[(c * per_word + order[i]) * n_lines + line]) << (bits * static_cast<int>(i));
      }
      words[line * words_per_line + c] = word;
    }
  }
}

// Number `output` of a line of words of 8 bits.
int byte_of(std::span<const uint32_t> line, size_t output) {
  // The order is its own inverse.
  const size_t shift = 8 * kAwqByteOrder[output % 4];
  return static_cast<int>(line[output / 4] >> shift & 0xffu);
}

// Rows first ≤ row < first + n as float32 [n, K].
void widen_byte_rows(const AwqTensors& tensors, size_t first, size_t n, float* out) {
  const auto n_in = static_cast<size_t>(tensors.qweight.shape()[0]);
  const auto n_out = static_cast<size_t>(tensors.scales.shape()[1]);
  const size_t words_per_line = n_out / numbers_per_word(8);
  for (size_t k = 0; k < n_in; ++k) {
    const size_t group = k / tensors.group_size;
    const auto line = tensors.qweight.as<uint32_t>().subspan(k * words_per_line, words_per_line);
    const auto zeros = tensors.qzeros.as<uint32_t>().subspan(group * words_per_line, words_per_line);
    for (size_t row = first; row < first + n; ++row) {
      const float scale = f16_to_f32(tensors.scales.as<uint16_t>()[group * n_out + row]);
      out[(row - first) * n_in + k] = static_cast<float>(byte_of(line, row) - byte_of(zeros, row)) * scale;
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

Shape awq_qweight_shape(size_t n_out, size_t n_in, int bits) { return {n_in, n_out / numbers_per_word(bits)}; }
Shape awq_qzeros_shape(size_t n_out, size_t n_in, size_t group_size, int bits) {
  return {div_up(n_in, group_size), n_out / numbers_per_word(bits)};
}
Shape awq_scales_shape(size_t n_out, size_t n_in, size_t group_size) { return {div_up(n_in, group_size), n_out}; }

Result<Q4Matrix> repack_awq(const AwqTensors& tensors, size_t n_out, size_t n_in, size_t group_size,
                            std::string_view name) {
  SUTRA_ASSIGN(AwqPacker packer, AwqPacker::create(n_out, n_in, group_size));
  packer.write(tensors.qweight.bytes());
  Q4Matrix matrix = packer.finish();
  SUTRA_TRY(set_awq_groups(tensors.qzeros.view(), tensors.scales.view(), name, matrix));
  return matrix;
}

Result<Q8Matrix> repack_awq_bytes(const AwqTensors& tensors, std::string_view name) {
  SUTRA_TRY(check_awq_scales(tensors.scales.view(), name));
  const auto n_in = static_cast<size_t>(tensors.qweight.shape()[0]);
  const auto n_out = static_cast<size_t>(tensors.scales.shape()[1]);
  SUTRA_ASSIGN(Q8Matrix matrix, Q8Matrix::create(n_out, n_in));
  const size_t tile_bytes = matrix.view().tile_bytes();
  std::vector<float> rows(kernels::Q8View::kTileRows * n_in);
  for (size_t row = 0; row < n_out; row += kernels::Q8View::kTileRows) {
    const size_t n = std::min(kernels::Q8View::kTileRows, n_out - row);
    widen_byte_rows(tensors, row, n, rows.data());
    kernels::quantize_q8(std::span(rows).first(n * n_in), n, n_in,
                         matrix.bytes().subspan(row / kernels::Q8View::kTileRows * tile_bytes, tile_bytes));
  }
  return matrix;
}

Result<Tensor> widen_awq_bytes(const AwqTensors& tensors, std::string_view name) {
  SUTRA_TRY(check_awq_scales(tensors.scales.view(), name));
  const uint64_t n_in = tensors.qweight.shape()[0], n_out = tensors.scales.shape()[1];
  SUTRA_ASSIGN(Tensor wide, Tensor::create(Dtype::kF32, {n_out, n_in}, Contents::kUndefined));
  widen_byte_rows(tensors, 0, static_cast<size_t>(n_out), wide.as<float>().data());
  return wide;
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
  pack_rows(matrix.nibbles, matrix.n_cols, n_out, matrix.bits, out.qweight.as<uint32_t>());
  pack_rows(matrix.zeros, n_groups, n_out, matrix.bits, out.qzeros.as<uint32_t>());
  const auto scales = out.scales.as<uint16_t>();
  for (size_t row = 0; row < n_out; ++row) {
    for (size_t group = 0; group < n_groups; ++group)
      scales[group * n_out + row] = matrix.scales[row * n_groups + group];
  }
  return out;
}

}  // namespace sutra
