// Activation-aware weight quantisation: which scales of the input channels, and which ranges of the groups, make the
// error of a linear layer's output least. Lin et al. 2023, "AWQ", arXiv:2306.00978, sections 3.2 and 4.1; the grids are
// those of llm-awq and AutoAWQ.
//
//   s = x̄^r  (plain)  or  x̄^r / (w̄^(1−r) + 1e-4)  (duo),  r = 0, 1/20 … 19/20,  s ≥ 1e-4,  s ← s / √(max s · min s)
//
// x̄ [K] is the mean of |x|, w̄ [K] the mean over rows of |w| over the largest of its group. W·s is rounded, x/s multiplies it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "quant/awq_format.h"
#include "quant/input_statistics.h"

namespace sutra {

// A matrix W [N, K] and what its inputs are like. The weights are finite.
struct CalibratedMatrix {
  std::span<const float> weights;
  size_t n_out;
  const InputStatistics* input;  // null, for search_limits() only: independent inputs of equal variance

  [[nodiscard]] size_t n_in() const { return weights.size() / n_out; }
};

inline constexpr size_t kScaleSteps = 20;
// A multiple of what the searches look at: on so many rows of a matrix, evenly spaced, they find what they find on all.
inline constexpr size_t kSearchedRows = 8192;

struct ScaleChoice {
  size_t step = 0;  // of r = step / 20
  bool duo = false;
  std::vector<float> s;  // [K], 1 where the rounding is best without
  // Mean squared error of the outputs with s = 1 and with s, of some rows and samples.
  double error_unscaled = 0, error = 0;
  [[nodiscard]] float ratio() const { return static_cast<float>(step) / kScaleSteps; }
};

// The scales of one candidate. x_mean, w_mean [K].
std::vector<float> scale_candidate(std::span<const float> x_mean, std::span<const float> w_mean, size_t step, bool duo);
// w̄ over the rows of all matrices, which have n_in columns; of each matrix at most kSearchedRows, evenly spaced.
std::vector<float> mean_weights(std::span<const CalibratedMatrix> matrices, size_t n_in, size_t group_size);

// Indices of at most max_rows of n rows, evenly spaced.
std::vector<size_t> spread_rows(size_t n, size_t max_rows);
// Mean square of the outputs that `rows`, [n, K] of a matrix, have on the samples of the input.
double mean_square_output(std::span<const float> rows, const InputStatistics& input);

// Mean over samples and rows of (x·(Q(w·s)/s − w))², for at most `max_rows` rows of each matrix, evenly spaced. An empty s
// is 1.
double output_error(std::span<const CalibratedMatrix> matrices, std::span<const float> s, const RoundingFormat& format,
                    size_t max_rows);

// One s for matrices that share an input, or inputs that are scaled together. `tied`: empty, or for each channel the
// slot of those that must have the same s. All candidates are compared by the moments of the inputs, the best of them by
// the samples. At least one matrix; each has a row.
ScaleChoice search_scales(std::span<const CalibratedMatrix> matrices, std::span<const uint32_t> tied,
                          const RoundingFormat& format, ThreadPool& pool);

// For every row and group of W the magnitude [N, G] beyond which weights are cut off: the largest of the group times
// 1, 0.95 … 0.55, whichever makes the error of the group's part of the output least.
std::vector<float> search_limits(const CalibratedMatrix& matrix, const RoundingFormat& format, ThreadPool& pool);

}  // namespace sutra
