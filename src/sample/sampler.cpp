#include "sample/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/assert.h"
#include "base/checked.h"
#include "sample/exp.h"

namespace sutra::sample {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Logits are sorted into this many buckets to find a threshold without sorting them all.
constexpr size_t kBuckets = 1024;
// What lies further below the largest, in units of the temperature, shares the last bucket.
constexpr float kBucketRange = 32.0f;
constexpr float kLastBucket = static_cast<float>(kBuckets - 1);
// Ids whose weights are summed up together; drawing looks for the block first.
constexpr size_t kBlock = 256;
// Independent lanes let loops without a fixed order across lanes vectorise; the result does not depend on it.
constexpr size_t kLanes = 8;

// Integers in the order of the floats; NaN lies beyond the infinities. On integers, maxima vectorise.
int32_t order_key(float value) {
  const auto bits = std::bit_cast<int32_t>(value);
  return bits ^ (bits >> 31 & 0x7fffffff);
}
float from_order_key(int32_t key) { return std::bit_cast<float>(key ^ (key >> 31 & 0x7fffffff)); }

float largest_of(std::span<const float> values) {
  int32_t largest = std::numeric_limits<int32_t>::min();
  for (const float value : values) largest = std::max(largest, order_key(value));
  return from_order_key(largest);
}

struct Extremes {
  float largest;
  float smallest;  // of those above -infinity, if there are any
  bool has_bad;    // NaN or +infinity
};

Extremes extremes(std::span<const float> values) {
  const int32_t lowest_key = order_key(-kInfinity);
  int32_t largest = std::numeric_limits<int32_t>::min();
  int32_t smallest = std::numeric_limits<int32_t>::max();
  int32_t smallest_above = smallest;
  for (const float value : values) {
    const int32_t key = order_key(value);
    largest = std::max(largest, key);
    smallest = std::min(smallest, key);
    smallest_above = std::min(smallest_above, key == lowest_key ? std::numeric_limits<int32_t>::max() : key);
  }
  return {from_order_key(largest), from_order_key(smallest_above),
          largest >= order_key(kInfinity) || smallest < lowest_key};
}

double block_sum(std::span<const float> weights) {
  std::array<double, kLanes> lanes{};
  size_t i = 0;
  for (; i + kLanes <= weights.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += static_cast<double>(weights[i + lane]);
  }
  for (; i < weights.size(); ++i) lanes[0] += static_cast<double>(weights[i]);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

float log_probability(std::span<const float> logits, int32_t id) {
  SUTRA_ASSERT(id >= 0 && static_cast<size_t>(id) < logits.size());
  const float largest = largest_of(logits);
  double sum = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    std::array<float, kBlock> weights;
    const size_t n = std::min(kBlock, logits.size() - begin);
    for (size_t i = 0; i < n; ++i) weights[i] = exp_weight(logits[begin + i] - largest);
    sum += block_sum({weights.data(), n});
  }
  const double above = static_cast<double>(logits[static_cast<size_t>(id)]) - static_cast<double>(largest);
  return static_cast<float>(above - std::log(sum));
}

Sampler::Sampler(const Options& options, size_t vocab_size)
    : options_(options),
      rng_(options.seed),
      seen_(vocab_size),
      penalized_(vocab_size),
      weights_(vocab_size),
      buckets_(vocab_size),
      sums_(div_up(vocab_size, kBlock)) {
  SUTRA_ASSERT(vocab_size > 0 && validated(options).has_value());
  history_.reserve(vocab_size);
  border_.reserve(vocab_size);
}

void Sampler::set_options(const Options& options) {
  SUTRA_ASSERT(validated(options).has_value());
  options_ = options;
  rng_ = Rng(options.seed);
}

void Sampler::accept(int32_t id) {
  SUTRA_ASSERT(id >= 0 && static_cast<size_t>(id) < seen_.size());
  uint8_t& seen = seen_[static_cast<size_t>(id)];
  if (seen != 0) return;
  seen = 1;
  history_.push_back(id);
}

Result<Choice> Sampler::sample(std::span<const float> logits) {
  SUTRA_TRY(start(logits));
  if (options_.temperature == 0) return Choice{largest_id(), 1.0f};
  weigh();
  const int32_t id = draw();
  return Choice{id, static_cast<float>(static_cast<double>(weights_[static_cast<size_t>(id)]) / total_)};
}

Status Sampler::probabilities(std::span<const float> logits, std::span<float> out) {
  SUTRA_ASSERT(out.size() == logits.size());
  SUTRA_TRY(start(logits));
  if (options_.temperature == 0) {
    std::fill(out.begin(), out.end(), 0.0f);
    out[static_cast<size_t>(largest_id())] = 1;
    return {};
  }
  weigh();
  std::transform(weights_.begin(), weights_.end(), out.begin(),
                 [this](float weight) { return static_cast<float>(static_cast<double>(weight) / total_); });
  return {};
}

// Logits with the penalty, checked.
Status Sampler::start(std::span<const float> logits) {
  SUTRA_ASSERT(logits.size() == penalized_.size());
  logits_ = logits;
  if (options_.repetition_penalty != 1) {
    std::copy(logits.begin(), logits.end(), penalized_.begin());
    for (const int32_t id : history_) {
      float& logit = penalized_[static_cast<size_t>(id)];
      logit = logit < 0 ? logit * options_.repetition_penalty : logit / options_.repetition_penalty;
    }
    logits_ = penalized_;
  }
  const Extremes found = extremes(logits_);
  if (found.has_bad) return fail(ErrorCode::kNonFinite, "a logit is NaN or infinite");
  if (found.largest == -kInfinity) return fail(ErrorCode::kNonFinite, "all logits are -infinity: no token is left");
  largest_ = found.largest;
  spread_ = found.largest - found.smallest;
  return {};
}

int32_t Sampler::largest_id() const {
  size_t begin = 0;
  // Whole blocks first, without a branch in them, so that the search vectorises.
  for (; begin + kBlock < logits_.size(); begin += kBlock) {
    uint32_t n_found = 0;
    for (size_t i = begin; i < begin + kBlock; ++i) n_found += logits_[i] == largest_ ? 1U : 0U;
    if (n_found > 0) break;
  }
  return static_cast<int32_t>(std::find(logits_.begin() + static_cast<std::ptrdiff_t>(begin), logits_.end(), largest_) -
                              logits_.begin());
}

// The weights after all options, and their sum.
void Sampler::weigh() {
  const float largest = largest_;
  const float temperature = options_.temperature;
  const size_t n = logits_.size();
  for (size_t i = 0; i < n; ++i) weights_[i] = exp_weight(-((largest - logits_[i]) / temperature));
  const bool has_top_k = options_.top_k > 0 && static_cast<size_t>(options_.top_k) < n;
  const bool has_top_p = options_.top_p < 1;
  if (has_top_k || has_top_p) fill_buckets();
  if (has_top_k) apply_top_k();
  if (has_top_p) apply_top_p();
  if (options_.min_p > 0) apply_min_p();
  sum_weights();
}

// Bucket 0 has the largest logit; a smaller logit never has a smaller bucket.
void Sampler::fill_buckets() {
  const float range = std::min(spread_, kBucketRange * options_.temperature);
  // A range below the normal numbers would make the factor infinite.
  const float per_unit = range > 1e-30f ? kLastBucket / range : 0.0f;
  const float largest = largest_;
  for (size_t i = 0; i < logits_.size(); ++i) {
    const float at = (largest - logits_[i]) * per_unit;
    // The minimum on integers vectorises, and takes NaN (infinity * 0) for large. `at` is never negative.
    const uint32_t bits = std::min(std::bit_cast<uint32_t>(at), std::bit_cast<uint32_t>(kLastBucket));
    buckets_[i] = static_cast<uint16_t>(static_cast<int32_t>(std::bit_cast<float>(bits)));
  }
}

// Into border_: the ids of one bucket that still have a weight.
void Sampler::gather(size_t bucket) {
  border_.clear();
  for (size_t i = 0; i < buckets_.size(); ++i) {
    if (buckets_[i] == bucket && weights_[i] > 0) border_.push_back({logits_[i], static_cast<int32_t>(i)});
  }
}

void Sampler::apply_top_k() {
  std::array<uint32_t, kBuckets> counts{};
  for (const uint16_t bucket : buckets_) ++counts[bucket];
  auto left = static_cast<size_t>(options_.top_k);
  size_t border = 0;
  while (counts[border] < left) left -= counts[border++];
  gather(border);
  if (border_.size() < left) return;  // fewer than k have a weight
  const auto kth = border_.begin() + static_cast<std::ptrdiff_t>(left) - 1;
  std::nth_element(border_.begin(), kth, border_.end(),
                   [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  const int32_t threshold = order_key(kth->logit);
  for (size_t i = 0; i < logits_.size(); ++i) weights_[i] = order_key(logits_[i]) >= threshold ? weights_[i] : 0.0f;
}

void Sampler::apply_top_p() {
  std::array<double, kBuckets> masses{};
  for (size_t i = 0; i < buckets_.size(); ++i) masses[buckets_[i]] += static_cast<double>(weights_[i]);
  double total = 0;
  for (const double mass : masses) total += mass;
  const double target = static_cast<double>(options_.top_p) * total;
  double before = 0;
  size_t border = 0;
  while (border + 1 < masses.size() && before + masses[border] < target) before += masses[border++];
  gather(border);
  for (size_t i = 0; i < buckets_.size(); ++i) weights_[i] = buckets_[i] <= border ? weights_[i] : 0.0f;
  // Only the first ones are wanted in order, and a heap's code is a fraction of a sort's, which every page would load.
  const auto comes_later = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit < b.logit : a.id > b.id;
  };
  std::make_heap(border_.begin(), border_.end(), comes_later);
  while (!border_.empty() && before < target) {
    std::pop_heap(border_.begin(), border_.end(), comes_later);
    before += static_cast<double>(weights_[static_cast<size_t>(border_.back().id)]);
    border_.pop_back();
  }
  for (const Candidate& candidate : border_) weights_[static_cast<size_t>(candidate.id)] = 0;
}

void Sampler::apply_min_p() {
  // The largest weight is 1, whatever has been removed.
  const float threshold = options_.min_p;
  for (float& weight : weights_) weight = weight >= threshold ? weight : 0.0f;
}

void Sampler::sum_weights() {
  total_ = 0;
  for (size_t block = 0; block < sums_.size(); ++block) {
    const size_t begin = block * kBlock;
    sums_[block] = block_sum(std::span(weights_).subspan(begin, std::min(kBlock, weights_.size() - begin)));
    total_ += sums_[block];
  }
}

int32_t Sampler::draw() {
  double left = rng_.next_unit() * total_;
  // Rounding may leave something over after all sums: the last id with a weight is right then.
  size_t chosen_block = 0;
  bool is_over = true;
  for (size_t block = 0; is_over && block < sums_.size(); ++block) {
    if (sums_[block] == 0) continue;
    chosen_block = block;
    is_over = left >= sums_[block];
    if (is_over) left -= sums_[block];
  }
  if (is_over) left = sums_[chosen_block];
  const size_t begin = chosen_block * kBlock;
  const size_t end = std::min(begin + kBlock, weights_.size());
  size_t chosen = begin;
  for (size_t i = begin; left >= 0 && i < end; ++i) {
    if (weights_[i] == 0) continue;
    chosen = i;
    left -= static_cast<double>(weights_[i]);
  }
  return static_cast<int32_t>(chosen);
}

}  // namespace sutra::sample
