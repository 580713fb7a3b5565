// Perplexity of a text as a job: one chunk of tokens a step.
//
// The ids are cut into windows of n_context + 1 that share one id with the next; each window starts from the
// zero state and scores its last n_context ids. The last window may be shorter.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/engine.h"

namespace sutra {

struct PerplexityResult {
  double nll = 0;         // mean negative log likelihood of a scored token, natural logarithm
  double perplexity = 0;  // e^nll
  uint64_t n_tokens = 0;  // scored
  // Bits the model needs for a byte of `n_bytes` of text.
  [[nodiscard]] double bits_per_byte(uint64_t n_bytes) const;
};

class PerplexityJob {
 public:
  // kInvalidArgument: fewer than two ids, an id outside the vocabulary, a context of zero.
  static Result<PerplexityJob> create(std::shared_ptr<const Engine> engine, std::vector<int32_t> ids, size_t n_context);

  // Advances by one chunk. True while there is more to do. kNonFinite when a logit is NaN or infinite.
  Result<bool> step();
  [[nodiscard]] double fraction() const;
  // The tokens scored so far.
  [[nodiscard]] PerplexityResult result() const;

 private:
  PerplexityJob() = default;
  std::shared_ptr<const Engine> engine_;
  std::vector<int32_t> ids_;
  size_t n_context_ = 0;
  size_t position_ = 0;    // the next id to feed
  size_t window_end_ = 0;  // ids before it are fed in this window
  State state_;
  std::vector<float> logits_;
  double nll_sum_ = 0;
  uint64_t n_scored_ = 0;
};

}  // namespace sutra
