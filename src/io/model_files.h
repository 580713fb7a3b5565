// Which files of a folder make up a model: the Hugging Face layout, sharded or not.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace sutra {

inline constexpr size_t kMaxShardIndexBytes = size_t{1} << 24;
inline constexpr size_t kMaxShardIndexTensors = size_t{1} << 18;

// model.safetensors.index.json.
struct ShardIndex {
  std::vector<std::string> files;                 // sorted, each once
  std::map<std::string, std::string> weight_map;  // tensor -> file
  std::optional<uint64_t> total_bytes;            // metadata.total_size, as the file claims it
};

// kMalformed: not such an index, or a file name that is not a plain name (a '/', a '\\', "..", a control
// character), which could reach outside the model's folder. kTooLarge: over a limit above.
Result<ShardIndex> parse_shard_index(std::string_view text, std::string_view source);

// In the order of preference: Hugging Face's file, RWKV's World vocabulary.
inline constexpr std::string_view kTokenizerNames[] = {"tokenizer.json", "rwkv_vocab_v20230424.txt"};

// A small file, by its name without folders.
struct NamedText {
  std::string name, text;
};

struct ModelFiles {
  std::optional<std::string> config;     // config.json; GGUF files and those of torch.save may do without
  std::optional<std::string> index;      // the shard index; its `files` are then the weights
  std::vector<std::string> weights;      // without an index: the one weights file
  std::optional<std::string> tokenizer;  // one of kTokenizerNames
  std::optional<std::string> tokenizer_config;
  std::optional<std::string> generation_config;
};

// Chooses from the plain names of the files in a folder. Weights are model.safetensors; else the index; else the only
// *.safetensors; else the only *.gguf; else the only *.pth, *.pt or pytorch_model.bin. kNotFound names what is missing; kInvalidArgument when
// several could be meant.
Result<ModelFiles> choose_model_files(std::span<const std::string> names);

}  // namespace sutra
