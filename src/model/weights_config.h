// What config.json would say, from the names and shapes of a checkpoint alone: BlinkDL's RWKV-4 to RWKV-7,
// flash-linear-attention's RWKV-6 and RWKV-7, Mamba and Mamba-2 under the names of transformers or mamba_ssm. Epsilons are
// those that these were published with. Of attention the shapes do not tell the heads,
// and FalconMamba's names are Mamba's: it wants its config.json.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "quant/weight_map.h"

namespace sutra {

// kNotFound where the names do not say it, or a tensor that would is missing; kShapeMismatch for one of other dimensions;
// kUnsupported for a Mamba-2 whose groups the shapes leave open.
Result<std::string> config_of_weights(const WeightMap& weights);

// Keys that all of them have; token 0 begins and ends a text.
struct CommonKeys {
  uint64_t hidden_size, vocab_size, n_layer;
  bool is_tied;
};
void add_common_keys(const CommonKeys& keys, JsonText& config);
// Those of RWKV-7 beside them, with the epsilons that it was published with: ln_x has 64e-5 whatever the size of a head.
struct Rwkv7Keys {
  uint64_t n_heads, head_size, decay_low_rank, a_low_rank, v_low_rank, gate_low_rank;
};
void add_rwkv7_keys(const Rwkv7Keys& keys, JsonText& config);

}  // namespace sutra
