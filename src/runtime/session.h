// One text under way: the recurrent state and the logits after its last token. A value: clone = fork.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/engine.h"

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
  // long prompt is a loop of slices. kInvalidArgument for an id outside the vocabulary.
  Result<size_t> advance(std::span<const int32_t> ids);

  // Logits [V] after the last token; empty before the first.
  [[nodiscard]] std::span<const float> logits() const;
  [[nodiscard]] uint64_t n_tokens() const { return state_.n_tokens; }
  // Ids seen so far, one flag a vocabulary entry: what the repetition penalty looks at.
  [[nodiscard]] std::span<const uint8_t> seen() const { return seen_; }
  [[nodiscard]] const Engine& engine() const { return *engine_; }
  [[nodiscard]] const State& state() const { return state_; }

  // A safetensors file: state.* in the published layouts, logits, and metadata (version, architecture,
  // model hash, tokens). The same bytes natively and in wasm.
  [[nodiscard]] Result<std::vector<std::byte>> save() const;
  // Replaces this session's state. kStateMismatch for another model's, kMalformed for broken bytes;
  // after an error the session is as it was.
  Status load(std::span<const std::byte> bytes);

  static constexpr size_t kChunkTokens = 64;

 private:
  Session() = default;
  std::shared_ptr<const Engine> engine_;
  State state_;
  Workspace workspace_;
  std::vector<float> logits_;
  std::vector<uint8_t> seen_;
};

}  // namespace sutra
