// Which matrices of a checkpoint go into 4 bits: explicit lists, no guessing from names (AWQ.md, trap 1).
#pragma once

#include <string>
#include <vector>

#include "model/config.h"

namespace sutra {

// Names without ".weight", in file order of the architecture. Everything else keeps its dtype: low-rank pairs,
// x_proj, dt_proj, convolutions and vectors are small and sensitive.
std::vector<std::string> quantizable_linears(const ModelConfig& config);

}  // namespace sutra
