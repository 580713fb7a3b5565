#include "quant/packed_rows.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/checked.h"
#include "base/half.h"
#include "kernels/gemm_q4/layout.h"

namespace sutra {
namespace {

constexpr size_t kNibblesPerWord = 8;

uint8_t nibble(uint32_t word, size_t index) { return static_cast<uint8_t>(word >> (4 * index) & 15u); }

// A matrix as its file has it: words [N, words_per_row], zeros and scales [N, G] of groups of `group_size` columns.
struct Rows {
  std::span<const uint32_t> words;
  size_t words_per_row;
  std::vector<uint8_t> zeros;
  std::vector<uint16_t> scales;
  size_t group_size;
};

// Sixteen rows at a time, which are a tile of the layout.
Result<Q4Matrix> pack(const Rows& rows, size_t n_out, size_t n_in, std::string_view name) {
  SUTRA_ASSIGN(const size_t group_size, kernel_group_size(rows.group_size, n_in));
  SUTRA_ASSIGN(Q4Matrix matrix, Q4Matrix::create(n_out, n_in, group_size));
  const size_t n_groups = matrix.view().n_groups(), n_file_groups = div_up(n_in, rows.group_size);
  const size_t tile_bytes = matrix.view().tile_bytes();
  std::vector<uint8_t> nibbles(kernels::kQ4TileRows * n_in), zeros(kernels::kQ4TileRows * n_groups);
  std::vector<uint16_t> scales(kernels::kQ4TileRows * n_groups);
  for (size_t first = 0; first < n_out; first += kernels::kQ4TileRows) {
    const size_t n_rows = std::min(kernels::kQ4TileRows, n_out - first);
    for (size_t r = 0; r < n_rows; ++r) {
      const std::span<const uint32_t> words = rows.words.subspan((first + r) * rows.words_per_row, rows.words_per_row);
      for (size_t k = 0; k < n_in; ++k) {
        nibbles[r * n_in + k] = nibble(words[k / kNibblesPerWord], k % kNibblesPerWord);
      }
      for (size_t g = 0; g < n_groups; ++g) {
        const size_t from = (first + r) * n_file_groups + g * group_size / rows.group_size;
        zeros[r * n_groups + g] = rows.zeros[from];
        scales[r * n_groups + g] = rows.scales[from];
      }
    }
    const kernels::Q4Parts parts{std::span(nibbles).first(n_rows * n_in), std::span(zeros).first(n_rows * n_groups),
                                 std::span(scales).first(n_rows * n_groups)};
    const std::span<std::byte> tile = matrix.bytes().subspan(first / kernels::kQ4TileRows * tile_bytes, tile_bytes);
    if (const Status status = kernels::pack_q4(parts, n_rows, n_in, group_size, tile); !status) {
      return fail(status.error().code, "matrix '", printable(name), "', rows from ", first,
                  " on: ", status.error().message);
    }
  }
  return matrix;
}

// Words of qzeros a row in the gemv layout.
size_t gemv_zeros_width(size_t n_groups, size_t group_size) {
  const size_t multiple = group_size >= 128 ? 1 : 128 / group_size;
  return round_up(div_up(n_groups, kNibblesPerWord), multiple);
}

// weight_scale [N, G] as binary16.
Result<std::vector<uint16_t>> take_scales(WeightMap& weights, const std::string& name, const Shape& shape) {
  SUTRA_ASSIGN(const Tensor tensor, weights.take(name, kAnyFloat, shape));
  SUTRA_ASSIGN(const Tensor wide, to_f32(tensor.view()));
  std::vector<uint16_t> halves;
  halves.reserve(wide.as<float>().size());
  for (const float scale : wide.as<float>()) {
    halves.push_back(f32_to_f16(scale));
    if (!std::isfinite(f16_to_f32(halves.back()))) {
      return fail(ErrorCode::kNonFinite, "tensor '", printable(name), "': a scale is ", static_cast<double>(scale),
                  ", which 16 bits do not hold");
    }
  }
  return halves;
}

// Zeros [N, G] with 8 added; 8 itself where the file has none.
Result<std::vector<uint8_t>> take_zeros(WeightMap& weights, const std::string& name, size_t n_out, size_t n_groups) {
  std::vector<uint8_t> zeros(n_out * n_groups, 8);
  const Tensor* const stored = weights.find(name);
  if (stored == nullptr) return zeros;
  if (stored->dtype() == Dtype::kI8) {
    SUTRA_ASSIGN(const Tensor tensor, weights.take(name, {Dtype::kI8}, {n_out, n_groups}));
    const auto values = tensor.as<int8_t>();
    for (size_t i = 0; i < zeros.size(); ++i) {
      if (values[i] < -8 || values[i] > 7) {
        return fail(ErrorCode::kMalformed, "tensor '", printable(name),
                    "': a zero point of 4 bits is from -8 to 7, found ", static_cast<int>(values[i]));
      }
      zeros[i] = static_cast<uint8_t>(values[i] + 8);
    }
    return zeros;
  }
  SUTRA_ASSIGN(const Tensor tensor, weights.take(name, {Dtype::kI32}, {div_up(n_out, kNibblesPerWord), n_groups}));
  const auto words = tensor.as<uint32_t>();
  for (size_t row = 0; row < n_out; ++row) {
    for (size_t g = 0; g < n_groups; ++g) {
      zeros[row * n_groups + g] = nibble(words[row / kNibblesPerWord * n_groups + g], row % kNibblesPerWord);
    }
  }
  return zeros;
}

}  // namespace

bool has_packed(const WeightMap& weights, std::string_view name, PackedLayout layout) {
  return weights.contains(concat(name, layout == PackedLayout::kPackQuantized ? ".weight_packed" : ".qweight"));
}

Result<WeightMatrix> take_packed(WeightMap& weights, std::string_view name, size_t n_out, size_t n_in,
                                 const PackedConfig& config, bool exact) {
  if (config.bits == 8) {
    SUTRA_ASSIGN(const AwqTensors parts, weights.take_awq_parts(name, n_out, n_in, config.group_size, 8));
    if (exact) return widen_awq_bytes(parts, name);
    return repack_awq_bytes(parts, name);
  }
  const auto take_nibbles = [&] {
    if (config.layout == PackedLayout::kAwqGemv) return take_gemv(weights, name, n_out, n_in, config.group_size);
    if (config.layout == PackedLayout::kPackQuantized) {
      return take_pack_quantized(weights, name, n_out, n_in, config.group_size);
    }
    return weights.take_awq(name, n_out, n_in, config.group_size);
  };
  SUTRA_ASSIGN(Q4Matrix matrix, take_nibbles());
  if (!exact) return matrix;
  return widen(matrix);
}

Result<size_t> kernel_group_size(size_t group_size, size_t n_in) {
  if (kernels::q4_group_size_supported(group_size)) return group_size;
  // One group a row fits whatever the kernels' groups are.
  if (group_size >= n_in || group_size % kernels::kQ4MaxGroupSize == 0) return kernels::kQ4MaxGroupSize;
  return fail(ErrorCode::kUnsupported, "groups of ", group_size,
              " columns are not supported: 32, 64 and multiples of 128 are");
}

Result<Q4Matrix> take_gemv(WeightMap& weights, std::string_view name, size_t n_out, size_t n_in, size_t group_size) {
  if (group_size == 0) group_size = n_in;
  if (n_in % kNibblesPerWord != 0 || n_in % group_size != 0) {
    return fail(ErrorCode::kShapeMismatch, "matrix '", printable(name), "' has ", n_in,
                " inputs; the gemv layout needs a multiple of 8 and of the group size ", group_size);
  }
  const size_t n_groups = n_in / group_size, zeros_width = gemv_zeros_width(n_groups, group_size);
  const size_t words_per_row = n_in / kNibblesPerWord, scales_width = zeros_width * kNibblesPerWord;
  SUTRA_ASSIGN(const Tensor qweight, weights.take(concat(name, ".qweight"), {Dtype::kI32}, {n_out, words_per_row}));
  SUTRA_ASSIGN(const Tensor qzeros, weights.take(concat(name, ".qzeros"), {Dtype::kI32}, {n_out, zeros_width}));
  SUTRA_ASSIGN(const Tensor scales, weights.take(concat(name, ".scales"), {Dtype::kF16}, {n_out, scales_width}));
  Rows rows{qweight.as<uint32_t>(), words_per_row, {}, {}, group_size};
  for (size_t row = 0; row < n_out; ++row) {
    for (size_t g = 0; g < n_groups; ++g) {
      rows.zeros.push_back(nibble(qzeros.as<uint32_t>()[row * zeros_width + g / kNibblesPerWord], g % kNibblesPerWord));
      rows.scales.push_back(scales.as<uint16_t>()[row * scales_width + g]);
    }
  }
  return pack(rows, n_out, n_in, name);
}

Result<Q4Matrix> take_pack_quantized(WeightMap& weights, std::string_view name, size_t n_out, size_t n_in,
                                     size_t group_size) {
  if (group_size == 0) group_size = n_in;
  const size_t n_groups = div_up(n_in, group_size), words_per_row = div_up(n_in, kNibblesPerWord);
  const std::string shape_name = concat(name, ".weight_shape");
  if (weights.contains(shape_name)) {
    SUTRA_ASSIGN(const Tensor shape, weights.take(shape_name, {Dtype::kI64}, {2}));
    const auto dims = shape.as<int64_t>();
    if (dims[0] != static_cast<int64_t>(n_out) || dims[1] != static_cast<int64_t>(n_in)) {
      return fail(ErrorCode::kShapeMismatch, "tensor '", printable(shape_name), "': expected [", n_out, ", ", n_in,
                  "], found [", dims[0], ", ", dims[1], "]");
    }
  }
  SUTRA_ASSIGN(const Tensor packed,
               weights.take(concat(name, ".weight_packed"), {Dtype::kI32}, {n_out, words_per_row}));
  Rows rows{packed.as<uint32_t>(), words_per_row, {}, {}, group_size};
  SUTRA_ASSIGN(rows.scales, take_scales(weights, concat(name, ".weight_scale"), {n_out, n_groups}));
  SUTRA_ASSIGN(rows.zeros, take_zeros(weights, concat(name, ".weight_zero_point"), n_out, n_groups));
  return pack(rows, n_out, n_in, name);
}

}  // namespace sutra
