#include "runtime/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sample/sampler.h"
#include "tensor/finite.h"

namespace sutra {

double PerplexityResult::bits_per_byte(uint64_t n_bytes) const {
  return n_bytes == 0 ? 0 : nll * static_cast<double>(n_tokens) / std::numbers::ln2 / static_cast<double>(n_bytes);
}

Result<PerplexityJob> PerplexityJob::create(std::shared_ptr<const Engine> engine, std::vector<int32_t> ids,
                                            const PerplexityOptions& options) {
  if (ids.size() < 2)
    return fail(ErrorCode::kInvalidArgument, "perplexity needs at least two tokens, found ", ids.size());
  if (options.n_context < 1) return fail(ErrorCode::kInvalidArgument, "the context must be at least one token");
  SUTRA_TRY(engine->check_ids(ids));
  PerplexityJob job;
  const size_t n_fed = ids.size() - 1;
  job.n_window_ = options.carry_state ? n_fed : std::min(options.n_context, n_fed);
  job.window_end_ = job.n_window_;
  SUTRA_ASSIGN(job.state_, State::create(engine->model().state_layout()));
  // For the whole window: what does not fit is refused before any of the work is done.
  SUTRA_TRY(engine->reserve(job.state_, job.n_window_));
  SUTRA_ASSIGN(job.logits_, AlignedBuffer::create(uint64_t{kChunkTokens} * engine->info().vocab_size * sizeof(float)));
  job.engine_ = std::move(engine);
  job.ids_ = std::move(ids);
  return job;
}

Result<bool> PerplexityJob::step() {
  const size_t n_fed = ids_.size() - 1;
  if (position_ == n_fed) return false;
  if (position_ == window_end_) {
    window_end_ = std::min(window_end_ + n_window_, n_fed);
    state_.reset(engine_->model().state_layout());
    SUTRA_TRY(engine_->reserve(state_, window_end_ - position_));
  }
  const size_t n = std::min(kChunkTokens, window_end_ - position_);
  const size_t vocab_size = engine_->info().vocab_size;
  const std::span logits = logits_.as<float>().first(n * vocab_size);
  engine_->forward(state_, std::span(ids_).subspan(position_, n), LogitsWanted::kAll, logits);
  if (const auto bad = first_non_finite({Dtype::kF32, {logits.size()}, std::as_bytes(logits)}))
    return fail(ErrorCode::kNonFinite, "the logits after token ", position_ + *bad / vocab_size, " are not finite");
  for (size_t t = 0; t < n; ++t) {
    nll_sum_ -= static_cast<double>(
        sample::log_probability(logits.subspan(t * vocab_size, vocab_size), ids_[position_ + t + 1]));
  }
  n_scored_ += n;
  position_ += n;
  return position_ < n_fed;
}

double PerplexityJob::fraction() const { return static_cast<double>(position_) / static_cast<double>(ids_.size() - 1); }

PerplexityResult PerplexityJob::result() const {
  PerplexityResult result;
  result.n_tokens = n_scored_;
  result.nll = n_scored_ == 0 ? 0 : nll_sum_ / static_cast<double>(n_scored_);
  result.perplexity = std::exp(result.nll);
  return result;
}

}  // namespace sutra
