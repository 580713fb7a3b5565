// Checkpoints of Mamba's authors (state-spaces/mamba): their config.json is read in config.h, their tensors have the
// names of transformers but for one.
#pragma once

#include "base/error.h"
#include "model/config.h"
#include "quant/weight_map.h"

namespace sutra {

// backbone.embedding becomes backbone.embeddings, and a head that repeats the embedding is dropped. Others' tensors stay
// as they are. Errors: those of WeightMap.
Status rename_mamba_ssm(const ModelConfig& config, WeightMap& tensors);

}  // namespace sutra
