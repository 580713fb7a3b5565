// The recurrent memory of one sequence: one flat f32 buffer. Fork = copy, save = write, undo = keep.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "tensor/tensor.h"

namespace sutra {

// One named part of the buffer: [n_outer, n_rows, n_cols] as the kernels want it. `published` is the
// shape that references use for it; where `transposed`, it has rows and columns exchanged.
struct StateField {
  std::string name;
  size_t offset = 0;  // in floats
  size_t n_outer = 0, n_rows = 0, n_cols = 0;
  bool transposed = false;
  Shape published;
  float initial = 0.0f;  // every element before the first token

  [[nodiscard]] size_t n_floats() const { return n_outer * n_rows * n_cols; }
};

struct StateLayout {
  std::vector<StateField> fields;
  [[nodiscard]] size_t n_floats() const;
  // Appends a field after the last one.
  void add(StateField field);
};

struct State {
  AlignedBuffer buffer;
  uint64_t n_tokens = 0;

  // Before the first token.
  static Result<State> create(const StateLayout& layout);
  [[nodiscard]] Result<State> clone() const;
  // As created; the layout is the one it was created with.
  void reset(const StateLayout& layout);
  [[nodiscard]] float* field(const StateField& f) { return buffer.as<float>().data() + f.offset; }
  [[nodiscard]] const float* field(const StateField& f) const { return buffer.as<float>().data() + f.offset; }
};

// A field in its published layout, and back. The tensor is F32 of shape field.published.
Result<Tensor> publish_field(const StateField& field, const State& state);
Status adopt_field(const StateField& field, const TensorView& tensor, State& state);

}  // namespace sutra
