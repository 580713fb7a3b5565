#include "quant/gptq.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/assert.h"
#include "base/checked.h"
#include "base/half.h"
#include "kernels/rounding/rounding.h"
#include "quant/rtn.h"

namespace sutra {
namespace {

constexpr size_t kBlock = InputStatistics::kBlock;
// Added to the diagonal of H, as a share of its mean: GPTQ's.
constexpr double kDamping = 0.01;

// What the error of each column takes off those after it: U of H⁻¹ = Uᵀ·U, its rows over their diagonal [n, n].
//
// With the columns in reverse, H' = L·Lᵀ, and U is L'⁻¹ reversed: no inverse of H is needed.
std::vector<float> compensation(const InputStatistics& input, size_t first, size_t n) {
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += input.product(first + i, first + i);
  // A block whose input is always zero: any rounding is as good.
  const double damping = trace > 0 ? kDamping * trace / static_cast<double>(n) : 1;
  // Columns that are none, at the end, are independent of all others.
  const size_t n_padded = round_up(n, size_t{16});
  std::vector<double> reversed(n_padded * n_padded), inverse(n_padded * n_padded);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i; j < n; ++j) {
      reversed[i * n_padded + j] = input.product(first + n - 1 - j, first + n - 1 - i);
    }
    reversed[i * n_padded + i] += damping;
  }
  for (size_t i = n; i < n_padded; ++i) reversed[i * n_padded + i] = 1;
  kernels::inverse_factor(reversed.data(), inverse.data(), n_padded);
  std::vector<float> out(n * n);
  for (size_t i = 0; i < n; ++i) {
    const double* const from = inverse.data() + (n - 1 - i) * n_padded;
    for (size_t j = i; j < n; ++j) out[i * n + j] = static_cast<float>(from[n - 1 - j] / from[n - 1 - i]);
  }
  return out;
}

constexpr size_t kRows = kernels::kCompensatedRows;

// Some rows of a block of columns.
struct Block {
  std::span<const float> weights;  // from the first on
  size_t stride, n_rows, n;
};

void round_block(const Block& block, std::span<const float> factors, const RoundingFormat& format, size_t row,
                 size_t column, Q4Integers& out) {
  float weights[kBlock * kRows] = {}, rounded[kBlock * kRows];
  for (size_t r = 0; r < block.n_rows; ++r) {
    for (size_t i = 0; i < block.n; ++i) weights[i * kRows + r] = block.weights[r * block.stride + i];
  }
  const size_t n_groups = div_up(block.n, format.group_size), first_group = column / format.group_size;
  std::vector<float> scales(n_groups * kRows, 1.0f), zeros(n_groups * kRows, 0.0f);
  for (size_t group = 0; group < n_groups; ++group) {
    for (size_t r = 0; r < block.n_rows; ++r) {
      const size_t from = (row + r) * out.n_groups() + first_group + group;
      scales[group * kRows + r] = f16_to_f32(out.scales[from]);
      zeros[group * kRows + r] = out.zeros[from];
    }
  }
  kernels::compensated_rounding(
      {block.n, format.group_size, factors.data(), scales.data(), zeros.data(), format.lowest(), format.levels()},
      weights, rounded);
  for (size_t r = 0; r < block.n_rows; ++r) {
    uint8_t* const to = out.nibbles.data() + (row + r) * out.n_cols + column;
    for (size_t i = 0; i < block.n; ++i) to[i] = static_cast<uint8_t>(static_cast<int>(rounded[i * kRows + r]));
  }
}

}  // namespace

Q4Integers quantize_gptq(const CalibratedMatrix& matrix, const RoundingFormat& format, std::span<const float> limits,
                         ThreadPool& pool) {
  SUTRA_ASSERT(matrix.input != nullptr);
  const size_t n_out = matrix.n_out, n_in = matrix.n_in();
  Q4Integers out = quantize_rtn(matrix.weights, n_out, n_in, format, limits, &pool);
  for (size_t first = 0; first < n_in; first += kBlock) {
    const size_t n = std::min(kBlock, n_in - first);
    const std::vector<float> factors = compensation(*matrix.input, first, n);
    pool.parallel_for(n_out, kRows, 8 * pool.size(), [&](size_t first_row, size_t last_row) {
      for (size_t row = first_row; row < last_row; row += kRows) {
        round_block({matrix.weights.subspan(row * n_in + first), n_in, std::min(kRows, last_row - row), n}, factors,
                    format, row, first, out);
      }
    });
  }
  return out;
}

}  // namespace sutra
