// A model's weights under the names and in the form of published checkpoints, and what lies beside them: what those who
// write models have in common.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/config.h"
#include "io/gguf_metadata.h"
#include "io/model_files.h"
#include "quant/weight_map.h"
#include "runtime/engine.h"
#include "tensor/tensor.h"

namespace sutra {

// Of the weights in a folder that find_model() understands.
inline constexpr std::string_view kWeightsName = "model.safetensors";

// What lies beside a model's weights. A tokenizer of its own is used instead of one in a GGUF file.
struct Companions {
  std::optional<NamedText> tokenizer;  // tokenizer.json, or RWKV's World vocabulary
  std::vector<NamedText> others;       // tokenizer_config.json and its kind: copied beside safetensors
};

// config.json and the tokenizer's files: those beside the model, or one made of a GGUF file's metadata.
std::vector<NamedText> files_beside_model(std::string config, Companions companions, const GgufMetadata& tokenizer);

// The config with its overrides, without what says that matrices are packed.
Result<JsonObject> published_config(const ModelWeights& model);
// A parameter's name in the files of published safetensors: transformers' for RWKV-4, else that of model/parameters.h.
std::string published_name(const ModelConfig& config, const std::string& parameter);
// kUnsupported: a model that safetensors and config.json have no words for.
Status check_publishable(const ModelWeights& model);

// The tensor's own name: where a file has A of Mamba instead of A_log, as GGUF does, that.
std::string source_name(const WeightMap& weights, const std::string& parameter);
// The tensor that has the values of this parameter (model/parameters.h). kNotFound.
Result<const Tensor*> find_published(const WeightMap& weights, const std::string& parameter);
// Its values in float32, as one vector. kNonFinite, kShapeMismatch where there are none.
Result<Tensor> published_values(const WeightMap& weights, const std::string& parameter);
// The same of a tensor by its own name, as the file has it.
Result<Tensor> float_values(const WeightMap& weights, const std::string& name);

// kNonFinite, naming the tensor, where a value is beyond binary16, which `dtype` needs.
Status check_half_range(const Tensor& wide, std::string_view name, Dtype dtype);
// A float32 tensor in binary16.
Result<Tensor> to_f16(const Tensor& wide);

}  // namespace sutra
