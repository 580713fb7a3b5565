// Perplexity of a text as a job: one chunk of tokens a step.
//
// With the state reset, the ids are cut into windows of n_context + 1 that share one id with the next; each window
// starts from the zero state and scores its last n_context ids. The last window may be shorter. With the state carried
// over, every id is scored with all before it as its context: one window over the whole text, of which recurrent models
// keep no more than of any other. Attention keeps all of it (ModelInfo::state_bytes_per_token each), up to max_tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/aligned_buffer.h"
#include "runtime/engine.h"

namespace sutra {

struct PerplexityOptions {
  size_t n_context = 512;    // ids scored in a window, at least 1; without effect where the state is carried over
  bool carry_state = false;  // from window to window, instead of the zero state at the start of each
};

struct PerplexityResult {
  double nll = 0;         // mean negative log likelihood of a scored token (sample::log_probability)
  double perplexity = 0;  // e^nll
  uint64_t n_tokens = 0;  // scored
  // Bits the model needs for a byte of `n_bytes` of text.
  [[nodiscard]] double bits_per_byte(uint64_t n_bytes) const;
};

class PerplexityJob {
 public:
  // kInvalidArgument: fewer than two ids, an id outside the vocabulary, a context of zero, or a window that is longer
  // than the model's max_tokens. kOutOfMemory: for the logits of a chunk, or for what attention keeps of a window.
  static Result<PerplexityJob> create(std::shared_ptr<const Engine> engine, std::vector<int32_t> ids,
                                      const PerplexityOptions& options);

  // Advances by one chunk. True while there is more to do. kNonFinite when a logit is NaN or infinite; kOutOfMemory as
  // above.
  Result<bool> step();
  [[nodiscard]] double fraction() const;
  // The tokens scored so far.
  [[nodiscard]] PerplexityResult result() const;

 private:
  PerplexityJob() = default;
  std::shared_ptr<const Engine> engine_;
  std::vector<int32_t> ids_;
  size_t n_window_ = 0;    // ids fed in a window
  size_t position_ = 0;    // the next id to feed
  size_t window_end_ = 0;  // ids before it are fed in this window
  State state_;
  AlignedBuffer logits_;  // float32 [kChunkTokens, V]
  double nll_sum_ = 0;
  uint64_t n_scored_ = 0;
};

}  // namespace sutra
