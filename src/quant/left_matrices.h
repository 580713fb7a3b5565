// Large matrices that stay in their files until somebody needs them: what a loader makes of them are names, shapes and places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/tensor_sink.h"
#include "quant/weight_map.h"

namespace sutra {

// Of each that many bytes are read, so that models can be told apart.
inline constexpr uint64_t kMatrixHeadBytes = 4096;
// From which on it is worth to leave a matrix in its file.
inline constexpr uint64_t kLargeMatrixBytes = uint64_t{1} << 20;

struct MatrixPlace {
  size_t file = 0;  // in the order of the files
  uint64_t offset = 0, n_bytes = 0;
  std::optional<uint32_t> crc32;  // of all of them, where the file says it
  std::vector<std::byte> head;    // kMatrixHeadBytes of them
};

// Keeps matrices of floats from the loader's sink whose elements nobody moves; what comes instead is Tensor::elsewhere(), the
// index of one of places().
class LeftMatrices final : public WeightFilter {
 public:
  // Those of at least so many bytes, which are more than kMatrixHeadBytes.
  explicit LeftMatrices(uint64_t from_bytes);

  [[nodiscard]] std::vector<MatrixPlace> take_places() { return std::move(places_); }

  void begin_file(TensorSink& next, const WeightSink& sink, WeightMap& out) override;
  [[nodiscard]] bool contains(std::string_view name) const override { return next_->contains(name); }
  [[nodiscard]] uint64_t bytes_wanted(const TensorEntry& entry) const override;
  [[nodiscard]] bool leaves_bytes() const override { return true; }
  Status begin(const TensorEntry& entry) override;
  Status write(std::span<const std::byte> bytes) override;
  Status end(const TensorEntry& entry) override;

 private:
  uint64_t from_bytes_;
  std::vector<MatrixPlace> places_;
  size_t n_files_ = 0;  // the last of them is being read
  TensorSink* next_ = nullptr;
  const WeightSink* sink_ = nullptr;
  WeightMap* out_ = nullptr;
  bool is_left_ = false;  // the tensor that is being read
};

}  // namespace sutra
