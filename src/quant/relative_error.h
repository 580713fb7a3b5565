// The error that rounding makes of a matrix's outputs, over the outputs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "quant/awq_format.h"
#include "quant/input_statistics.h"

namespace sutra {

// rms over rms of some rows, on the samples of the input; without statistics, for inputs of equal variance.
class RelativeError {
 public:
  // Rows of a matrix that are measured, evenly spaced.
  static constexpr size_t kRows = 64;

  // `input` may be null; else it must outlive this.
  RelativeError(size_t n_rows, const InputStatistics* input);

  // Rows from `first` on, which come one after the other: as they are written, and as they are [N, K].
  void add(const Q4Integers& quantised, size_t first, std::span<const float> weights);
  [[nodiscard]] double value() const;

 private:
  [[nodiscard]] double rms(std::span<const float> values) const;

  std::vector<size_t> rows_;
  const InputStatistics* input_;
  size_t next_ = 0;
  std::vector<float> source_, error_;
};

}  // namespace sutra
