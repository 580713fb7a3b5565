// What a loader fills and a model empties: tensors as the files have them, and AWQ matrices packed on their way in.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/tensor_map.h"
#include "io/tensor_sink.h"
#include "quant/awq_packer.h"
#include "quant/q4_matrix.h"

namespace sutra {

// The weights contract of io/tensor_map.h, for matrices too.
class WeightMap {
 public:
  // Whether a tensor of this name came, whatever became of it, and was not taken.
  [[nodiscard]] bool contains(std::string_view name) const;

  // Errors of both: kNotFound, kDtypeMismatch and kShapeMismatch, naming the tensor.
  Result<Tensor> take(std::string_view name, DtypeSet dtypes, const Shape& shape) {
    return tensors_.take(name, dtypes, shape);
  }
  // The matrix [n_out, n_in] of `name`.qweight, .qzeros and .scales. kNonFinite when a scale is NaN or infinite.
  Result<Q4Matrix> take_awq(std::string_view name, size_t n_out, size_t n_in, size_t group_size);

  // A tensor as the file has it; null for one that is not there or was packed.
  [[nodiscard]] const Tensor* find(std::string_view name) const { return tensors_.find(name); }
  // For those who rename tensors: errors of TensorMap.
  Result<Tensor> take(std::string_view name) { return tensors_.take(name); }
  Status insert(std::string name, Tensor tensor) { return tensors_.insert(std::move(name), std::move(tensor)); }
  // Of the three parts of a packed matrix, the name of any renames all. kNotFound, kMalformed when `to` is taken.
  Status rename(std::string_view from, std::string_view to);

  // Names of the tensors not taken, sorted.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  friend class WeightSink;
  struct Packed {
    Q4Matrix matrix;
    bool has_groups = false;  // qzeros and scales came and are in the matrix
  };
  // Sets the groups of the matrix that `part` belongs to, once everything for it is there.
  Status complete(std::string_view part);

  TensorMap tensors_;
  std::map<std::string, Packed, std::less<>> packed_;  // by the name before .qweight
};

// Fills a WeightMap. The three parts of a matrix may come in any order and from different files. Parts that do not fit
// each other stay as they are, for take_awq to say what is wrong with them.
class WeightSink final : public TensorSink {
 public:
  // Without a group size nothing is packed. `out` must outlive the sink.
  WeightSink(WeightMap& out, std::optional<size_t> awq_group_size)
      : out_(out), plain_(out.tensors_), awq_group_size_(awq_group_size) {}

  [[nodiscard]] bool contains(std::string_view name) const override { return out_.contains(name); }
  Status begin(const TensorEntry& entry) override;
  Status write(std::span<const std::byte> bytes) override;
  Status end(const TensorEntry& entry) override;

 private:
  [[nodiscard]] bool can_pack(const TensorEntry& entry) const;

  WeightMap& out_;
  TensorMapSink plain_;
  std::optional<size_t> awq_group_size_;
  std::optional<AwqPacker> packer_;  // while a qweight is being read
};

}  // namespace sutra
