// What the weight files of a model contain, noted while they are read: what ModelInfo says of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/tensor_sink.h"
#include "model/config.h"

namespace sutra {

// Passes everything on to the next sink.
class ModelInventory final : public TensorSink {
 public:
  explicit ModelInventory(TensorSink& next) : next_(next) {}

  [[nodiscard]] bool contains(std::string_view name) const override { return next_.contains(name); }
  Status begin(const TensorEntry& entry) override;
  Status write(std::span<const std::byte> bytes) override;
  Status end(const TensorEntry& entry) override { return next_.end(entry); }

  // SHA-256 over all tensors in the order of their names: name, dtype, shape, first 4 KiB. Saved states carry it.
  [[nodiscard]] std::string hash() const;
  // "4-bit, group 128" if any matrix is in the AWQ layout, else the dtype of the largest tensor.
  [[nodiscard]] std::string quantization(const std::optional<PackedConfig>& packed) const;
  // Weights of the unquantised model.
  [[nodiscard]] uint64_t n_parameters(const std::optional<PackedConfig>& packed) const;

 private:
  struct Record {
    Dtype dtype;
    Shape shape;
    uint64_t n_bytes;
    std::vector<std::byte> head;
  };

  TensorSink& next_;
  std::map<std::string, Record> records_;
  Record* current_ = nullptr;
};

}  // namespace sutra
