// What is before and after the layers, as published checkpoints call it.
#pragma once

#include <string_view>

#include "model/config.h"

namespace sutra {

// Without ".weight" and ".bias". With a norm of the embeddings (pre_norm, not empty) both norms are LayerNorms, with a
// bias; else the last one is an RMSNorm.
struct OuterNames {
  std::string_view embeddings, pre_norm, norm, head;
  bool tied;  // the head's matrix is that of the embeddings
};
OuterNames outer_names(const ModelConfig& config);

}  // namespace sutra
