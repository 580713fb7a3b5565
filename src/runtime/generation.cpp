#include "runtime/generation.h"

#include <algorithm>

namespace sutra {

std::string_view stop_reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::kNone: return "none";
    case StopReason::kEos: return "eos";
    case StopReason::kStop: return "stop";
    case StopReason::kLength: return "length";
  }
  return "none";
}

Result<Generation> Generation::create(Session& session, std::string_view prompt, const GenerateOptions& options) {
  if (prompt.empty()) return create(session, std::vector<int32_t>{}, options);
  const text::Tokenizer* tokenizer = session.engine().tokenizer();
  if (tokenizer == nullptr) {
    const std::string& why = session.engine().info().why_no_tokenizer;
    return fail(
        ErrorCode::kNotFound,
        "this model was loaded without a tokenizer: add tokenizer.json or rwkv_vocab_v20230424.txt, or give token ids",
        why.empty() ? "" : concat(" (", why, ")"));
  }
  return create(session, tokenizer->encode(prompt, false).ids, options);
}

Result<Generation> Generation::create(Session& session, std::vector<int32_t> prompt_ids,
                                      const GenerateOptions& options) {
  SUTRA_ASSIGN(const sample::Options sampling, sample::validated(options.sampling));
  for (const std::string& stop : options.stop) {
    if (stop.empty()) return fail(ErrorCode::kInvalidArgument, "a stop string must not be empty");
  }
  if (!options.stop.empty() && session.decoder() == nullptr) {
    return fail(ErrorCode::kNotFound, "stop strings need a tokenizer, which this model was loaded without");
  }
  SUTRA_TRY(session.engine().check_ids(prompt_ids));
  if (prompt_ids.empty() && session.logits().empty()) {
    const auto bos = session.engine().bos_token_id();
    if (!bos) return fail(ErrorCode::kInvalidArgument, "the prompt is empty and the model has no begin-of-text token");
    prompt_ids.push_back(*bos);
    SUTRA_TRY(session.engine().check_ids(prompt_ids));
  }
  session.sampler().set_options(sampling);
  return Generation(session, std::move(prompt_ids), options);
}

Result<GenerationStep> Generation::step() {
  SUTRA_TRY(consume());
  if (done_) return GenerationStep{};
  if (n_prompt_done_ < prompt_ids_.size()) return prefill_step();
  if (n_generated_ >= options_.max_tokens) return finish(StopReason::kLength);
  return token_step();
}

Status Generation::consume() {
  if (!pending_) return {};
  const int32_t id = *pending_;
  SUTRA_TRY(session_->advance(std::span(&id, 1)));
  pending_.reset();
  return {};
}

Result<GenerationStep> Generation::prefill_step() {
  const auto rest = std::span(prompt_ids_).subspan(static_cast<size_t>(n_prompt_done_));
  SUTRA_ASSIGN(const size_t n_consumed, session_->advance(rest));
  n_prompt_done_ += n_consumed;
  GenerationStep step;
  step.kind = GenerationStep::Kind::kPrefill;
  step.n_prompt_done = n_prompt_done_;
  return step;
}

Result<GenerationStep> Generation::token_step() {
  SUTRA_ASSIGN(const sample::Choice choice, session_->sampler().sample(session_->logits()));
  pending_ = choice.id;
  if (session_->engine().is_eos(choice.id)) {
    // Consumed, so that whoever continues gets the next text and not the same end again.
    SUTRA_TRY(consume());
    return finish(StopReason::kEos);
  }
  GenerationStep step;
  step.kind = GenerationStep::Kind::kToken;
  step.id = choice.id;
  if (options_.logprobs) step.logprob = sample::log_probability(session_->logits(), choice.id);
  ++n_generated_;
  if (session_->decoder() == nullptr) return step;
  held_ += session_->decoder()->push(choice.id);
  if (release_text(step.text)) {
    SUTRA_TRY(consume());
    GenerationStep last = finish(StopReason::kStop);
    // The token that completed the stop string is consumed; its text before the stop string is shown.
    last.text = step.text;
    return last;
  }
  return step;
}

bool Generation::release_text(std::string& out) {
  size_t first_stop = std::string::npos;
  for (const std::string& stop : options_.stop) first_stop = std::min(first_stop, held_.find(stop));
  if (first_stop != std::string::npos) {
    out = held_.substr(0, first_stop);
    held_.clear();
    return true;
  }
  // The longest end of held_ that begins a stop string must wait.
  size_t n_wait = 0;
  for (const std::string& stop : options_.stop) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > n_wait; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) n_wait = n;
    }
  }
  out = held_.substr(0, held_.size() - n_wait);
  held_.erase(0, held_.size() - n_wait);
  return false;
}

GenerationStep Generation::finish(StopReason reason) {
  done_ = true;
  GenerationStep step;
  step.kind = GenerationStep::Kind::kDone;
  step.stop_reason = reason;
  step.text = std::move(held_);
  held_.clear();
  if (reason == StopReason::kEos) step.text += session_->flush_text();
  return step;
}

}  // namespace sutra
