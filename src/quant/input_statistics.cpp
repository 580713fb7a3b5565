#include "quant/input_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/assert.h"
#include "base/checked.h"
#include "kernels/rounding/rounding.h"

namespace sutra {

Result<InputStatistics> InputStatistics::create(size_t n_channels, uint64_t n_tokens) {
  SUTRA_ASSERT(n_channels > 0);
  InputStatistics statistics;
  statistics.n_channels_ = n_channels;
  statistics.product_step_ = std::max<uint64_t>(1, n_tokens / kProductTokens);
  statistics.sample_step_ = std::max<uint64_t>(1, (n_tokens + kMaxSamples - 1) / kMaxSamples);
  const uint64_t n_kept = std::clamp<uint64_t>(n_tokens, 1, kMaxSamples);
  for (Tensor* moment : {&statistics.mean_abs_, &statistics.mean_, &statistics.variance_}) {
    SUTRA_ASSIGN(*moment, Tensor::create(Dtype::kF32, {n_channels}));
  }
  SUTRA_ASSIGN(statistics.products_, Tensor::create(Dtype::kF32, {div_up(n_channels, kBlock), kBlock, kBlock}));
  SUTRA_ASSIGN(statistics.samples_, Tensor::create(Dtype::kF32, {n_kept, n_channels}));
  return statistics;
}

// Means are moved towards those of the new rows, so that they are means all the time. False where a row is not finite.
bool InputStatistics::add_moments(std::span<const float> rows, size_t block) {
  const size_t n_rows = rows.size() / n_channels_;
  const size_t first = block * kBlock, n = std::min(kBlock, n_channels_ - first);
  std::array<float, kBlock> sum, sum_abs, squares;
  kernels::channel_sums(rows.data() + first, n_rows, n_channels_, n, {sum.data(), sum_abs.data(), squares.data()});
  const float per_row = 1 / static_cast<float>(n_rows);
  const auto share = static_cast<float>(static_cast<double>(n_rows) / static_cast<double>(n_tokens_ + n_rows));
  bool is_finite = true;
  for (size_t k = 0; k < n; ++k) {
    float& mean = mean_.as<float>()[first + k];
    float& mean_abs = mean_abs_.as<float>()[first + k];
    float& variance = variance_.as<float>()[first + k];
    const float own_mean = sum[k] * per_row, step = own_mean - mean;
    const float own_variance = std::max(0.0f, squares[k] * per_row - own_mean * own_mean);
    // Chan et al. 1983: of two parts' variances and the distance of their means.
    variance += (own_variance - variance) * share + step * step * share * (1 - share);
    mean += step * share;
    mean_abs += (sum_abs[k] * per_row - mean_abs) * share;
    is_finite = is_finite && std::isfinite(variance);
  }
  return is_finite;
}

Status InputStatistics::add(std::span<const float> rows) {
  const size_t n_rows = rows.size() / n_channels_;
  SUTRA_ASSERT(n_rows * n_channels_ == rows.size());
  if (n_rows == 0) return {};
  for (size_t t = 0; t < n_rows; ++t) {
    if ((n_tokens_ + t) % sample_step_ != 0 || (n_samples_ + 1) * n_channels_ > samples_.as<float>().size()) continue;
    std::ranges::copy(rows.subspan(t * n_channels_, n_channels_),
                      samples_.as<float>().subspan(n_samples_ * n_channels_).begin());
    ++n_samples_;
  }
  // Products are most of the work, and less of a long text says as much about them.
  const bool wants_products = n_tokens_ >= product_tokens_ * product_step_;
  bool is_finite = true;
  for (size_t block = 0; block < div_up(n_channels_, kBlock); ++block) {
    is_finite = add_moments(rows, block) && is_finite;
    if (!wants_products) continue;
    const size_t column = block * kBlock, n = std::min(kBlock, n_channels_ - column);
    float* const products = products_.as<float>().data() + block * kBlock * kBlock;
    kernels::add_products(rows.data() + column, n_rows, n_channels_, n, products);
    for (size_t k = 0; k < n; ++k) is_finite = is_finite && std::isfinite(products[k * n + k]);
  }
  if (!is_finite) return fail(ErrorCode::kNonFinite, "an activation is NaN, infinite or beyond 1e17 while calibrating");
  if (wants_products) product_tokens_ += n_rows;
  n_tokens_ += n_rows;
  return {};
}

void InputStatistics::divide(std::span<const float> s) {
  SUTRA_ASSERT(s.size() == n_channels_);
  std::vector<float> inverse(s.size());
  std::ranges::transform(s, inverse.begin(), [](float value) { return 1 / value; });
  for (size_t k = 0; k < n_channels_; ++k) {
    mean_abs_.as<float>()[k] *= inverse[k];
    mean_.as<float>()[k] *= inverse[k];
    variance_.as<float>()[k] *= inverse[k] * inverse[k];
  }
  for (size_t first = 0; first < n_channels_; first += kBlock) {
    const size_t n = std::min(kBlock, n_channels_ - first);
    float* products = products_.as<float>().data() + first * kBlock;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i; j < n; ++j) products[i * n + j] *= inverse[first + i] * inverse[first + j];
    }
  }
  for (size_t t = 0; t < n_samples_; ++t) {
    for (size_t k = 0; k < n_channels_; ++k) samples_.as<float>()[t * n_channels_ + k] *= inverse[k];
  }
}

std::vector<float> InputStatistics::product_tiles(size_t first, size_t n) const {
  SUTRA_ASSERT(first % kBlock + n <= kBlock && product_tokens_ > 0);
  const size_t n_padded = round_up(n, kTile);
  std::vector<float> tiles(n_padded * (n_padded + kTile) / 2);
  float* tile = tiles.data();
  for (size_t column = 0; column < n; column += kTile) {
    for (size_t i = 0; i < std::min(n, column + kTile); ++i) {
      for (size_t j = std::max(i, column); j < std::min(n, column + kTile); ++j) {
        const float once = product(first + i, first + j);
        tile[i * kTile + j - column] = i == j ? once : 2 * once;
      }
    }
    tile += (column + kTile) * kTile;
  }
  return tiles;
}

}  // namespace sutra
