// Models and texts in the file system, for the native program and the tests. Not built for wasm.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/model_files.h"
#include "io/tensor_table.h"
#include "runtime/engine.h"
#include "runtime/published_model.h"

namespace sutra {

struct ModelPaths {
  std::string config;  // empty where there is none
  std::vector<std::string> weights;
  std::string tokenizer;                // empty where there is none
  std::vector<std::string> companions;  // other small files that belong to the model: copied by the quantizer
};

// What MODEL names: a folder in the Hugging Face layout, or one file of weights with config.json beside it; BlinkDL's .pth
// files need none, and GGUF files, which say everything themselves, get none: one beside them is often another model's.
Result<ModelPaths> find_model(const std::string& path);

// One of the small files of a model.
Result<NamedText> read_companion(const std::string& path);

// What lies beside the weights: with a tokenizer from elsewhere, that alone.
Result<Companions> read_companions(const ModelPaths& paths, const std::string& tokenizer_path);

struct FolderOptions {
  LoadOptions load;
  std::string tokenizer_path;          // empty: the one beside the model, if there
  std::vector<std::string> overrides;  // key=value
};
// Reads the model in pieces of kFileChunkBytes. Errors: those of ModelLoader, kNotFound, kIo.
Result<std::shared_ptr<const Engine>> load_model_folder(const std::string& path, const FolderOptions& options);

// The weights alone, without a tokenizer.
Result<ModelWeights> load_model_weights(const ModelPaths& paths, const FolderOptions& options);

// A tokenizer file, a folder that holds one (kTokenizerNames), or a GGUF file with one in its metadata.
Result<text::Tokenizer> load_tokenizer(const std::string& path);

}  // namespace sutra
