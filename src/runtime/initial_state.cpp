#include "runtime/initial_state.h"

#include <algorithm>
#include <string>

#include "base/text.h"

namespace sutra {
namespace {

std::string tensor_name(size_t layer) { return concat("blocks.", layer, ".att.time_state"); }

}  // namespace

bool is_initial_state(const TensorMap& tensors) { return tensors.contains(tensor_name(0)); }

Result<State> initial_state(const StateLayout& layout, TensorMap& tensors) {
  const auto field = std::ranges::find(layout.fields, "att_kv", &StateField::name);
  if (field == layout.fields.end()) {
    return fail(ErrorCode::kStateMismatch, "this model has no state of the kind that the file holds (time_state)");
  }
  const uint64_t n_layer = field->published[0], n_head = field->published[1], n = field->published[2];
  if (tensors.size() != n_layer) {
    return fail(ErrorCode::kStateMismatch, "the state must have ", n_layer, " tensors, one a layer, found ",
                tensors.size());
  }
  SUTRA_ASSIGN(State state, State::create(layout));
  float* out = state.field(*field);
  for (size_t layer = 0; layer < n_layer; ++layer) {
    const std::string name = tensor_name(layer);
    const Tensor* const found = tensors.find(name);
    if (found == nullptr || !(found->shape() == Shape{n_head, n, n})) {
      return fail(ErrorCode::kStateMismatch, "the state's tensor '", name, "' must have shape ",
                  Shape{n_head, n, n}.to_string(), ", found ", found ? found->shape().to_string() : "none");
    }
    SUTRA_ASSIGN(const Tensor taken, tensors.take(name, kAnyFloat, found->shape()));
    SUTRA_ASSIGN(const Tensor wide, to_f32(taken.view()));
    // In memory keys are rows.
    for (const float* head = wide.as<float>().data(); head != wide.as<float>().data() + n_head * n * n; head += n * n) {
      for (size_t key = 0; key < n; ++key) {
        for (size_t value = 0; value < n; ++value) *out++ = head[value * n + key];
      }
    }
  }
  return state;
}

}  // namespace sutra
