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

// A symmetric positive definite matrix [n, n] becomes the factor L of A = L·Lᵀ, in its lower triangle.
void factorise(std::vector<double>& a, size_t n) {
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
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
  // The inverse of L, column by column, by forward substitution.
  std::vector<double> inverse(n * n);
  for (size_t j = 0; j < n; ++j) {
    inverse[j * n + j] = 1 / reversed[j * n + j];
    for (size_t i = j + 1; i < n; ++i) {
      double sum = 0;
      for (size_t k = j; k < i; ++k) sum -= reversed[i * n + k] * inverse[k * n + j];
      inverse[i * n + j] = sum / reversed[i * n + i];
    }
  }
  std::vector<float> out(n * n);
  for (size_t i = 0; i < n; ++i) {
    const size_t from = n - 1 - i;
    for (size_t j = i; j < n; ++j) {
      out[i * n + j] = static_cast<float>(inverse[from * n + (n - 1 - j)] / inverse[from * n + from]);
    }
  }
  return out;
}

}  // namespace

Q4Integers quantize_gptq(const CalibratedMatrix& matrix, const RoundingFormat& format, std::span<const float> limits,
                         ThreadPool& pool) {
  SUTRA_ASSERT(matrix.input != nullptr);
  const size_t n_out = matrix.n_out, n_in = matrix.n_in();
  const float levels = format.levels();
  Q4Integers out = quantize_rtn(matrix.weights, n_out, n_in, format, limits, &pool);
  const size_t n_groups = out.n_groups();
  for (size_t first = 0; first < n_in; first += kBlock) {
    const size_t n = std::min(kBlock, n_in - first);
    const std::vector<float> factors = compensation(*matrix.input, first, n);
    pool.parallel_for(n_out, 1, 8 * pool.size(), [&](size_t first_row, size_t last_row) {
      float w[kBlock];
      for (size_t row = first_row; row < last_row; ++row) {
        std::copy_n(matrix.weights.data() + row * n_in + first, n, w);
        for (size_t i = 0; i < n; ++i) {
          const size_t group = row * n_groups + (first + i) / format.group_size;
          const float scale = f16_to_f32(out.scales[group]), zero = out.zeros[group];
          const float q = std::clamp(std::nearbyint(w[i] / scale) + zero, 0.0f, levels);
          out.nibbles[row * n_in + first + i] = static_cast<uint8_t>(q);
          const float error = w[i] - (q - zero) * scale;
          for (size_t j = i + 1; j < n; ++j) w[j] -= error * factors[i * n + j];
        }
      }
    });
  }
  return out;
}

}  // namespace sutra
