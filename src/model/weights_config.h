// What config.json would say, from the names and shapes of a checkpoint alone: BlinkDL's RWKV-4 to RWKV-7,
// flash-linear-attention's RWKV-6 and RWKV-7, Mamba and Mamba-2 under the names of transformers or mamba_ssm. Epsilons are
// those that these were published with. Of attention the shapes do not tell the heads,
// and FalconMamba's names are Mamba's: it wants its config.json.
#pragma once

#include <string>

#include "base/error.h"
#include "quant/weight_map.h"

namespace sutra {

// kNotFound where the names do not say it, or a tensor that would is missing; kShapeMismatch for one of other dimensions;
// kUnsupported for a Mamba-2 whose groups the shapes leave open.
Result<std::string> config_of_weights(const WeightMap& weights);

}  // namespace sutra
