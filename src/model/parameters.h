// The parameters of a model by name, shape and the distribution they start from: what a fresh checkpoint holds.
//
// Names and shapes are those of published checkpoints: what the architecture's take() calls ask for (rwkv7.cpp,
// mamba.cpp), or BlinkDL's for RWKV-4 to RWKV-6. A test loads what is written here, so the lists cannot drift apart.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/config.h"
#include "tensor/tensor.h"

namespace sutra {

struct Parameter {
  std::string name;
  Shape shape;
  bool is_matrix = false;  // a weight of a linear layer: stored in two bytes; everything else is float32
  std::function<void(Rng& rng, std::span<float> values)> initialise;
  std::optional<size_t> layer = {};  // none: before or after the layers
};

// In the order of the forward pass. RWKV starts as its authors' training code does (BlinkDL/RWKV-LM, RWKV-v4 to RWKV-v7),
// except that matrices which start at zero there start small and random here, so that every kernel has real work; Mamba
// and Mamba-2 as in Gu and Dao 2023, section 3.6 and appendix E.2; attention and MLPs uniform by their number of inputs.
std::vector<Parameter> parameters(const ModelConfig& config);

}  // namespace sutra
