// What a loader fills and a model empties: tensors as the files have them, and matrices of AWQ and in GGUF's blocks,
// packed on their way in.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "io/tensor_map.h"
#include "io/tensor_sink.h"
#include "quant/awq_format.h"
#include "quant/awq_packer.h"
#include "quant/block_packer.h"
#include "quant/packed_config.h"
#include "quant/q4_matrix.h"
#include "quant/q8_matrix.h"

namespace sutra {

// A matrix as it is multiplied.
using WeightMatrix = std::variant<Tensor, Q4Matrix, Q8Matrix>;

// The dtypes of a file that stand for float numbers.
inline constexpr DtypeSet kFloatsAndBlocks = {Dtype::kF64,  Dtype::kF32,  Dtype::kF16,  Dtype::kBF16,
                                              Dtype::kQ4_0, Dtype::kQ4_1, Dtype::kQ5_0, Dtype::kQ5_1,
                                              Dtype::kQ8_0, Dtype::kQ4_K, Dtype::kQ5_K, Dtype::kQ6_K};

// kShapeMismatch: what was expected of a tensor, in words, and what was found.
std::unexpected<Error> wrong_shape(std::string_view name, std::string_view expected, const Shape& found);

// The weights contract of io/tensor_map.h, for matrices too.
class WeightMap {
 public:
  // Whether a tensor of this name came, whatever became of it, and was not taken.
  [[nodiscard]] bool contains(std::string_view name) const;

  // Errors of all: kNotFound, kDtypeMismatch and kShapeMismatch, naming the tensor.
  Result<Tensor> take(std::string_view name, DtypeSet dtypes, const Shape& shape);
  // The matrix [n_out, n_in] of floats or blocks called `name`. `exact`: its values as a Tensor. Else blocks are packed
  // (quant/block_packer.h), and floats too, in 8 bits, where the model has any quantised matrix: what its maker left in
  // float is small, and multiplied fastest in the form of the others. kNonFinite.
  Result<WeightMatrix> take_matrix(std::string_view name, size_t n_out, size_t n_in, bool exact);
  // The matrix [n_out, n_in] of `name`.qweight, .qzeros and .scales, in groups of `group_size` or, where the shape of the
  // scales says so, another of the kernels' sizes. kNonFinite when a scale is NaN or infinite.
  Result<Q4Matrix> take_awq(std::string_view name, size_t n_out, size_t n_in, size_t group_size);
  // Its three parts as they are. Precondition: they were not packed on their way in; those of 8 bits never are.
  Result<AwqTensors> take_awq_parts(std::string_view name, size_t n_out, size_t n_in, size_t group_size, int bits);

  // From here on floats are packed in 8 bits whatever else there is: for those who run a model to measure it.
  void pack_floats() { has_quantized_ = true; }

  // A tensor as the file has it; null for one that is not there or was packed.
  [[nodiscard]] const Tensor* find(std::string_view name) const { return tensors_.find(name); }
  // For those who change tensors: errors of TensorMap. kUnsupported for one that was left in its file.
  Result<Tensor> take(std::string_view name);
  // A tensor as the file has it; nothing happens where there is none.
  void drop(std::string_view name) { tensors_.drop(name); }
  Status insert(std::string name, Tensor tensor) { return tensors_.insert(std::move(name), std::move(tensor)); }
  // Whatever became of it. Of the three parts of a packed matrix, the name of any renames all. kNotFound, kMalformed when
  // `to` is taken.
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
  std::map<std::string, Packed, std::less<>> packed_;               // by the name before .qweight
  std::map<std::string, BlockPacker::Matrix, std::less<>> blocks_;  // that came packed
  bool has_quantized_ = false;                                      // a matrix of AWQ or in blocks came
};

class WeightSink;

// Stands before the sinks of a loader and may keep tensors from them.
class WeightFilter : public TensorSink {
 public:
  // For the file that comes next: the others go to `next`, which passes them on to `sink`, and all of them into `out`.
  virtual void begin_file(TensorSink& next, const WeightSink& sink, WeightMap& out) = 0;
};

// Fills a WeightMap. The three parts of a matrix may come in any order and from different files. Parts that do not fit
// each other stay as they are, for take_awq to say what is wrong with them.
class WeightSink final : public TensorSink {
 public:
  // AWQ's matrices of 4 bits are packed where `packed` says that there are some; the other layouts when the model takes
  // its matrices. Those who want a model exactly want its blocks as they are. `out` must outlive the sink.
  WeightSink(WeightMap& out, const std::optional<PackedConfig>& packed, bool packs_blocks = true);

  // Blocks of these names come as they are: somebody moves their elements before they are packed.
  void keep(std::vector<std::string> names);
  // Whether it is one of those.
  [[nodiscard]] bool keeps(std::string_view name) const;

  [[nodiscard]] bool contains(std::string_view name) const override { return out_.contains(name); }
  Status begin(const TensorEntry& entry) override;
  Status write(std::span<const std::byte> bytes) override;
  Status end(const TensorEntry& entry) override;

 private:
  [[nodiscard]] bool can_pack_awq(const TensorEntry& entry) const;
  [[nodiscard]] size_t group_size_of(std::string_view qweight) const;
  [[nodiscard]] bool can_pack_blocks(const TensorEntry& entry) const;

  WeightMap& out_;
  TensorMapSink plain_;
  std::optional<PackedConfig> awq_;
  bool packs_blocks_;
  std::vector<std::string> kept_;    // sorted
  std::optional<AwqPacker> packer_;  // while a qweight is being read
  std::optional<BlockPacker> block_packer_;
  std::string block_name_;  // of the matrix that it packs
};

}  // namespace sutra
