// A model's matrices in few bits, layer by layer: inputs measured on calibration text, scales searched and folded into what
// comes before (model/scale_groups.h), ranges searched, weights rounded and packed. Lin et al. 2023, arXiv:2306.00978.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/byte_sink.h"
#include "io/hash.h"
#include "io/model_files.h"
#include "io/safetensors_writer.h"
#include "io/tensor_map.h"
#include "model/model.h"
#include "model/scale_groups.h"
#include "quant/awq_search.h"
#include "runtime/calibration.h"
#include "runtime/engine.h"
#include "runtime/published_model.h"

namespace sutra {

struct QuantizeOptions {
  // Scales and ranges searched (AWQ), and rounding errors made up for (GPTQ); rounded to nearest; without the scales.
  enum class Method : uint8_t { kAwq, kRtn, kGptq };
  Method method = Method::kAwq;
  int bits = 4;  // 3, to compare: it takes the room of 4; 4; or 8
  size_t group_size = 128;
  // Embeddings and head stay as they are, as AutoAWQ leaves them, and what else others have to find in float: they can load
  // such a file.
  bool keep_embeddings = false;
};

struct QuantizedTensor {
  std::string name;
  uint64_t bytes_before = 0, bytes_after = 0;
  int bits = 0;           // of a weight, or of the dtype it kept
  size_t group_size = 0;  // of quantised ones
  // Error of the output over the output, both rms on calibration inputs: rounded to nearest, and as it is written. Where no
  // input was measured both are the latter, for inputs of equal variance.
  double error_rtn = 0, error = 0;
  // AWQ's: the exponent of the input's scale, whether the weights were looked at too, and the share of groups cut.
  std::optional<float> ratio;
  bool duo = false;
  double cut = 0;
  std::string kept_because;  // empty for quantised tensors
};

struct QuantizeReport {
  std::vector<QuantizedTensor> tensors;
  uint64_t bytes_before = 0, bytes_after = 0;
  uint64_t n_calibration_tokens = 0;
  // Float32 bytes of the quantised matrices over their packed bytes.
  double compression = 0;
};

class Quantizer {
 public:
  // `model` is of a loader with LoadOptions::weights_only, and matrices may be left in its files; `sequences` are empty
  // for kRtn. kInvalidArgument: the model is quantised already, an id outside of the vocabulary, bits or a group size
  // other than those above, no sequences where the method needs them. kNotFound: a tensor is missing.
  static Result<Quantizer> create(ModelWeights model, Companions companions, Sequences sequences,
                                  const QuantizeOptions& options, size_t n_threads);
  Quantizer(Quantizer&&) noexcept;
  ~Quantizer();

  // config.json and what belongs to the tokenizer.
  [[nodiscard]] const std::vector<NamedText>& files_beside() const { return files_beside_; }
  // The weights' file: its header goes to `sink`, which must outlive the work.
  Status begin(ByteSink& sink);
  // Of the matrices that were left in their files: what is to be given before the next step(); of size 0 when nothing is.
  struct Wanted {
    size_t file = 0;  // in the order in which they were read
    ByteRange range;
  };
  [[nodiscard]] Wanted wanted() const;
  // All of it. kTruncated: fewer bytes. kNonFinite; kMalformed: the file has another checksum for them.
  Status give(std::span<const std::byte> bytes);
  // A piece of the work, and what of the file is ready; true while there is more. kNonFinite: a weight or an activation is
  // NaN or infinite. Precondition: begun, and nothing is wanted.
  Result<bool> step();
  // Whether a checkpoint can be written now, or one be gone on from: nothing of a stage was done yet.
  [[nodiscard]] bool is_between_stages() const { return tasks_.size() == n_stage_tasks_; }
  // The work so far, but for what was written, as a safetensors file: begun here, then a tensor at a time, true while there
  // are more. Precondition: between stages, and no step() before it is whole.
  Status begin_checkpoint(ByteSink& sink);
  Result<bool> write_checkpoint();
  // Goes on from it: what comes next in the file is what came next then. After begin(). kStateMismatch: it is of another
  // model, text or choice of options. kMalformed, kNotFound, kDtypeMismatch, kShapeMismatch: it is broken.
  Status resume(TensorMap checkpoint);

  [[nodiscard]] double fraction() const;
  // What is being done, for people: "layer 3 of 12".
  [[nodiscard]] std::string stage_name() const;
  [[nodiscard]] std::string_view architecture() const { return model_.config.architecture_name(); }
  [[nodiscard]] const QuantizeReport& report() const { return report_; }
  // Of the weights' file, so far and in the end.
  [[nodiscard]] uint64_t written_bytes() const { return writer_ ? writer_->position() : 0; }
  [[nodiscard]] uint64_t file_bytes() const { return writer_ ? writer_->file_bytes() : 0; }

 private:
  struct Stage;
  struct Lane;
  struct Checkpoint {
    std::vector<TensorSpec> specs;
    std::map<std::string, std::pair<size_t, size_t>, std::less<>> streams;  // by name: stream and sequence
    std::optional<SafetensorsWriter> writer;
    size_t next = 0;
  };
  // One tensor of the published model, and what becomes of it.
  struct Plan {
    std::string name;  // as parameters() calls it
    std::string written_name;
    Shape shape;
    size_t stage = 0;
    std::string linear;  // the name without ".weight", where it is quantised
    RoundingFormat format;
    std::string kept_because;
    Dtype kept_dtype = Dtype::kF32;
    uint64_t bytes_before = 0;
  };

  // Rows of a matrix that was left in its file.
  struct SourceRows {
    const Plan* plan;
    size_t first, n;
  };
  // Of the stage; given the quantizer, which may have moved, and the rows it needs, which are then in Stage::rows.
  struct Task {
    std::function<Status(Quantizer&)> run;
    std::optional<SourceRows> rows;
  };

  Quantizer(ModelWeights model, const QuantizeOptions& options, size_t n_threads);
  Status make_plans();
  Status plan_files(Companions companions);
  [[nodiscard]] bool calibrates() const { return options_.method != QuantizeOptions::Method::kRtn; }
  // 3 bits lie in the layout of 4.
  [[nodiscard]] int file_bits() const { return options_.bits == 8 ? 8 : 4; }
  [[nodiscard]] const Plan& plan_of(const std::string& linear) const;
  // Of the tensor that it is made of; null for what is new.
  [[nodiscard]] const Tensor* source_of(const Plan& plan) const;

  // The stages: embeddings, each layer, head.
  [[nodiscard]] size_t n_stages() const { return model_.config.n_layer() + 2; }
  [[nodiscard]] bool is_head(size_t stage) const { return stage + 1 == n_stages(); }
  [[nodiscard]] std::vector<ScaleGroup> groups_of(size_t stage) const;
  [[nodiscard]] bool is_scaled(const ScaleGroup& group) const;
  Status skip_to(size_t stage);
  Status begin_stage();
  void end_stage();
  [[nodiscard]] bool is_tall(const Plan& plan) const;
  void add_row_tasks(const Plan& plan, const std::function<Status(Quantizer&, size_t)>& run);
  Status take_matrix(const Plan& plan);
  Status look_at_rows(const Plan& plan, size_t first);
  Status embed_rows(const Tensor& rows, size_t first);
  Status build_part();
  Status embed_sequence(size_t index);
  Status run_sequences(size_t first);
  void run_chunk(Lane& lane, std::span<HalfRows> streams, size_t first, size_t n, ThreadPool& pool);
  Status run_head(size_t sequence);
  Status measure_inputs();
  Result<InputStatistics*> statistics_of(const std::string& linear);
  Status drop_part();
  Status search_group(size_t index);
  Status quantize(const Plan& plan);
  Status write_rows(const Plan& plan, size_t first);
  Status round_rows(const Plan& plan, size_t first, std::span<const float> weights);
  Status finish_matrix(const Plan& plan);
  Status keep(const Plan& plan);
  Status keep_rows(const Plan& plan, size_t first, const Tensor& rows);
  Status finish_kept(const Plan& plan, Tensor tensor);
  void add_to_report(QuantizedTensor tensor);
  Status finish_tensor(std::string name, Tensor tensor);
  [[nodiscard]] const InputStatistics* input_of(const std::string& linear) const;
  void take_fingerprint();
  [[nodiscard]] Result<Tensor> checkpoint_tensor(const TensorSpec& spec) const;
  Status resume_report(TensorMap& checkpoint, size_t n_rows);
  Status resume_streams(TensorMap& checkpoint);
  Status resume_file(TensorMap& checkpoint, size_t stage);

  ModelWeights model_;
  QuantizeOptions options_;
  std::unique_ptr<ThreadPool> pool_;
  Sequences sequences_;
  std::vector<std::vector<HalfRows>> streams_;  // of each sequence
  std::vector<Plan> plans_;
  std::vector<TensorSpec> specs_;
  std::map<std::string, size_t, std::less<>> spec_stages_;  // in which stage each is made
  std::vector<NamedText> files_beside_;
  std::optional<SafetensorsWriter> writer_;
  std::map<std::string, Tensor, std::less<>> finished_;  // not yet written
  size_t next_spec_ = 0;
  size_t stage_index_ = 0;
  std::unique_ptr<Stage> stage_;
  std::deque<Task> tasks_;
  size_t n_stage_tasks_ = 0;
  QuantizeReport report_;
  Sha256Digest fingerprint_{};
  std::unique_ptr<Checkpoint> checkpoint_;       // while one is written
  uint64_t float_bytes_ = 0, packed_bytes_ = 0;  // of the quantised matrices
};

}  // namespace sutra
