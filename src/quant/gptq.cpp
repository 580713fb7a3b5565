#include "quant/gptq.h"

#include <algorithm>
#include <bit>
#include <cstring>
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

// The rows beside each other, [n, kRows]; where they are fewer, the last one again.
void load_columns(const Block& block, float* weights) {
  for (size_t r = 0; r < kRows; r += 4) {
    const float* rows[4];
    for (size_t k = 0; k < 4; ++k) rows[k] = block.weights.data() + std::min(r + k, block.n_rows - 1) * block.stride;
    for (size_t i = 0; i < block.n; ++i) {
      for (size_t k = 0; k < 4; ++k) weights[i * kRows + r + k] = rows[k][i];
    }
  }
}

// Whole numbers 0 … 255 of columns [n, kRows] as bytes of rows. What is added leaves them in a float's lowest bits.
void store_rows(const float* columns, size_t n, size_t n_rows, uint8_t* out, size_t stride) {
  constexpr float kRound = 12582912.0f;
  uint32_t words[kBlock / 4][kRows];
  for (size_t c = 0; c < div_up(n, size_t{4}); ++c) {
    for (size_t r = 0; r < kRows; ++r) {
      words[c][r] = 0;
      for (size_t k = 0; k < 4; ++k) {
        words[c][r] |= (std::bit_cast<uint32_t>(columns[(4 * c + k) * kRows + r] + kRound) & 0xffu) << 8 * k;
      }
    }
  }
  for (size_t r = 0; r < n_rows; ++r) {
    uint32_t row[kBlock / 4];
    for (size_t c = 0; c < div_up(n, size_t{4}); ++c) row[c] = words[c][r];
    std::memcpy(out + r * stride, row, n);
  }
}

void round_block(const Block& block, std::span<const float> factors, const RoundingFormat& format, size_t row,
                 size_t column, Q4Integers& out) {
  float weights[kBlock * kRows], rounded[kBlock * kRows] = {};
  load_columns(block, weights);
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
  store_rows(rounded, block.n, block.n_rows, out.nibbles.data() + row * out.n_cols + column, out.n_cols);
}

}  // namespace

Q4Integers quantize_gptq(const CalibratedMatrix& matrix, const RoundingFormat& format, std::span<const float> limits,
                         ThreadPool& pool) {
  SUTRA_ASSERT(matrix.input != nullptr);
  const size_t n_out = matrix.n_out, n_in = matrix.n_in();
  Q4Integers out = rtn_grid(matrix.weights, n_out, n_in, format, limits, pool);
  const size_t n_blocks = div_up(n_in, kBlock), n_strips = div_up(n_out, kRows);
  std::vector<std::vector<float>> factors(n_blocks);
  pool.parallel_for(n_blocks, 1, n_blocks, [&](size_t first, size_t last) {
    for (size_t block = first; block < last; ++block) {
      const size_t column = block * kBlock;
      factors[block] = compensation(*matrix.input, column, std::min(kBlock, n_in - column));
    }
  });
  // All rows of a block, then the next one: its factors stay in the cache.
  pool.parallel_for(n_blocks * n_strips, 1, 8 * pool.size(), [&](size_t first, size_t last) {
    for (size_t piece = first; piece < last; ++piece) {
      const size_t column = piece / n_strips * kBlock, row = piece % n_strips * kRows;
      round_block({matrix.weights.subspan(row * n_in + column), n_in, std::min(kRows, n_out - row),
                   std::min(kBlock, n_in - column)},
                  factors[piece / n_strips], format, row, column, out);
    }
  });
  return out;
}

}  // namespace sutra
