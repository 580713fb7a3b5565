#include "model/state.h"

#include <algorithm>
#include <cstring>

namespace sutra {
namespace {

void transpose(const float* in, size_t n_rows, size_t n_cols, float* out) {
  for (size_t row = 0; row < n_rows; ++row) {
    for (size_t col = 0; col < n_cols; ++col) out[col * n_rows + row] = in[row * n_cols + col];
  }
}

}  // namespace

size_t StateLayout::n_floats() const { return fields.empty() ? 0 : fields.back().offset + fields.back().n_floats(); }

void StateLayout::add(StateField field) {
  field.offset = n_floats();
  fields.push_back(std::move(field));
}

Result<State> State::create(const StateLayout& layout) {
  State state;
  SUTRA_ASSIGN(state.buffer, AlignedBuffer::create(uint64_t{layout.n_floats()} * sizeof(float)));
  state.reset(layout);
  return state;
}

Result<State> State::clone() const {
  State copy;
  SUTRA_ASSIGN(copy.buffer, AlignedBuffer::create(buffer.size()));
  if (buffer.size() > 0) std::memcpy(copy.buffer.data(), buffer.data(), buffer.size());
  copy.n_tokens = n_tokens;
  return copy;
}

void State::reset(const StateLayout& layout) {
  for (const StateField& f : layout.fields) std::fill_n(field(f), f.n_floats(), f.initial);
  n_tokens = 0;
}

Result<Tensor> publish_field(const StateField& field, const State& state) {
  SUTRA_ASSIGN(Tensor tensor, Tensor::create(Dtype::kF32, field.published));
  const float* in = state.field(field);
  float* out = tensor.as<float>().data();
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
  if (!(tensor.shape == field.published)) {
    return fail(ErrorCode::kStateMismatch, "state tensor '", field.name, "' must have shape ",
                field.published.to_string(), ", found ", tensor.shape.to_string());
  }
  const float* in = tensor.as<float>().data();
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
