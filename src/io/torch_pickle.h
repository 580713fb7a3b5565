// What the pickle of a torch.save file says: storages, and tensors that are views of them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/pickle.h"
#include "io/safetensors.h"

namespace sutra {

// The names that a file of weights may use.
std::span<const std::string_view> torch_pickle_names();

struct TorchStorage {
  std::string key;
  Dtype dtype = Dtype::kF32;
  uint64_t n_bytes = 0;
};

// A tensor as it lies in its storage; offset and strides in elements.
struct TorchView {
  size_t storage = 0;
  uint64_t offset = 0;
  std::vector<uint64_t> strides;
  // Elements of the storage from `offset` on that it reaches; 0 for an empty one.
  uint64_t n_reached = 0;
  bool is_dense = false;  // row-major without gaps
};

struct TorchTensors {
  std::vector<TensorEntry> entries;  // name, dtype and shape; begin = 0, end = the dense tensor's bytes
  std::vector<TorchView> views;      // of the entries
  std::vector<TorchStorage> storages;
};

// The tensors of a pickle's value. kMalformed, kUnsupported and kTooLarge as in io/torch_file.h.
Result<TorchTensors> read_torch_tensors(const Pickle& pickle);

}  // namespace sutra
