#include "quant/gptq.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/assert.h"
#include "base/half.h"
#include "quant/rtn.h"

namespace sutra {
namespace {

constexpr size_t kBlock = InputStatistics::kBlock;
// Added to the diagonal of H, as a share of its mean: GPTQ's.
constexpr double kDamping = 0.01;

// A symmetric positive definite matrix [n, n] becomes the factor L of A = L·Lᵀ, in its lower triangle. What a column takes
// off the rest is taken off at once: whole rows, no sum that waits for itself.
void factorise(std::vector<double>& a, size_t n) {
  std::vector<double> column(n);
  for (size_t j = 0; j < n; ++j) {
    const double pivot = std::sqrt(a[j * n + j]);
    for (size_t i = j; i < n; ++i) column[i] = a[i * n + j] /= pivot;
    for (size_t i = j + 1; i < n; ++i) {
      double* const row = a.data() + i * n;
      for (size_t k = j + 1; k <= i; ++k) row[k] -= column[i] * column[k];
    }
  }
}

// The inverse of L [n, n], row by row of both.
std::vector<double> invert(const std::vector<double>& l, size_t n) {
  std::vector<double> inverse(n * n);
  for (size_t i = 0; i < n; ++i) {
    double* const row = inverse.data() + i * n;
    for (size_t k = 0; k < i; ++k) {
      const double factor = l[i * n + k];
      for (size_t j = 0; j <= k; ++j) row[j] -= factor * inverse[k * n + j];
    }
    row[i] = 1;
    for (size_t j = 0; j <= i; ++j) row[j] /= l[i * n + i];
  }
  return inverse;
}

// What the error of each column takes off those after it: U of H⁻¹ = Uᵀ·U, its rows over their diagonal [n, n].
//
// With the columns in reverse, H' = L·Lᵀ, and U is L'⁻¹ reversed: no inverse of H is needed.
std::vector<float> compensation(const InputStatistics& input, size_t first, size_t n) {
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += input.product(first + i, first + i);
  // A block whose input is always zero: any rounding is as good.
  const double damping = trace > 0 ? kDamping * trace / static_cast<double>(n) : 1;
  std::vector<double> reversed(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      const size_t row = n - 1 - i, column = n - 1 - j;
      reversed[i * n + j] = input.product(first + std::min(row, column), first + std::max(row, column));
    }
    reversed[i * n + i] += damping;
  }
  factorise(reversed, n);
  const std::vector<double> inverse = invert(reversed, n);
  std::vector<float> out(n * n);
  for (size_t i = 0; i < n; ++i) {
    const size_t from = n - 1 - i;
    for (size_t j = i; j < n; ++j) {
      out[i * n + j] = static_cast<float>(inverse[from * n + (n - 1 - j)] / inverse[from * n + from]);
    }
  }
  return out;
}

// Added to a number below 2^22 and taken away again it leaves a whole one, halves going to the even one; larger ones stay
// beyond all levels. Without a call, so that the compiler can make lanes of it.
float round_whole(float value) {
  constexpr float kRound = 12582912.0f;
  return (value + kRound) - kRound;
}

// Rows that are rounded together: each is a lane of what the compiler makes of the loops.
constexpr size_t kRows = 16;

// Some rows of a block of columns.
struct Block {
  std::span<const float> weights;  // from the first on
  size_t stride, n_rows, n;
};

void round_block(const Block& block, std::span<const float> factors, const RoundingFormat& format, size_t row,
                 size_t column, Q4Integers& out) {
  const size_t group_size = format.group_size;
  const float lowest = format.lowest(), levels = format.levels();
  float weights[kBlock][kRows] = {};
  uint8_t rounded[kBlock][kRows];
  for (size_t r = 0; r < block.n_rows; ++r) {
    for (size_t i = 0; i < block.n; ++i) weights[i][r] = block.weights[r * block.stride + i];
  }
  float scales[kRows], zeros[kRows];
  std::ranges::fill(scales, 1.0f);
  std::ranges::fill(zeros, 0.0f);
  for (size_t i = 0; i < block.n; ++i) {
    if (i % group_size == 0) {
      for (size_t r = 0; r < block.n_rows; ++r) {
        const size_t group = (row + r) * out.n_groups() + (column + i) / group_size;
        scales[r] = f16_to_f32(out.scales[group]);
        zeros[r] = out.zeros[group];
      }
    }
    float errors[kRows];
    for (size_t r = 0; r < kRows; ++r) {
      const float whole = round_whole(weights[i][r] / scales[r]), low = lowest - zeros[r], high = levels - zeros[r];
      const float steps = whole < low ? low : whole > high ? high : whole;
      errors[r] = weights[i][r] - steps * scales[r];
      rounded[i][r] = static_cast<uint8_t>(static_cast<int>(steps + zeros[r]));
    }
    for (size_t j = i + 1; j < block.n; ++j) {
      const float factor = factors[i * block.n + j];
      for (size_t r = 0; r < kRows; ++r) weights[j][r] -= errors[r] * factor;
    }
  }
  for (size_t r = 0; r < block.n_rows; ++r) {
    for (size_t i = 0; i < block.n; ++i) out.nibbles[(row + r) * out.n_cols + column + i] = rounded[i][r];
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
