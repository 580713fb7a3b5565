// States that training made (RWKV's "state tuning"): for every layer blocks.N.att.time_state [H, N value, N key], in a
// file of torch.save or in safetensors. A text that starts from one goes on as if something had been read before it; the
// token shifts start from zero.
// Source: BlinkDL, RWKV-LM, RWKV-v5 to RWKV-v7, train with --train_type states.
#pragma once

#include <cstddef>
#include <span>

#include "base/error.h"
#include "io/tensor_map.h"
#include "model/state.h"

namespace sutra {

// Whether tensors of a file are such a state.
[[nodiscard]] bool is_initial_state(const TensorMap& tensors);

// A state before the first token. kStateMismatch for a model without such states, or with other layers, heads or sizes.
Result<State> initial_state(const StateLayout& layout, TensorMap& tensors);

}  // namespace sutra
