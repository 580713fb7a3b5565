// Which matrices of a checkpoint go into 4 bits: explicit lists, no guessing from names (AWQ.md, trap 1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"

namespace sutra {

// Names without ".weight", in file order of the architecture. Everything else keeps its dtype: low-rank pairs,
// x_proj, dt_proj, convolutions and vectors are small and sensitive.
std::vector<std::string> quantizable_linears(const ModelConfig& config);

// Of those: whether transformers (5.12) reads its weights by itself, which a packed linear has not, besides multiplying
// with it. Mamba's and Mamba-2's out_proj; then its scales, a tensor that only we know, are not needed either.
bool transformers_reads(const ModelConfig& config, std::string_view linear);

}  // namespace sutra
