#include "quant/awq_format.h"

#include <algorithm>

#include "base/checked.h"
#include "base/half.h"
#include "quant/awq_packer.h"

namespace sutra {
namespace {

constexpr size_t numbers_per_word(int bits) { return 32 / static_cast<size_t>(bits); }

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

}  // namespace sutra
