// A model in another format, made one tensor at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "io/byte_sink.h"
#include "io/gguf_writer.h"
#include "io/model_files.h"
#include "io/safetensors_writer.h"
#include "model/scale_groups.h"
#include "runtime/engine.h"
#include "runtime/published_model.h"
#include "tensor/dtype.h"

namespace sutra {

struct ConvertOptions {
  enum class Format : uint8_t { kSafetensors, kGguf };
  Format format = Format::kSafetensors;
  Dtype dtype = Dtype::kF16;  // of the matrices: F32, F16, and in GGUF Q8_0, Q4_0
};

struct ConvertReport {
  std::string architecture;
  size_t n_tensors = 0;
  uint64_t n_bytes = 0;        // of the file with the weights
  bool has_tokenizer = false;  // one was written
};

// safetensors: under the names of published checkpoints (flash-linear-attention's for RWKV-7, BlinkDL's for RWKV-5 and 6,
// those of transformers for the others), with config.json and the tokenizer's files beside them. GGUF: one file with
// everything in it (model/gguf_config.h: which models). Matrices in 4 bits become floats first, all of them at once. A
// matrix whose rows are no whole blocks is written in F16.
class Converter {
 public:
  // `model` is of a loader with LoadOptions::weights_only. kNotFound: a tensor is missing. kUnsupported: an architecture
  // or tokenizer that the format has no place for; a broken tokenizer's errors are those of gguf_tokenizer(). kNonFinite: a weight that is NaN, infinite, or beyond binary16 where that is asked for.
  static Result<Converter> create(ModelWeights model, Companions companions, const ConvertOptions& options);

  [[nodiscard]] size_t n_tensors() const { return plans_.size(); }
  [[nodiscard]] size_t n_done() const { return n_done_; }
  // Everything of the result but the file with the weights.
  [[nodiscard]] const std::vector<NamedText>& files_beside() const { return files_beside_; }
  // The weights' file: its header goes to `sink`, which must outlive the work, and then each tensor of n_tensors().
  Status begin(ByteSink& sink);
  Status write_next();
  // Precondition: begun.
  [[nodiscard]] ConvertReport report() const;

 private:
  // One tensor of the result and how it is made.
  struct Plan {
    TensorSpec spec;
    std::vector<std::string> sources;                   // one after the other
    std::function<Result<Tensor>(Tensor)> change = {};  // of their values, as one vector; empty: none
    bool is_published = false;                          // the source is a parameter, whatever the file has of it
  };

  explicit Converter(ModelWeights model) : model_(std::move(model)) {}
  Status unpack(Dtype dtype);
  Status unscale(const ScaleGroup& group, Dtype dtype);
  Status plan_safetensors(Dtype dtype);
  Status plan_gguf(Dtype dtype);
  Status plan_files(Companions companions);
  Status plan_metadata(const std::optional<NamedText>& tokenizer, Dtype dtype);
  Status write_gguf_tokenizer_keys(const std::optional<NamedText>& tokenizer);
  [[nodiscard]] Result<Tensor> gather(const Plan& plan) const;
  [[nodiscard]] Result<Tensor> make(const Plan& plan) const;

  ModelWeights model_;
  std::vector<Plan> plans_;
  std::vector<NamedText> files_beside_;
  GgufMetadata metadata_;
  bool is_gguf_ = false;
  bool has_tokenizer_ = false;
  std::variant<std::monostate, SafetensorsWriter, GgufWriter> writer_;
  size_t n_done_ = 0;
};

}  // namespace sutra
