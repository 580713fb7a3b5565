// Golden files and the models beside them.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "io/safetensors_file.h"
#include "runtime/model_folder.h"
#include "support/files.h"

namespace sutra::test {

// The value, or a failed test with the error's sentence.
template <class T>
T value_of(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}
inline void require_ok(const Status& status) {
  if (!status) FAIL(status.error().message);
}

inline TensorMap load_tensors(const std::string& path) {
  TensorMap tensors;
  require_ok(load_safetensors_file(path, tensors));
  return tensors;
}

// A whole file into a loader: the first of the wanted bytes each time, at most chunk_bytes.
inline Status feed_file(ModelLoader& loader, std::string_view name, std::span<const std::byte> file,
                        size_t chunk_bytes = std::numeric_limits<size_t>::max()) {
  SUTRA_TRY(loader.begin_file(name, file.size()));
  for (ByteRange wanted = loader.wanted(); wanted.size > 0; wanted = loader.wanted()) {
    const size_t n = std::min<size_t>(static_cast<size_t>(wanted.size), chunk_bytes);
    SUTRA_TRY(loader.feed(file.subspan(static_cast<size_t>(wanted.offset), n)));
  }
  return loader.end_file();
}

inline std::vector<int32_t> ids_of(const Tensor& tensor) {
  if (tensor.dtype() == Dtype::kI64) {
    const auto ids = tensor.as<int64_t>();
    std::vector<int32_t> out;
    for (const int64_t id : ids) out.push_back(static_cast<int32_t>(id));
    return out;
  }
  const auto ids = tensor.as<int32_t>();
  return {ids.begin(), ids.end()};
}

// `model` is a folder or a file; `overrides` are those of --override.
inline std::shared_ptr<const Engine> load_engine(const std::string& model, LoadOptions load = {},
                                                 std::vector<std::string> overrides = {}) {
  FolderOptions options;
  options.load = load;
  options.overrides = std::move(overrides);
  return value_of(load_model_folder(model, options));
}

}  // namespace sutra::test
