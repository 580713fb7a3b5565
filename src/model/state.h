// The memory of one sequence: one flat f32 buffer for what is recurrent, and for attention pages of keys and values that
// come as tokens do. Fork = copy, save = write, undo = keep.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/attention/attention.h"
#include "tensor/tensor.h"

namespace sutra {

// One named part of the buffer: [n_outer, n_rows, n_cols] as the kernels want it. `published` is the
// shape that references use for it; where `transposed`, it has rows and columns exchanged.
//
// A paged field is a part of every page instead, and grows: n_outer heads of kCachePageTokens tokens, published as
// [heads, tokens, head_dim]. Keys are transposed, values are not.
struct StateField {
  std::string name;
  size_t offset = 0;  // in floats
  size_t n_outer = 0, n_rows = 0, n_cols = 0;
  bool transposed = false;
  Shape published;
  bool paged = false;
  float initial = 0.0f;  // every element before the first token

  // Of the buffer, or of one page.
  [[nodiscard]] size_t n_floats() const { return n_outer * n_rows * n_cols; }
  // After so many tokens.
  [[nodiscard]] Shape published_shape(uint64_t n_tokens) const;
};

struct StateLayout {
  std::vector<StateField> fields;
  // What the architecture can tell apart: max_position_embeddings. Recurrence has no such bound.
  uint64_t max_tokens = UINT64_MAX;
  // Whether the mean of two texts' states is a state: not of exponents (RWKV-4), not of caches.
  bool linear = true;

  [[nodiscard]] size_t n_floats() const { return n_floats_of(false); }
  [[nodiscard]] size_t n_page_floats() const { return n_floats_of(true); }
  // Appends a field after the last one of its kind.
  void add(StateField field);
  // Appends keys and values of an attention layer: k_cache.{layer}, then v_cache.{layer}.
  void add_cache(size_t layer, size_t n_heads, size_t head_dim);

 private:
  [[nodiscard]] size_t n_floats_of(bool paged) const;
};

// Pages of equal size that stay where they are while others come.
class CachePages {
 public:
  Status append(uint64_t n_floats);
  [[nodiscard]] Result<CachePages> clone() const;
  [[nodiscard]] size_t size() const { return pages_.size(); }
  [[nodiscard]] uint64_t size_bytes() const;
  [[nodiscard]] float* const* data() const { return starts_.data(); }

 private:
  std::vector<AlignedBuffer> pages_;
  std::vector<float*> starts_;  // of the pages, as the kernels want them
};

struct State {
  AlignedBuffer buffer;
  CachePages pages;
  uint64_t n_tokens = 0;

  // Before the first token.
  static Result<State> create(const StateLayout& layout);
  // Room for so many tokens more, which forward() needs; nothing to do where no field is paged. kInvalidArgument beyond
  // the layout's max_tokens. After an error the state is as it was.
  Status reserve(const StateLayout& layout, uint64_t n_more);
  [[nodiscard]] Result<State> clone() const;
  // As created; the layout is the one it was created with.
  void reset(const StateLayout& layout);
  [[nodiscard]] uint64_t size_bytes() const { return buffer.size() + pages.size_bytes(); }
  [[nodiscard]] float* field(const StateField& f) { return buffer.as<float>().data() + f.offset; }
  [[nodiscard]] const float* field(const StateField& f) const { return buffer.as<float>().data() + f.offset; }
};

// A field in its published layout, and back. The tensor is F32 of the shape after the state's tokens; for paged fields
// the state has room for them.
Result<Tensor> publish_field(const StateField& field, const State& state);
Status adopt_field(const StateField& field, const TensorView& tensor, State& state);

}  // namespace sutra
