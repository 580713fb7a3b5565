#include "quant/awq_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "base/checked.h"
#include "kernels/gemm_f/gemm_f.h"
#include "kernels/rounding/rounding.h"

namespace sutra {
namespace {

using kernels::RoundingRow;

// Rows of each matrix that candidates are compared on.
constexpr size_t kComparedRows = 64;
// Candidates that are compared by samples too, and by how many: more of either choose no better (bench/SPEED.md).
constexpr size_t kFinalists = 3;
constexpr size_t kComparedSamples = 128;

constexpr float kSmallestScale = 1e-4f;
constexpr float kSmallestLargest = 1e-6f;  // of a group's weights
// Normalised scales stay within these: what is multiplied by 1/s has to fit binary16.
constexpr float kLargestScale = 1024.0f;

// Steps of the limits: 1 − i/20 of the largest weight.
constexpr size_t kLimitSteps = 10;
constexpr float kLimitStep = 1.0f / 20;

std::vector<float> inverse_of(std::span<const float> s) {
  std::vector<float> inverse(s.size());
  std::ranges::transform(s, inverse.begin(), [](float value) { return 1 / value; });
  return inverse;
}

// What rounding does to rows of one matrix: error(row, out [K]).
class RowRounder {
 public:
  RowRounder(const CalibratedMatrix& matrix, std::span<const float> s, std::span<const float> inverse,
             const RoundingFormat& format)
      : matrix_(matrix), s_(s), inverse_(inverse), format_(format), low_(n_groups()), high_(n_groups()) {}

  void error(size_t row, float* out) {
    const RoundingRow weights = ranged(row);
    kernels::rounding_error(weights, low_.data(), high_.data(), format_.levels(), out);
  }

  // Of the row's output, by the moments of the input: as if channels were uncorrelated but for their means.
  float moment_error(size_t row) {
    const RoundingRow weights = ranged(row);
    const InputStatistics& input = *matrix_.input;
    return kernels::moment_error(weights, low_.data(), high_.data(), format_.levels(),
                                 {input.variance().data(), input.mean().data()});
  }

 private:
  // A row, and its groups' ranges in low_ and high_.
  RoundingRow ranged(size_t row) {
    const RoundingRow weights{matrix_.weights.data() + row * n_in(), n_in(), format_.group_size,
                              s_.empty() ? nullptr : s_.data(), s_.empty() ? nullptr : inverse_.data()};
    kernels::group_ranges(weights, low_.data(), high_.data());
    return weights;
  }

  [[nodiscard]] size_t n_in() const { return matrix_.n_in(); }
  [[nodiscard]] size_t n_groups() const { return div_up(n_in(), format_.group_size); }

  const CalibratedMatrix& matrix_;
  std::span<const float> s_, inverse_;
  const RoundingFormat& format_;
  std::vector<float> low_, high_;
};

// As output_error(), by the moments of the inputs.
double moment_error(std::span<const CalibratedMatrix> matrices, std::span<const float> s,
                    const RoundingFormat& format) {
  const std::vector<float> inverse = inverse_of(s);
  double sum = 0;
  for (const CalibratedMatrix& matrix : matrices) {
    const std::vector<size_t> rows = spread_rows(matrix.n_out, kComparedRows);
    RowRounder rounder(matrix, s, inverse, format);
    double of_matrix = 0;
    for (const size_t row : rows) of_matrix += rounder.moment_error(row);
    sum += of_matrix / static_cast<double>(rows.size()) * static_cast<double>(matrix.n_out);
  }
  return sum;
}

double mean_square_of(std::span<const float> rows, size_t n_in, std::span<const float> samples) {
  const size_t n_rows = rows.size() / n_in, n_samples = samples.size() / n_in;
  std::vector<float> outputs(n_rows * n_samples);
  kernels::gemm_f(
      {{rows.data(), Dtype::kF32, n_rows, n_in}, samples.data(), n_samples, 0, n_rows, outputs.data(), n_rows});
  double squares = 0;
  for (const float y : outputs) squares += double{y} * y;
  return squares / static_cast<double>(outputs.size());
}

// At most kComparedSamples of the input's samples, evenly spaced.
std::vector<float> some_samples(const InputStatistics& input) {
  const size_t n_in = input.n_channels();
  std::vector<float> some;
  some.reserve(kComparedSamples * n_in);
  for (const size_t t : spread_rows(input.n_samples(), kComparedSamples)) {
    const auto sample = input.samples().subspan(t * n_in, n_in);
    some.insert(some.end(), sample.begin(), sample.end());
  }
  return some;
}

// output_error() by the given samples of each matrix's input.
double output_error_of(std::span<const CalibratedMatrix> matrices, std::span<const std::span<const float>> samples,
                       std::span<const float> s, const RoundingFormat& format, size_t max_rows) {
  const std::vector<float> inverse = inverse_of(s);
  double sum = 0, n_outputs = 0;
  for (size_t i = 0; i < matrices.size(); ++i) {
    const CalibratedMatrix& matrix = matrices[i];
    const size_t n_in = matrix.n_in();
    const std::vector<size_t> rows = spread_rows(matrix.n_out, max_rows);
    RowRounder rounder(matrix, s, inverse, format);
    std::vector<float> errors(rows.size() * n_in);
    for (size_t row = 0; row < rows.size(); ++row) rounder.error(rows[row], errors.data() + row * n_in);
    const auto n_out = static_cast<double>(matrix.n_out);
    sum += mean_square_of(errors, n_in, samples[i]) * n_out;
    n_outputs += n_out;
  }
  return sum / n_outputs;
}

void share_among_tied(std::span<const uint32_t> tied, std::vector<float>& values) {
  if (tied.empty()) return;
  std::vector<double> sums(values.size()), counts(values.size());
  for (size_t k = 0; k < values.size(); ++k) {
    sums[tied[k]] += values[k];
    counts[tied[k]] += 1;
  }
  for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(sums[tied[k]] / counts[tied[k]]);
}

// x̄^r or x̄^r / (w̄^(1−r) + 1e-4) to what is multiplied.
void normalise(std::span<float> s) {
  float least = std::numeric_limits<float>::max(), largest = 0;
  for (float& value : s) {
    value = std::max(value, kSmallestScale);
    least = std::min(least, value);
    largest = std::max(largest, value);
  }
  const float middle = std::sqrt(largest * least);
  for (float& value : s) value = std::clamp(value / middle, 1 / kLargestScale, kLargestScale);
}

struct Candidate {
  size_t step;
  bool duo;
  std::vector<float> s;
  double error;
};

// All of scale_candidate()'s, their powers made of one root of each channel by multiplication: in double precision that
// is as good.
std::vector<Candidate> scale_candidates(std::span<const float> x_mean, std::span<const float> w_mean) {
  const size_t n_in = x_mean.size();
  std::vector<Candidate> candidates;
  for (const bool duo : {false, true}) {
    for (size_t step = 0; step < kScaleSteps; ++step) candidates.push_back({step, duo, std::vector<float>(n_in), 0});
  }
  for (size_t k = 0; k < n_in; ++k) {
    const double x_root = std::pow(double{x_mean[k]}, 1.0 / kScaleSteps);
    const double w_root = std::pow(double{w_mean[k]}, 1.0 / kScaleSteps);
    std::array<float, kScaleSteps + 1> w_powers;
    double x_power = 1, w_power = 1;
    for (float& power : w_powers) {
      power = static_cast<float>(w_power);
      w_power *= w_root;
    }
    for (size_t step = 0; step < kScaleSteps; ++step) {
      candidates[step].s[k] = static_cast<float>(x_power);
      candidates[kScaleSteps + step].s[k] =
          static_cast<float>(x_power) / (w_powers[kScaleSteps - step] + kSmallestScale);
      x_power *= x_root;
    }
  }
  for (Candidate& c : candidates) normalise(c.s);
  return candidates;
}

}  // namespace

std::vector<float> scale_candidate(std::span<const float> x_mean, std::span<const float> w_mean, size_t step,
                                   bool duo) {
  const float ratio = static_cast<float>(step) / kScaleSteps;
  std::vector<float> s(x_mean.size());
  for (size_t k = 0; k < s.size(); ++k) {
    s[k] = std::pow(x_mean[k], ratio);
    if (duo) s[k] /= std::pow(w_mean[k], 1 - ratio) + kSmallestScale;
  }
  normalise(s);
  return s;
}

std::vector<float> mean_weights(std::span<const CalibratedMatrix> matrices, size_t n_in, size_t group_size) {
  std::vector<double> sums(n_in);
  size_t n_rows = 0;
  for (const CalibratedMatrix& matrix : matrices) {
    const std::vector<size_t> rows = spread_rows(matrix.n_out, kSearchedRows);
    n_rows += rows.size();
    for (const size_t row : rows) {
      const std::span<const float> weights = matrix.weights.subspan(row * n_in, n_in);
      for (size_t first = 0; first < n_in; first += group_size) {
        const size_t last = std::min(n_in, first + group_size);
        float low = 0, high = 0;
        kernels::group_ranges({weights.data() + first, last - first, group_size, nullptr, nullptr}, &low, &high);
        const float largest = std::max(-low, high);
        const float per_largest = 1 / (largest + kSmallestLargest);
        for (size_t k = first; k < last; ++k) sums[k] += std::fabs(weights[k]) * per_largest;
      }
    }
  }
  std::vector<float> means(n_in);
  std::ranges::transform(sums, means.begin(),
                         [&](double sum) { return static_cast<float>(sum / static_cast<double>(n_rows)); });
  return means;
}

std::vector<size_t> spread_rows(size_t n, size_t max_rows) {
  std::vector<size_t> rows(std::min(max_rows, n));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<size_t>(uint64_t{i} * n / rows.size());
  return rows;
}

double mean_square_output(std::span<const float> rows, const InputStatistics& input) {
  return mean_square_of(rows, input.n_channels(), input.samples());
}

double output_error(std::span<const CalibratedMatrix> matrices, std::span<const float> s, const RoundingFormat& format,
                    size_t max_rows) {
  std::vector<std::span<const float>> samples;
  for (const CalibratedMatrix& matrix : matrices) samples.push_back(matrix.input->samples());
  return output_error_of(matrices, samples, s, format, max_rows);
}

ScaleChoice search_scales(std::span<const CalibratedMatrix> matrices, std::span<const uint32_t> tied,
                          const RoundingFormat& format, ThreadPool& pool) {
  SUTRA_ASSERT(!matrices.empty());
  const size_t n_in = matrices.front().n_in();
  std::vector<float> x_mean(n_in);
  for (const CalibratedMatrix& matrix : matrices) {
    for (size_t k = 0; k < n_in; ++k) {
      x_mean[k] += matrix.input->mean_abs()[k] / static_cast<float>(matrices.size());
    }
  }
  std::vector<float> w_mean = mean_weights(matrices, n_in, format.group_size);
  share_among_tied(tied, x_mean);
  share_among_tied(tied, w_mean);

  std::vector<Candidate> candidates = scale_candidates(x_mean, w_mean);
  pool.parallel_for(candidates.size(), 1, candidates.size(), [&](size_t first, size_t last) {
    for (Candidate& c : std::span(candidates).subspan(first, last - first)) {
      c.error = moment_error(matrices, c.s, format);
    }
  });
  std::ranges::stable_sort(candidates, {}, &Candidate::error);
  candidates.resize(kFinalists);
  std::vector<std::vector<float>> kept;
  for (const CalibratedMatrix& matrix : matrices) kept.push_back(some_samples(*matrix.input));
  const std::vector<std::span<const float>> samples(kept.begin(), kept.end());
  // Last, so that it is chosen only where nothing is better, and for the report.
  candidates.push_back({0, false, std::vector<float>(n_in, 1.0f), 0});
  pool.parallel_for(candidates.size(), 1, candidates.size(), [&](size_t first, size_t last) {
    for (Candidate& c : std::span(candidates).subspan(first, last - first)) {
      c.error = output_error_of(matrices, samples, c.s, format, kComparedRows);
    }
  });
  const double unscaled = candidates.back().error;
  Candidate& best = *std::ranges::min_element(candidates, {}, &Candidate::error);
  return {best.step, best.duo, std::move(best.s), unscaled, best.error};
}

namespace {

// Rows whose candidates are compared together: those whose error by the moments is at most so many times the least. More
// choose worse, because rounding makes up for what inputs have in common (quant/gptq.h; bench/SPEED.md).
constexpr size_t kRowsAtOnce = 16;
constexpr float kCloseLimits = 1.08f;

// The limits of a group of columns, for some rows at a time.
class LimitSearch {
 public:
  LimitSearch(const CalibratedMatrix& matrix, const RoundingFormat& format, size_t group)
      : matrix_(matrix),
        format_(format),
        first_(group * format.group_size),
        n_(std::min(format.group_size, matrix.n_in() - first_)),
        mean_(n_),
        variance_(n_, 1.0f) {
    if (matrix.input == nullptr) return;
    std::ranges::copy(matrix.input->mean().subspan(first_, n_), mean_.begin());
    std::ranges::copy(matrix.input->variance().subspan(first_, n_), variance_.begin());
    products_ = matrix.input->product_tiles(first_, n_);
    n_padded_ = round_up(n_, InputStatistics::kTile);
    errors_.resize(kRowsAtOnce * kLimitSteps * n_padded_);
  }

  // Rows first ≤ row < last, at most kRowsAtOnce, to limits[row · stride].
  void search(size_t first_row, size_t last_row, float* limits, size_t stride) {
    n_close_ = 0;
    for (size_t row = first_row; row < last_row; ++row) compare_by_moments(row, limits[row * stride]);
    if (n_close_ == 0) return;
    kernels::quadratic_errors(errors_.data(), n_close_, n_padded_, products_.data(), squares_.data());
    // Those of a row are neighbours; the first where several are equal.
    for (size_t i = 0; i < n_close_; ++i) {
      const bool is_first = i == 0 || close_[i].row != close_[i - 1].row;
      if (!is_first && squares_[i] >= squares_[best_]) continue;
      best_ = i;
      limits[close_[i].row * stride] = close_[i].limit;
    }
  }

 private:
  struct Close {
    size_t row;
    float limit;
  };

  // The limit of least error by the moments, and the errors of all that are close to it where the products can tell more.
  void compare_by_moments(size_t row, float& best_limit) {
    const RoundingRow weights{matrix_.weights.data() + row * matrix_.n_in() + first_, n_, n_, nullptr, nullptr};
    float low = 0, high = 0;
    kernels::group_ranges(weights, &low, &high);
    const float largest = std::max(-low, high);
    std::array<float, kLimitSteps> limits, lows, highs, errors;
    for (size_t i = 0; i < kLimitSteps; ++i) {
      limits[i] = largest * (1 - static_cast<float>(i) * kLimitStep);
      lows[i] = std::max(low, -limits[i]);
      highs[i] = std::min(high, limits[i]);
    }
    kernels::range_errors(weights, lows.data(), highs.data(), kLimitSteps, format_.levels(),
                          {variance_.data(), mean_.data()}, errors.data());
    const auto best = std::ranges::min_element(errors);
    best_limit = limits[static_cast<size_t>(best - errors.begin())];
    const float close = *best * kCloseLimits;
    if (products_.empty() || std::ranges::count_if(errors, [&](float error) { return error <= close; }) < 2) return;
    for (size_t i = 0; i < kLimitSteps; ++i) {
      if (errors[i] > close) continue;
      kernels::rounding_error(weights, &lows[i], &highs[i], format_.levels(), errors_.data() + n_close_ * n_padded_);
      close_[n_close_++] = {row, limits[i]};
    }
  }

  const CalibratedMatrix& matrix_;
  const RoundingFormat& format_;
  size_t first_, n_, n_padded_ = 0;
  std::vector<float> mean_, variance_;
  std::vector<float> products_;  // of the input; empty without one
  std::vector<float> errors_;    // of the close ones, [n_padded_] each
  std::array<Close, kRowsAtOnce * kLimitSteps> close_;
  std::array<float, kRowsAtOnce * kLimitSteps> squares_;
  size_t n_close_ = 0, best_ = 0;
};

}  // namespace

std::vector<float> search_limits(const CalibratedMatrix& matrix, const RoundingFormat& format, ThreadPool& pool) {
  const size_t n_groups = div_up(matrix.n_in(), format.group_size);
  std::vector<float> limits(matrix.n_out * n_groups);
  const size_t n_blocks = div_up(matrix.n_out, kRowsAtOnce), n_pieces = n_groups * n_blocks;
  pool.parallel_for(n_pieces, 1, std::min(n_pieces, 8 * pool.size()), [&](size_t first, size_t last) {
    while (first < last) {
      const size_t group = first / n_blocks, end = std::min(last, (group + 1) * n_blocks);
      LimitSearch search(matrix, format, group);
      for (; first < end; ++first) {
        const size_t row = (first - group * n_blocks) * kRowsAtOnce;
        search.search(row, std::min(row + kRowsAtOnce, matrix.n_out), limits.data() + group, n_groups);
      }
    }
  });
  return limits;
}

}  // namespace sutra
