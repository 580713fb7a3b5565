// Logits to a token id.
//
// With z the logits [V], S the set of ids accepted so far, T the temperature:
//   1. repetition penalty r: z_i <- z_i / r if z_i > 0, else z_i * r, for each i in S
//   2. T = 0: the largest z, the lowest id among equals, with probability 1. Otherwise z <- z / T
//   3. top_k: keeps z_i that are at least the k-th largest, so ties at the border stay
//   4. top_p: keeps the ids, largest first (lowest id first among equals), before which the probability
//      summed up is below top_p; the one that crosses top_p stays
//   5. min_p: keeps p_i >= min_p * max p
//   6. p = softmax of what is left; one id drawn from it
// Numerics: weights exp(z_i - max z) in float32 (sample/exp.h), sums in float64 in a fixed order. Nothing depends on
// the platform: the same seed and logits give the same ids. Time O(V) where logits differ; at top_p only the ids near
// the border are sorted.
// Source: Keskar et al. 2019, arXiv 1909.05858, section 4.1 (penalty); Fan et al. 2018, arXiv 1805.04833
// (top-k); Holtzman et al. 2020, arXiv 1904.09751 (top-p); Nguyen et al. 2024, arXiv 2407.01082 (min-p).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/rng.h"

namespace sutra::sample {

struct Options {
  float temperature = 1;         // 0: greedy
  int32_t top_k = 0;             // 0: off
  float top_p = 1;               // (0, 1]; 1: off
  float min_p = 0;               // [0, 1); 0: off
  float repetition_penalty = 1;  // > 0; 1: off
  uint64_t seed = 0;
};

// The options as they are, or kInvalidArgument with the option's name, its range and its value.
Result<Options> validated(const Options& options);

struct Choice {
  int32_t id;
  float probability;  // in the distribution it was drawn from: after all options
};

// log softmax(logits)[id] of the logits as they are: what the model itself gave to the id.
// Preconditions: id is an index of logits; logits passed Sampler::sample.
float log_probability(std::span<const float> logits, int32_t id);

// A value: a copy draws the same ids from the same logits. Allocates in the constructor only.
class Sampler {
 public:
  // Precondition: options passed validated(); vocab_size > 0.
  Sampler(const Options& options, size_t vocab_size);

  // kNonFinite if a logit is NaN or +infinity, or all are -infinity (single ones mark ids that must not
  // be drawn). Precondition: logits.size() == vocab_size.
  Result<Choice> sample(std::span<const float> logits);

  // The distribution that sample() draws from, for every id. Changes nothing that sample() sees.
  Status probabilities(std::span<const float> logits, std::span<float> out);

  // Adds an id, of the prompt or drawn, to the history that the repetition penalty looks at.
  // Precondition: 0 <= id < vocab_size.
  void accept(int32_t id);

  // Distinct ids accepted so far, in order of first acceptance.
  [[nodiscard]] std::span<const int32_t> history() const { return history_; }

  // Other options and a fresh random sequence from their seed; the history stays.
  // Precondition: options passed validated().
  void set_options(const Options& options);
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  struct Candidate {
    float logit;
    int32_t id;
  };

  Status start(std::span<const float> logits);
  void weigh();
  void fill_buckets();
  void gather(size_t bucket);
  void apply_top_k();
  void apply_top_p();
  void apply_min_p();
  void sum_weights();
  [[nodiscard]] int32_t largest_id() const;
  [[nodiscard]] int32_t draw();

  Options options_;
  Rng rng_;
  std::vector<uint8_t> seen_;     // [V] 1: in history_
  std::vector<int32_t> history_;  // distinct accepted ids
  // Scratch of one sample():
  std::vector<float> penalized_;   // [V]
  std::span<const float> logits_;  // [V] after the penalty: the caller's where there is none, else penalized_
  std::vector<float> weights_;     // [V] exp((z - max z) / T); 0: removed
  std::vector<uint16_t> buckets_;  // [V] by distance from the largest logit
  std::vector<double> sums_;       // weights of blocks of ids
  std::vector<Candidate> border_;  // ids around a threshold
  float largest_ = 0;              // of logits_
  float spread_ = 0;               // largest_ less the smallest above -infinity
  double total_ = 0;
};

}  // namespace sutra::sample
