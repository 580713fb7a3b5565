// One text under way: the recurrent state and the logits after its last token. A value: clone = fork.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/engine.h"
#include "sample/sampler.h"
#include "text/stream_decoder.h"

namespace sutra {

class Session {
 public:
  // At the zero state, before any token.
  static Result<Session> create(std::shared_ptr<const Engine> engine);
  Session(Session&&) = default;
  Session& operator=(Session&&) = default;

  // A session that continues identically and independently.
  [[nodiscard]] Result<Session> clone() const;
  void reset();

  // Consumes at most one chunk (kChunkTokens) of `ids` and returns how many were consumed, so that a
  // long prompt is a loop of slices. kInvalidArgument for an id outside the vocabulary and for more ids than the model's
  // context has room for; after an error the session is as it was.
  Result<size_t> advance(std::span<const int32_t> ids);

  // Logits [V] after the last token; empty before the first.
  [[nodiscard]] std::span<const float> logits() const;
  [[nodiscard]] uint64_t n_tokens() const { return state_.n_tokens; }
  [[nodiscard]] const Engine& engine() const { return *engine_; }
  [[nodiscard]] const State& state() const { return state_; }
  // Draws from logits(); its history is every id consumed since the zero state.
  [[nodiscard]] sample::Sampler& sampler() { return sampler_; }
  // Generated ids to text across several generations. Null without a tokenizer.
  [[nodiscard]] text::StreamDecoder* decoder() { return decoder_ ? &*decoder_ : nullptr; }
  // Ends the text: what an incomplete character at its end becomes (U+FFFD), mostly nothing.
  std::string flush_text();

  // A safetensors file: state.* in the published layouts, logits, seen_ids (for the repetition penalty), and metadata
  // (format version, architecture, model hash, tokens). The same bytes natively and in wasm.
  [[nodiscard]] Result<std::vector<std::byte>> save() const;
  // Replaces this session's state by a saved one, or by one that training made (runtime/initial_state.h). kStateMismatch
  // for another model's, kMalformed for broken bytes; after an error the session is as it was.
  Status load(std::span<const std::byte> bytes);
  // The mean of the states of sessions of one engine, element by element, at the largest of their lengths: a text read
  // after it is read after all of theirs, a little. There are no logits before the next token. kInvalidArgument for none
  // or for sessions of different engines; kUnsupported where a mean means nothing (StateLayout::linear).
  static Result<Session> mean(std::span<const Session> sessions);

 private:
  Session(std::shared_ptr<const Engine> engine, State state);
  Status load_saved(TensorMap& tensors, const SafetensorsHeader& header);
  std::shared_ptr<const Engine> engine_;
  State state_;
  std::vector<float> logits_;
  sample::Sampler sampler_;
  std::optional<text::StreamDecoder> decoder_;
};

}  // namespace sutra
