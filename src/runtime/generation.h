// Text generation as a job: one prompt chunk or one token a step, so that whoever calls owns progress,
// cancellation and yielding. Stopping is not calling step() again; the session stays usable.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/session.h"
#include "sample/sampler.h"

namespace sutra {

struct GenerateOptions {
  uint64_t max_tokens = 256;
  sample::Options sampling;
  // Generation ends before the first of these strings; they are not part of the text.
  std::vector<std::string> stop;
  // GenerationStep::logprob of every token: one more pass over the vocabulary.
  bool logprobs = false;
};

enum class StopReason : uint8_t { kNone, kEos, kStop, kLength };
std::string_view stop_reason_name(StopReason reason);  // "none", "eos", "stop", "length"

struct GenerationStep {
  enum class Kind : uint8_t { kPrefill, kToken, kDone };
  Kind kind = Kind::kDone;
  // kPrefill: prompt tokens consumed so far.
  uint64_t n_prompt_done = 0;
  // kToken: the token, where asked for the natural logarithm of its probability before any sampling option, and the
  // text that became certain with it (whole characters; may be empty while a character or a stop string is incomplete).
  // kDone: the last text, if any was held back for a stop string. Bytes of an incomplete character stay with the
  // session, so that a continued text is whole; Session::flush_text() ends it.
  int32_t id = -1;
  std::optional<float> logprob;
  std::string text;
  // kDone only.
  StopReason stop_reason = StopReason::kNone;
};

class Generation {
 public:
  // Encodes `prompt` (no special tokens added) or takes ids. An empty prompt continues the session; on
  // a fresh session it starts from the model's begin-of-text token, kInvalidArgument if it has none.
  // kNotFound for text without a tokenizer, kInvalidArgument for bad options. The session must outlive
  // the generation and not be used by anybody else meanwhile.
  static Result<Generation> create(Session& session, std::string_view prompt, const GenerateOptions& options);
  static Result<Generation> create(Session& session, std::vector<int32_t> prompt_ids, const GenerateOptions& options);

  Result<GenerationStep> step();
  // Reads the token that the last step returned into the session: its forward pass. step() begins with it, so a loop
  // until kDone needs no call; who shows a token while the next is under way calls it in between, and who stops early
  // calls it once, so that the session holds everything that was returned.
  Status consume();

  [[nodiscard]] uint64_t n_prompt_tokens() const { return prompt_ids_.size(); }
  [[nodiscard]] uint64_t n_generated() const { return n_generated_; }

 private:
  Generation(Session& session, std::vector<int32_t> prompt_ids, const GenerateOptions& options)
      : session_(&session), options_(options), prompt_ids_(std::move(prompt_ids)) {}
  Result<GenerationStep> prefill_step();
  Result<GenerationStep> token_step();
  GenerationStep finish(StopReason reason);
  // Moves what can no longer become part of a stop string out of held_. True when a stop string is complete; the text
  // before it is then in `out`.
  bool release_text(std::string& out);

  Session* session_;
  GenerateOptions options_;
  std::vector<int32_t> prompt_ids_;
  uint64_t n_prompt_done_ = 0;
  uint64_t n_generated_ = 0;
  std::optional<int32_t> pending_;  // returned, not yet consumed
  std::string held_;                // text that may be the beginning of a stop string
  bool done_ = false;
};

}  // namespace sutra
