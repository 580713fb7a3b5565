#include "runtime/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sutra {
namespace {

// -log softmax(logits)[target], in double: the sum has as many terms as the vocabulary.
double negative_log_likelihood(std::span<const float> logits, int32_t target) {
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum) - logits[static_cast<size_t>(target)];
}

}  // namespace

double PerplexityResult::bits_per_byte(uint64_t n_bytes) const {
  return n_bytes == 0 ? 0 : nll * static_cast<double>(n_tokens) / std::numbers::ln2 / static_cast<double>(n_bytes);
}

Result<PerplexityJob> PerplexityJob::create(std::shared_ptr<const Engine> engine, std::vector<int32_t> ids,
                                            size_t n_context) {
  if (ids.size() < 2)
    return fail(ErrorCode::kInvalidArgument, "perplexity needs at least two tokens, found ", ids.size());
  if (n_context < 1) return fail(ErrorCode::kInvalidArgument, "the context must be at least one token");
  SUTRA_TRY(engine->check_ids(ids));
  PerplexityJob job;
  SUTRA_ASSIGN(job.state_, State::create(engine->model().state_layout()));
  job.logits_.resize(kChunkTokens * engine->info().vocab_size);
  job.engine_ = std::move(engine);
  job.ids_ = std::move(ids);
  job.n_context_ = n_context;
  job.window_end_ = std::min(n_context, job.ids_.size() - 1);
  return job;
}

Result<bool> PerplexityJob::step() {
  if (position_ == window_end_) {
    if (window_end_ == ids_.size() - 1) return false;
    state_.reset(engine_->model().state_layout());
    window_end_ = std::min(window_end_ + n_context_, ids_.size() - 1);
  }
  const size_t n = std::min(kChunkTokens, window_end_ - position_);
  const size_t vocab_size = engine_->info().vocab_size;
  const std::span logits = std::span(logits_).first(n * vocab_size);
  SUTRA_TRY(engine_->reserve(state_, n));
  engine_->forward(state_, std::span(ids_).subspan(position_, n), LogitsWanted::kAll, logits);
  for (size_t t = 0; t < n; ++t) {
    const double nll = negative_log_likelihood(logits.subspan(t * vocab_size, vocab_size), ids_[position_ + t + 1]);
    if (!std::isfinite(nll))
      return fail(ErrorCode::kNonFinite, "the logits after token ", position_ + t, " are not finite");
    nll_sum_ += nll;
  }
  n_scored_ += n;
  position_ += n;
  return position_ < ids_.size() - 1;
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
