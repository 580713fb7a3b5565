#include "quant/relative_error.h"

#include <cmath>

#include "quant/awq_search.h"

namespace sutra {

RelativeError::RelativeError(size_t n_rows, const InputStatistics* input)
    : rows_(spread_rows(n_rows, kRows)), input_(input) {}

void RelativeError::add(const Q4Integers& quantised, size_t first, std::span<const float> weights) {
  const size_t n_in = quantised.n_cols;
  for (; next_ < rows_.size() && rows_[next_] < first + quantised.n_rows; ++next_) {
    const size_t row = rows_[next_] - first;
    const auto source = weights.subspan(row * n_in, n_in);
    source_.insert(source_.end(), source.begin(), source.end());
    error_.resize(source_.size());
    const std::span<float> error = std::span(error_).last(n_in);
    quantised.dequantize_row(row, error.data());
    for (size_t k = 0; k < n_in; ++k) error[k] -= source[k];
  }
}

double RelativeError::value() const {
  const double whole = rms(source_);
  return whole > 0 ? rms(error_) / whole : 0;
}

double RelativeError::rms(std::span<const float> values) const {
  if (input_ != nullptr) return std::sqrt(mean_square_output(values, *input_));
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  return std::sqrt(squares);
}

}  // namespace sutra
