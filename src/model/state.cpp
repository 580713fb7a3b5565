#include "model/state.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"

namespace sutra {
namespace {

using kernels::kCachePageTokens;

void transpose(const float* in, size_t n_rows, size_t n_cols, float* out) {
  for (size_t row = 0; row < n_rows; ++row) {
    for (size_t col = 0; col < n_cols; ++col) out[col * n_rows + row] = in[row * n_cols + col];
  }
}

// Calls body(in_page, published) for each float of a paged field: its place in the pages, and its index in the tensor.
template <class Body>
void for_each_paged(const StateField& field, const State& state, const Body& body) {
  const size_t head_dim = field.transposed ? field.n_rows : field.n_cols;
  const auto n_tokens = static_cast<size_t>(state.n_tokens);
  const size_t token_step = field.transposed ? 1 : head_dim, channel_step = field.transposed ? kCachePageTokens : 1;
  for (size_t head = 0; head < field.n_outer; ++head) {
    for (size_t t = 0; t < n_tokens; ++t) {
      float* token = state.pages.data()[t / kCachePageTokens] + field.offset + head * field.n_rows * field.n_cols +
                     t % kCachePageTokens * token_step;
      for (size_t i = 0; i < head_dim; ++i) body(token[i * channel_step], (head * n_tokens + t) * head_dim + i);
    }
  }
}

}  // namespace

Shape StateField::published_shape(uint64_t n_tokens) const {
  if (!paged) return published;
  const uint64_t dims[] = {n_outer, n_tokens, transposed ? n_rows : n_cols};
  return *Shape::from_dims(dims, ZeroDims::kAllow);  // bounded by max_tokens and the config: cannot wrap
}

size_t StateLayout::n_floats_of(bool paged) const {
  size_t n = 0;
  for (const StateField& field : fields) n += field.paged == paged ? field.n_floats() : 0;
  return n;
}

void StateLayout::add(StateField field) {
  field.offset = n_floats_of(field.paged);
  fields.push_back(std::move(field));
}

void StateLayout::add_cache(size_t layer, size_t n_heads, size_t head_dim) {
  linear = false;
  add({concat("k_cache.", layer), 0, n_heads, head_dim, kCachePageTokens, true, {}, true});
  add({concat("v_cache.", layer), 0, n_heads, kCachePageTokens, head_dim, false, {}, true});
}

Status CachePages::append(uint64_t n_floats) {
  SUTRA_ASSIGN(AlignedBuffer page, AlignedBuffer::create(n_floats * sizeof(float)));
  starts_.push_back(page.as<float>().data());
  pages_.push_back(std::move(page));
  return {};
}

Result<CachePages> CachePages::clone() const {
  CachePages copy;
  for (const AlignedBuffer& page : pages_) {
    SUTRA_TRY(copy.append(page.size() / sizeof(float)));
    std::memcpy(copy.starts_.back(), page.data(), page.size());
  }
  return copy;
}

uint64_t CachePages::size_bytes() const { return pages_.empty() ? 0 : uint64_t{pages_.size()} * pages_.front().size(); }

Result<State> State::create(const StateLayout& layout) {
  State state;
  SUTRA_ASSIGN(state.buffer, AlignedBuffer::create(uint64_t{layout.n_floats()} * sizeof(float)));
  state.reset(layout);
  return state;
}

Status State::reserve(const StateLayout& layout, uint64_t n_more) {
  if (n_more > layout.max_tokens - n_tokens) {
    return fail(ErrorCode::kInvalidArgument, "the model's context holds ", layout.max_tokens, " tokens; ", n_tokens,
                " are in it, so ", n_more, " more do not fit");
  }
  const uint64_t n_page_floats = layout.n_page_floats();
  if (n_page_floats == 0) return {};
  while (uint64_t{pages.size()} * kCachePageTokens < n_tokens + n_more) SUTRA_TRY(pages.append(n_page_floats));
  return {};
}

Result<State> State::clone() const {
  State copy;
  SUTRA_ASSIGN(copy.buffer, AlignedBuffer::create(buffer.size()));
  if (buffer.size() > 0) std::memcpy(copy.buffer.data(), buffer.data(), buffer.size());
  SUTRA_ASSIGN(copy.pages, pages.clone());
  copy.n_tokens = n_tokens;
  return copy;
}

void State::reset(const StateLayout& layout) {
  for (const StateField& f : layout.fields) {
    if (!f.paged) std::fill_n(field(f), f.n_floats(), f.initial);
  }
  pages = {};
  n_tokens = 0;
}

Result<Tensor> publish_field(const StateField& field, const State& state) {
  SUTRA_ASSIGN(Tensor tensor, Tensor::create(Dtype::kF32, field.published_shape(state.n_tokens)));
  float* out = tensor.as<float>().data();
  if (field.paged) {
    for_each_paged(field, state, [&](float in_page, size_t i) { out[i] = in_page; });
    return tensor;
  }
  const float* in = state.field(field);
  const size_t plane = field.n_rows * field.n_cols;
  for (size_t i = 0; i < field.n_outer; ++i) {
    if (field.transposed) {
      transpose(in + i * plane, field.n_rows, field.n_cols, out + i * plane);
    } else {
      std::copy_n(in + i * plane, plane, out + i * plane);
    }
  }
  return tensor;
}

Status adopt_field(const StateField& field, const TensorView& tensor, State& state) {
  if (tensor.dtype != Dtype::kF32) {
    return fail(ErrorCode::kDtypeMismatch, "state tensor '", field.name, "' must be F32, found ",
                dtype_name(tensor.dtype));
  }
  if (const Shape expected = field.published_shape(state.n_tokens); !(tensor.shape == expected)) {
    return fail(ErrorCode::kStateMismatch, "state tensor '", field.name, "' must have shape ", expected.to_string(),
                ", found ", tensor.shape.to_string());
  }
  const float* in = tensor.as<float>().data();
  if (field.paged) {
    for_each_paged(field, state, [&](float& in_page, size_t i) { in_page = in[i]; });
    return {};
  }
  float* out = state.field(field);
  const size_t plane = field.n_rows * field.n_cols;
  for (size_t i = 0; i < field.n_outer; ++i) {
    if (field.transposed) {
      transpose(in + i * plane, field.n_cols, field.n_rows, out + i * plane);
    } else {
      std::copy_n(in + i * plane, plane, out + i * plane);
    }
  }
  return {};
}

}  // namespace sutra
