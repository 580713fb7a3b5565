#include "runtime/quantizer.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/assert.h"
#include "base/checked.h"
#include "base/overloaded.h"
#include "io/config.h"
#include "io/zip.h"
#include "model/blinkdl.h"
#include "model/outer_names.h"
#include "model/parameters.h"
#include "model/quantizable.h"
#include "quant/awq_format.h"
#include "quant/gptq.h"
#include "quant/rtn.h"
#include "runtime/published_model.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

constexpr std::string_view kWeight = ".weight";
// Rows of a matrix that its error is measured on.
constexpr size_t kMeasuredRows = 64;
constexpr size_t kEmbeddingGroupSize = 32, kTiedGroupSize = 64;
// Of a file that is wanted at once.
constexpr uint64_t kWantedBytes = uint64_t{1} << 20;
// Weights that are rounded at once: as integers they take a byte each. Rows are whole tiles of the kernels.
constexpr size_t kRoundedWeights = size_t{1} << 22, kRoundedRows = 128;

Result<Tensor> clone(const Tensor& source) {
  SUTRA_ASSIGN(Tensor copy, Tensor::create(source.dtype(), source.shape(), Contents::kUndefined));
  std::ranges::copy(source.bytes(), copy.bytes().begin());
  return copy;
}

// Output error of what is written over the output, of some rows; without statistics, of inputs of equal variance.
class RelativeError {
 public:
  RelativeError(size_t n_rows, const InputStatistics* input)
      : rows_(spread_rows(n_rows, kMeasuredRows)), input_(input) {}

  // Rows from `first` on, which come one after the other: as they are written, and as they are [N, K].
  void add(const Q4Integers& quantised, size_t first, std::span<const float> weights) {
    const size_t n_in = quantised.n_cols;
    for (; next_ < rows_.size() && rows_[next_] < first + quantised.n_rows; ++next_) {
      const size_t row = rows_[next_] - first;
      const auto source = weights.subspan(row * n_in, n_in);
      source_.insert(source_.end(), source.begin(), source.end());
      error_.resize(source_.size());
      const std::span<float> error = std::span(error_).last(n_in);
      quantised.dequantize_row(row, error.data());
      for (size_t k = 0; k < n_in; ++k) error[k] -= source[k];
    }
  }
  [[nodiscard]] double value() const {
    const double whole = rms(source_);
    return whole > 0 ? rms(error_) / whole : 0;
  }

 private:
  [[nodiscard]] double rms(std::span<const float> values) const {
    if (input_ != nullptr) return std::sqrt(mean_square_output(values, *input_));
    double squares = 0;
    for (const float value : values) squares += double{value} * value;
    return std::sqrt(squares);
  }

  std::vector<size_t> rows_;
  const InputStatistics* input_;
  size_t next_ = 0;
  std::vector<float> source_, error_;
};

// The name of what has this parameter.
std::string module_of(const std::string& parameter) {
  return parameter.ends_with(kWeight) ? parameter.substr(0, parameter.size() - kWeight.size()) : parameter;
}

// kNonFinite where a group's scale could be beyond binary16.
Status check_scale_range(std::span<const float> weights, const RoundingFormat& format, std::string_view name) {
  constexpr float kLargestHalf = 65504;
  const float largest = kLargestHalf / 2 * format.levels();
  if (std::ranges::none_of(weights, [&](float weight) { return std::fabs(weight) > largest; })) return {};
  return fail(ErrorCode::kNonFinite, "tensor '", printable(name), "' has weights beyond ", largest,
              ", whose scales 16 bits do not hold");
}

size_t count_cut(std::span<const float> limits, std::span<const float> weights, size_t n_in, size_t group_size) {
  if (limits.empty()) return 0;
  size_t n_cut = 0, index = 0;
  for (size_t row = 0; row * n_in < weights.size(); ++row) {
    for (size_t first = 0; first < n_in; first += group_size) {
      float largest = 0;
      for (const float w : weights.subspan(row * n_in + first, std::min(group_size, n_in - first))) {
        largest = std::max(largest, std::fabs(w));
      }
      if (limits[index++] < largest) ++n_cut;
    }
  }
  return n_cut;
}

// A multiple of the kernels' tiles.
size_t rows_at_once(size_t n_in) {
  return std::max(kRoundedRows, kRoundedWeights / n_in / kRoundedRows * kRoundedRows);
}

Dtype kept_dtype(const Tensor& source, bool is_matrix) {
  if (!is_matrix) return Dtype::kF32;
  return source.dtype() == Dtype::kF32 || source.dtype() == Dtype::kF64 ? Dtype::kF32 : Dtype::kF16;
}

}  // namespace

struct Quantizer::Stage {
  // What the choice of a group's scales says about each of its linears.
  struct Scaled {
    float ratio = 0;
    bool duo = false;
  };

  // A matrix on its way into the file.
  struct Rounding {
    AwqTensors packed;
    RelativeError error;
    size_t n_cut = 0, n_groups = 0;
  };

  std::vector<const Plan*> plans;  // written in this stage
  Tensor rows;                     // of the next task, of whose source so many bytes are there
  uint64_t loaded_bytes = 0;
  uint32_t crc32 = 0;                                  // of the matrix up to there
  std::map<std::string, Tensor, std::less<>> weights;  // of theirs, float32
  WeightMap part;                                      // the model's own
  std::unique_ptr<Model> model;
  Workspace workspace;
  InputTaps taps;
  std::map<std::string, InputStatistics, std::less<>> inputs;  // by the linear that was tapped
  std::vector<ScaleGroup> groups;
  std::map<std::string, Scaled, std::less<>> scaled;
  std::map<std::string, double, std::less<>> errors_rtn;
  std::vector<int32_t> embedded_ids;  // of the rows that the part's embedding has, sorted
  Tensor embedded;                    // those rows
  std::vector<size_t> searched_rows;  // of a head that is read in parts, which are in `weights`
  std::map<std::string, std::vector<float>, std::less<>> column_scales;  // of its columns, once they were found
  std::optional<Rounding> rounding;
  Tensor kept;
  State state;
};

Quantizer::Quantizer(ModelWeights model, const QuantizeOptions& options, size_t n_threads)
    : model_(std::move(model)), options_(options), pool_(std::make_unique<ThreadPool>(n_threads)) {}
Quantizer::Quantizer(Quantizer&&) noexcept = default;
Quantizer::~Quantizer() = default;

Result<Quantizer> Quantizer::create(ModelWeights model, Companions companions, Sequences sequences,
                                    const QuantizeOptions& options, size_t n_threads) {
  if (!kernels::q4_group_size_supported(options.group_size)) {
    return fail(ErrorCode::kInvalidArgument, "the group size must be 32, 64 or 128, found ", options.group_size);
  }
  if (options.bits != 3 && options.bits != 4 && options.bits != 8) {
    return fail(ErrorCode::kInvalidArgument, "the bits must be 3, 4 or 8, found ", options.bits);
  }
  if (model.config.packed) return fail(ErrorCode::kInvalidArgument, "the model is quantised already");
  Quantizer quantizer(std::move(model), options, n_threads);
  std::erase_if(sequences, [](const std::vector<int32_t>& ids) { return ids.empty(); });
  size_t n_rows = 0;
  for (const std::vector<int32_t>& ids : sequences) {
    for (const int32_t id : ids) {
      if (id >= 0 && static_cast<size_t>(id) < quantizer.model_.config.vocab_size()) continue;
      return fail(ErrorCode::kInvalidArgument, "token id ", id, " is outside the model's vocabulary of ",
                  quantizer.model_.config.vocab_size());
    }
    quantizer.first_rows_.push_back(n_rows);
    n_rows += ids.size();
  }
  if (quantizer.calibrates() && n_rows == 0) {
    return fail(ErrorCode::kInvalidArgument, "this method needs calibration text");
  }
  quantizer.sequences_ = std::move(sequences);
  quantizer.report_.n_calibration_tokens = n_rows;
  SUTRA_TRY(quantizer.make_plans());
  SUTRA_TRY(quantizer.plan_files(std::move(companions)));
  quantizer.take_fingerprint();
  return quantizer;
}

Status Quantizer::make_plans() {
  const std::vector<std::string> names = quantizable_linears(model_.config);
  const std::set<std::string> linears(names.begin(), names.end());
  const OuterNames outer = outer_names(model_.config);
  SUTRA_TRY(check_publishable(model_));
  bool is_before = true;  // the layers
  for (const Parameter& parameter : parameters(model_.config)) {
    SUTRA_ASSIGN(const Tensor* const source, find_published(model_.weights, parameter.name));
    Plan plan;
    plan.name = parameter.name;
    plan.written_name = published_name(model_.config, parameter.name);
    plan.shape = parameter.shape;
    is_before = is_before && !parameter.layer;
    plan.stage = parameter.layer ? *parameter.layer + 1 : is_before ? 0 : n_stages() - 1;
    // A tied embedding gets the head's scales.
    if (outer.tied && plans_.empty()) plan.stage = n_stages() - 1;
    SUTRA_ASSIGN(plan.bytes_before, tensor_bytes(source->dtype(), source->shape()));
    plan.kept_dtype = kept_dtype(*source, parameter.is_matrix);
    const std::string linear = module_of(parameter.name);
    const Shape& shape = parameter.shape;
    plan.format = {options_.bits, options_.group_size};
    // Rows of an embedding are looked up: their errors do not average out as those of products do, and smaller groups cost
    // no time. Where it is the head too they do cost some.
    if (linear == outer.embeddings) {
      plan.format.group_size = std::min(options_.group_size, outer.tied ? kTiedGroupSize : kEmbeddingGroupSize);
    }
    const size_t group_size = plan.format.group_size;
    if (options_.keep_embeddings && (linear == outer.embeddings || linear == outer.head)) {
      plan.kept_because = "embeddings and head are to be kept";
    } else if (!linears.contains(linear) || shape.n_dims() != 2) {
      plan.kept_because = "small or sensitive";
    } else if (!awq_can_hold(static_cast<size_t>(shape[0]))) {
      plan.kept_because = concat(shape[0], " outputs are not a multiple of 8");
    } else if (shape[1] % group_size != 0) {
      plan.kept_because = concat(shape[1], " inputs are not a multiple of the group size ", group_size);
    } else {
      plan.linear = linear;
    }
    plans_.push_back(std::move(plan));
  }
  // What scales are absorbed by where nothing of the model can.
  for (size_t stage = 0; stage < n_stages(); ++stage) {
    for (const ScaleGroup& group : groups_of(stage)) {
      for (const ScaleFactor& factor : group.factors) {
        if (!factor.is_new || !is_scaled(group)) continue;
        Plan plan;
        plan.name = plan.written_name = factor.tensor;
        plan.shape = {group.n_channels};
        plan.stage = stage;
        plan.kept_because = "scales of a linear's input";
        plans_.push_back(std::move(plan));
      }
    }
  }
  const auto add_spec = [this](size_t stage, TensorSpec spec) {
    spec_stages_.emplace(spec.name, stage);
    specs_.push_back(std::move(spec));
  };
  for (const Plan& plan : plans_) {
    if (plan.linear.empty()) {
      add_spec(plan.stage, {plan.written_name, plan.kept_dtype, plan.shape});
      continue;
    }
    const auto n_out = static_cast<size_t>(plan.shape[0]), n_in = static_cast<size_t>(plan.shape[1]);
    const std::string written = module_of(plan.written_name);
    const size_t group_size = plan.format.group_size;
    const int bits = file_bits();
    add_spec(plan.stage, {written + ".qweight", Dtype::kI32, awq_qweight_shape(n_out, n_in, bits)});
    add_spec(plan.stage, {written + ".qzeros", Dtype::kI32, awq_qzeros_shape(n_out, n_in, group_size, bits)});
    add_spec(plan.stage, {written + ".scales", Dtype::kF16, awq_scales_shape(n_out, n_in, group_size)});
  }
  // As they are made, so that little waits for its turn.
  std::ranges::stable_sort(specs_, {}, [&](const TensorSpec& spec) { return spec_stages_.find(spec.name)->second; });
  order_for_alignment(specs_);
  return {};
}

Status Quantizer::plan_files(Companions companions) {
  SUTRA_ASSIGN(JsonObject config, published_config(model_));
  std::string kept, others;
  for (const Plan& plan : plans_) {
    if (plan.linear.empty()) {
      if (plan.shape.n_dims() == 2) kept += concat(kept.empty() ? "" : ", ", json_quote(module_of(plan.written_name)));
    } else if (plan.format.group_size != options_.group_size) {
      others +=
          concat(others.empty() ? "" : ", ", json_quote(module_of(plan.written_name)), ": ", plan.format.group_size);
    }
  }
  if (!others.empty()) others = concat(R"(, "group_sizes": {)", others, "}");
  SUTRA_TRY(config.override_value(concat(R"(quantization_config={"quant_method": "awq", "version": "gemm", "bits": )",
                                         file_bits(), R"(, "group_size": )", options_.group_size, others,
                                         R"(, "zero_point": true, "modules_to_not_convert": [)", kept, "]}")));
  files_beside_ = files_beside_model(config.text(), std::move(companions), model_.tokenizer);
  return {};
}

const Tensor* Quantizer::source_of(const Plan& plan) const {
  return model_.weights.find(source_name(model_.weights, plan.name));
}

const Quantizer::Plan& Quantizer::plan_of(const std::string& linear) const {
  return *std::ranges::find(plans_, linear + std::string(kWeight), &Plan::name);
}

std::vector<ScaleGroup> Quantizer::groups_of(size_t stage) const {
  if (!calibrates() || stage == 0) return {};
  return is_head(stage) ? head_scale_groups(model_.config) : scale_groups(model_.config, stage - 1);
}

// The scales are AWQ's. A linear that is not quantised keeps its input as it is, and so do those that share it.
bool Quantizer::is_scaled(const ScaleGroup& group) const {
  if (options_.method != QuantizeOptions::Method::kAwq) return false;
  return std::ranges::none_of(group.linears, [&](const std::string& name) { return plan_of(name).linear.empty(); });
}

Status Quantizer::begin(ByteSink& sink) {
  SUTRA_ASSIGN(writer_, SafetensorsWriter::create(sink, specs_));
  return begin_stage();
}

Quantizer::Wanted Quantizer::wanted() const {
  if (tasks_.empty() || !tasks_.front().rows) return {};
  const SourceRows& rows = *tasks_.front().rows;
  const MatrixPlace& place = model_.places[*source_of(*rows.plan)->place()];
  const uint64_t row_bytes = place.n_bytes / rows.plan->shape[0];
  const uint64_t left = rows.n * row_bytes - stage_->loaded_bytes;
  return {place.file, {place.offset + rows.first * row_bytes + stage_->loaded_bytes, std::min(left, kWantedBytes)}};
}

// Whole elements: what is wanted is a power of two of bytes, or the rest.
Status Quantizer::give(std::span<const std::byte> bytes) {
  Stage& stage = *stage_;
  const SourceRows& rows = *tasks_.front().rows;
  const Plan& plan = *rows.plan;
  const Tensor& source = *source_of(plan);
  const MatrixPlace& place = model_.places[*source.place()];
  if (bytes.size() != wanted().range.size) {
    return fail(ErrorCode::kTruncated, "tensor '", printable(plan.name),
                "': the file became shorter after it was read");
  }
  const auto n_in = static_cast<size_t>(plan.shape[1]);
  if (stage.loaded_bytes == 0) {
    SUTRA_ASSIGN(stage.rows, Tensor::create(Dtype::kF32, {rows.n, n_in}, Contents::kUndefined));
    if (rows.first == 0) stage.crc32 = 0;
  }
  const size_t element_bytes = dtype_bytes(source.dtype());
  const size_t first = static_cast<size_t>(stage.loaded_bytes) / element_bytes;
  SUTRA_ASSIGN(const Tensor wide, to_f32({source.dtype(), {bytes.size() / element_bytes}, bytes}));
  if (const auto element = first_non_finite(wide.view())) {
    return fail(ErrorCode::kNonFinite, "tensor '", printable(plan.name), "' is NaN or infinite at element ",
                rows.first * n_in + first + *element);
  }
  std::ranges::copy(wide.as<float>(), stage.rows.as<float>().subspan(first).begin());
  if (place.crc32) stage.crc32 = crc32(stage.crc32, bytes);
  stage.loaded_bytes += bytes.size();
  const bool is_whole = rows.first + rows.n == plan.shape[0] && wanted().range.size == 0;
  if (is_whole && place.crc32 && *place.crc32 != stage.crc32) {
    return fail(ErrorCode::kMalformed, "tensor '", printable(plan.name), "' has a wrong checksum");
  }
  return {};
}

Result<bool> Quantizer::step() {
  SUTRA_ASSERT(writer_.has_value() && wanted().range.size == 0);
  if (!tasks_.empty()) {
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    stage_->loaded_bytes = 0;
    SUTRA_TRY(task.run(*this));
  }
  if (!tasks_.empty()) return true;
  SUTRA_TRY(end_stage());
  if (is_head(stage_index_)) {
    if (packed_bytes_ > 0) {
      report_.compression = static_cast<double>(float_bytes_) / static_cast<double>(packed_bytes_);
    }
    SUTRA_TRY(writer_->finish());
    return false;
  }
  ++stage_index_;
  SUTRA_TRY(begin_stage());
  return true;
}

double Quantizer::fraction() const {
  const double done =
      n_stage_tasks_ == 0 ? 0 : 1 - static_cast<double>(tasks_.size()) / static_cast<double>(n_stage_tasks_);
  return (static_cast<double>(stage_index_) + done) / static_cast<double>(n_stages());
}

std::string Quantizer::stage_name() const {
  if (stage_index_ == 0) return "embeddings";
  if (is_head(stage_index_)) return "head";
  return concat("layer ", stage_index_, " of ", model_.config.n_layer());
}

// What the stage has written is not needed any more.
Status Quantizer::end_stage() {
  for (const Plan* plan : stage_->plans) {
    const std::string source = source_name(model_.weights, plan->name);
    if (model_.weights.contains(source)) SUTRA_TRY(model_.weights.take(source));
  }
  stage_.reset();
  return {};
}

// What was made of the stages before is known.
Status Quantizer::skip_to(size_t stage) {
  for (const Plan& plan : plans_) {
    const std::string source = source_name(model_.weights, plan.name);
    if (plan.stage < stage && model_.weights.contains(source)) SUTRA_TRY(model_.weights.take(source));
  }
  stage_.reset();
  tasks_.clear();
  stage_index_ = stage;
  return begin_stage();
}

Status Quantizer::begin_stage() {
  stage_ = std::make_unique<Stage>();
  Stage& stage = *stage_;
  const auto add_task = [&](auto run) { tasks_.push_back({std::move(run), std::nullopt}); };
  for (const Plan& plan : plans_) {
    // A tied embedding is written with the head, but begins the streams.
    const bool is_embedded = calibrates() && stage_index_ == 0 && &plan == &plans_.front();
    if (plan.stage == stage_index_) stage.plans.push_back(&plan);
    if (plan.stage != stage_index_ && !is_embedded) continue;
    const Tensor* const source = source_of(plan);
    if (source == nullptr) continue;  // it is new
    if (source->place()) {
      if (plan.shape.n_dims() != 2 || source->shape() != plan.shape) {
        return wrong_shape(plan.name, plan.shape.to_string(), source->shape());
      }
      if (!is_tall(plan)) {
        tasks_.push_back({[&plan](Quantizer& q) { return q.take_matrix(plan); },
                          SourceRows{&plan, 0, static_cast<size_t>(plan.shape[0])}});
      } else if (calibrates() && (is_embedded || (is_head(stage_index_) && !plan.linear.empty()))) {
        add_row_tasks(plan, [&plan](Quantizer& q, size_t first) { return q.look_at_rows(plan, first); });
      }
      continue;
    }
    SUTRA_ASSIGN(Tensor values, published_values(model_.weights, plan.name));
    SUTRA_TRY(values.reshape(plan.shape));
    stage.weights.emplace(plan.name, std::move(values));
  }
  if (calibrates()) {
    stage.groups = groups_of(stage_index_);
    add_task([](Quantizer& q) { return q.build_part(); });
    for (size_t i = 0; i < sequences_.size(); ++i) {
      add_task([i](Quantizer& q) { return q.stage_index_ == 0 ? q.embed_sequence(i) : q.run_sequence(i); });
    }
    add_task([](Quantizer& q) { return q.drop_part(); });
    for (size_t i = 0; i < stage.groups.size(); ++i) {
      if (is_scaled(stage.groups[i])) add_task([i](Quantizer& q) { return q.search_group(i); });
    }
  }
  for (const Plan* plan : stage.plans) {
    if (is_tall(*plan)) {
      add_row_tasks(*plan, [plan](Quantizer& q, size_t first) { return q.write_rows(*plan, first); });
    } else {
      add_task([plan](Quantizer& q) { return plan->linear.empty() ? q.keep(*plan) : q.quantize(*plan); });
    }
  }
  n_stage_tasks_ = tasks_.size();
  return {};
}

// Embeddings and heads that were left in their file: as large as several layers, they are here in parts, and as a whole only
// in the form in which they are written.
bool Quantizer::is_tall(const Plan& plan) const {
  const OuterNames outer = outer_names(model_.config);
  const std::string module = module_of(plan.name);
  const Tensor* const source = source_of(plan);
  return source != nullptr && source->place() && (module == outer.embeddings || module == outer.head);
}

void Quantizer::add_row_tasks(const Plan& plan, const std::function<Status(Quantizer&, size_t)>& run) {
  const auto n_rows = static_cast<size_t>(plan.shape[0]);
  const size_t n_at_once = rows_at_once(static_cast<size_t>(plan.shape[1]));
  for (size_t first = 0; first < n_rows; first += n_at_once) {
    tasks_.push_back({[run, first](Quantizer& q) { return run(q, first); },
                      SourceRows{&plan, first, std::min(n_at_once, n_rows - first)}});
  }
}

Status Quantizer::take_matrix(const Plan& plan) {
  stage_->weights.emplace(plan.name, std::move(stage_->rows));
  return {};
}

// Keeps rows of a tall matrix, `stage_->rows` from row `first` on: those that the calibration looks up, and those that the
// head's scales are searched on.
Status Quantizer::look_at_rows(const Plan& plan, size_t first) {
  Stage& stage = *stage_;
  const auto n_rows = static_cast<size_t>(plan.shape[0]), n_in = static_cast<size_t>(plan.shape[1]);
  if (stage_index_ == 0) return embed_rows(stage.rows, first);
  if (first == 0) {
    stage.searched_rows = spread_rows(n_rows, kSearchedRows);
    SUTRA_ASSIGN(Tensor kept, Tensor::create(Dtype::kF32, {stage.searched_rows.size(), n_in}, Contents::kUndefined));
    stage.weights.emplace(plan.name, std::move(kept));
  }
  const std::span<float> kept = stage.weights.find(plan.name)->second.as<float>();
  const std::span<const float> rows = std::as_const(stage.rows).as<float>();
  const auto begin = std::ranges::lower_bound(stage.searched_rows, first);
  for (auto row = begin; row != stage.searched_rows.end() && *row - first < stage.rows.shape()[0]; ++row) {
    const auto at = static_cast<size_t>(row - stage.searched_rows.begin());
    std::ranges::copy(rows.subspan((*row - first) * n_in, n_in), kept.subspan(at * n_in).begin());
  }
  return {};
}

// Of the rows of the embedding from `first` on those that the calibration looks up.
Status Quantizer::embed_rows(const Tensor& rows, size_t first) {
  Stage& stage = *stage_;
  const size_t n_embd = model_.config.n_embd();
  if (first == 0) {
    std::set<int32_t> ids;
    for (const std::vector<int32_t>& sequence : sequences_) ids.insert(sequence.begin(), sequence.end());
    stage.embedded_ids.assign(ids.begin(), ids.end());
    SUTRA_ASSIGN(stage.embedded, Tensor::create(Dtype::kF32, {ids.size(), n_embd}, Contents::kUndefined));
  }
  const std::span<const float> values = rows.as<float>();
  const auto begin = std::ranges::lower_bound(stage.embedded_ids, static_cast<int32_t>(first));
  for (auto id = begin; id != stage.embedded_ids.end(); ++id) {
    const size_t row = static_cast<size_t>(*id) - first, at = static_cast<size_t>(id - stage.embedded_ids.begin());
    if (row >= values.size() / n_embd) break;
    std::ranges::copy(values.subspan(row * n_embd, n_embd), stage.embedded.as<float>().subspan(at * n_embd).begin());
  }
  return {};
}

// The part of the model whose inputs are measured in this stage. Of the head the norm before it does.
Status Quantizer::build_part() {
  Stage& stage = *stage_;
  const size_t n_layer = model_.config.n_layer();
  const OuterNames outer = outer_names(model_.config);
  if (stage_index_ == 0) {
    // The rows that are looked up, as an embedding of their own.
    const Plan& plan = plans_.front();
    if (const auto whole = stage.weights.find(plan.name); whole != stage.weights.end()) {
      SUTRA_TRY(embed_rows(whole->second, 0));
      if (plan.stage != stage_index_) stage.weights.erase(whole);
    }
    SUTRA_TRY(stage.part.insert(source_name(model_.weights, plan.name), std::move(stage.embedded)));
  }
  for (const Plan* plan : stage.plans) {
    const Tensor* const tensor = source_of(*plan);
    const std::string module = module_of(plan->name);
    if (tensor == nullptr || module == outer.embeddings || module == outer.head) continue;
    const Tensor& values = tensor->place() ? stage.weights.find(plan->name)->second : *tensor;
    // All of the layer's are there at once: no larger than in their file.
    SUTRA_ASSIGN(Tensor copy, tensor->place() && tensor->dtype() == Dtype::kF16 ? to_f16(values) : clone(values));
    SUTRA_TRY(copy.reshape(tensor->shape()));
    SUTRA_TRY(stage.part.insert(source_name(model_.weights, plan->name), std::move(copy)));
  }
  const bool has_blinkdl_layers =
      std::visit(Overloaded{[](const auto&) { return false; }, [](const Rwkv4Config&) { return true; },
                            [](const Rwkv5Config&) { return true; }, [](const Rwkv6Config&) { return true; }},
                 model_.config.architecture);
  if (has_blinkdl_layers) SUTRA_TRY(adapt_blinkdl(stage.part));
  // What 8 bits change of activations is far below what is measured of them, and they are multiplied several times as fast.
  stage.part.pack_floats();
  const bool is_end = stage_index_ == 0 || is_head(stage_index_);
  WeightOptions options;
  options.part.first_layer = is_end ? n_layer : stage_index_ - 1;
  options.part.last_layer = is_end ? n_layer : stage_index_;
  options.part.embeddings = stage_index_ == 0;
  options.part.last_norm = is_head(stage_index_);
  options.part.head = false;
  for (const Plan* plan : stage.plans) {
    if (!is_end && !plan->linear.empty()) stage.taps.emplace(plan->linear, InputTap());
  }
  options.taps = &stage.taps;
  options.max_tap_tokens = kChunkTokens;
  ModelConfig config = model_.config;
  if (stage_index_ == 0) {
    std::visit([&](auto& own) { own.vocab_size = stage.embedded_ids.size(); }, config.architecture);
  }
  SUTRA_ASSIGN(stage.model, build_model(config, stage.part, options));
  SUTRA_ASSIGN(stage.workspace, stage.model->create_workspace(kChunkTokens));
  const size_t n_streams = stage.model->stream(stage.workspace, 1).size();
  if (stage_index_ > 0 && streams_.size() != n_streams) {
    return fail(ErrorCode::kMalformed, "the checkpoint has ", streams_.size(), " residual streams, the model ",
                n_streams);
  }
  SUTRA_ASSIGN(stage.state, State::create(stage.model->state_layout()));
  return {};
}

Status Quantizer::embed_sequence(size_t index) {
  Stage& stage = *stage_;
  const size_t n_embd = model_.config.n_embd();
  std::vector<int32_t> rows;
  for (const int32_t id : sequences_[index]) {
    const auto found = std::ranges::lower_bound(stage.embedded_ids, id);
    rows.push_back(static_cast<int32_t>(found - stage.embedded_ids.begin()));
  }
  const std::span<const int32_t> ids = rows;
  if (streams_.empty()) {
    for (size_t i = 0; i < stage.model->stream(stage.workspace, 1).size(); ++i) {
      SUTRA_ASSIGN(HalfRows stream, HalfRows::create(first_rows_.back() + sequences_.back().size(), n_embd));
      streams_.push_back(std::move(stream));
    }
  }
  for (size_t first = 0; first < ids.size(); first += kChunkTokens) {
    const auto chunk = ids.subspan(first, std::min(kChunkTokens, ids.size() - first));
    stage.model->embed(chunk, stage.workspace, *pool_);
    const auto stream = stage.model->stream(stage.workspace, chunk.size());
    for (size_t t = 0; t < chunk.size(); ++t) {
      streams_[0].put(first_rows_[index] + first + t, stream[0].subspan(t * n_embd, n_embd));
    }
  }
  return {};
}

Status Quantizer::run_sequence(size_t index) {
  Stage& stage = *stage_;
  const size_t n_embd = model_.config.n_embd(), n_tokens = sequences_[index].size();
  std::vector<float> head_input(n_embd);
  stage.state.reset(stage.model->state_layout());
  for (size_t first = 0; first < n_tokens; first += kChunkTokens) {
    const size_t n = std::min(kChunkTokens, n_tokens - first);
    const auto stream = stage.model->stream(stage.workspace, n);
    const size_t row = first_rows_[index] + first;
    const auto for_rows = [&](const auto& body) {
      pool_->parallel_for(n, 1, pool_->size(), [&](size_t begin, size_t end) {
        for (size_t t = begin; t < end; ++t) {
          for (size_t i = 0; i < stream.size(); ++i) body(streams_[i], row + t, stream[i].subspan(t * n_embd, n_embd));
        }
      });
    };
    for_rows([](const HalfRows& rows, size_t at, std::span<float> values) { rows.get(at, values); });
    if (is_head(stage_index_)) {
      const OuterNames outer = outer_names(model_.config);
      stage.model->head_input(n, LogitsWanted::kLast, stage.workspace, *pool_, head_input);
      SUTRA_TRY(add_input(std::string(outer.tied ? outer.embeddings : outer.head), head_input));
    } else {
      SUTRA_TRY(stage.state.reserve(stage.model->state_layout(), n));
      stage.model->run_layers(stage.state, n, stage.workspace, *pool_);
      stage.state.n_tokens += n;
      for_rows([](HalfRows& rows, size_t at, std::span<float> values) { rows.put(at, values); });
    }
    SUTRA_TRY(measure_inputs());
  }
  return {};
}

// What came into the linears with the last chunk.
Status Quantizer::measure_inputs() {
  for (auto& [name, tap] : stage_->taps) {
    const size_t n_in = static_cast<size_t>(plan_of(name).shape[1]);
    if (tap.n_tokens == 0) continue;
    SUTRA_TRY(add_input(name, std::span<const float>(tap.rows).first(tap.n_tokens * n_in)));
    tap.n_tokens = 0;
  }
  return {};
}

// rows [T, K]
Status Quantizer::add_input(const std::string& linear, std::span<const float> rows) {
  Stage& stage = *stage_;
  auto found = stage.inputs.find(linear);
  if (found == stage.inputs.end()) {
    const auto n_in = static_cast<size_t>(plan_of(linear).shape[1]);
    const uint64_t n_rows = report_.n_calibration_tokens / (is_head(stage_index_) ? kChunkTokens : 1);
    SUTRA_ASSIGN(InputStatistics input, InputStatistics::create(n_in, n_rows));
    found = stage.inputs.emplace(linear, std::move(input)).first;
  }
  const Status added = found->second.add(rows, *pool_);
  if (!added) return fail(added.error().code, linear, ": ", added.error().message);
  return {};
}

// Its own, or that of the linear that shares it: the one of the same group.
const InputStatistics* Quantizer::input_of(const std::string& linear) const {
  const Stage& stage = *stage_;
  if (const auto own = stage.inputs.find(linear); own != stage.inputs.end()) return &own->second;
  for (const ScaleGroup& group : stage.groups) {
    if (std::ranges::find(group.linears, linear) == group.linears.end()) continue;
    for (const std::string& other : group.linears) {
      if (const auto found = stage.inputs.find(other); found != stage.inputs.end()) return &found->second;
    }
  }
  return nullptr;
}

// Everything was measured: the model goes, and what rounding to nearest does to the outputs is noted before anything is
// scaled.
Status Quantizer::drop_part() {
  Stage& stage = *stage_;
  stage.model.reset();
  stage.part = WeightMap();
  if (is_head(stage_index_)) streams_.clear();
  for (const Plan* plan : stage.plans) {
    const InputStatistics* const input = plan->linear.empty() ? nullptr : input_of(plan->linear);
    if (input == nullptr) continue;
    const Tensor& matrix = stage.weights.find(plan->name)->second;  // of a tall one some rows
    const auto n_out = static_cast<size_t>(matrix.shape()[0]), n_in = static_cast<size_t>(matrix.shape()[1]);
    const std::span<const float> weights = matrix.as<float>();
    std::vector<float> rows;
    for (const size_t row : spread_rows(n_out, kMeasuredRows)) {
      const auto source = weights.subspan(row * n_in, n_in);
      rows.insert(rows.end(), source.begin(), source.end());
    }
    const size_t n_rows = rows.size() / n_in;
    RelativeError error(n_rows, input);
    error.add(quantize_rtn(rows, n_rows, n_in, plan->format), 0, rows);
    stage.errors_rtn[plan->linear] = error.value();
  }
  return {};
}

Status Quantizer::search_group(size_t index) {
  Stage& stage = *stage_;
  const ScaleGroup& group = stage.groups[index];
  std::vector<CalibratedMatrix> matrices;
  for (const std::string& linear : group.linears) {
    const Tensor& weight = stage.weights.find(linear + std::string(kWeight))->second;
    const InputStatistics* const input = input_of(linear);
    if (input == nullptr) return fail(ErrorCode::kInternal, "the input of '", linear, "' was not measured");
    matrices.push_back({weight.as<float>(), static_cast<size_t>(weight.shape()[0]), input});
  }
  const ScaleChoice choice = search_scales(matrices, group.tied, plan_of(group.linears.front()).format, *pool_);
  for (const std::string& linear : group.linears) stage.scaled[linear] = {choice.ratio(), choice.duo};
  SUTRA_TRY(apply_scales(group, choice.s, stage.weights));
  if (is_head(stage_index_)) stage.column_scales[group.linears.front() + std::string(kWeight)] = choice.s;
  // Each input once, whoever shares it.
  std::set<const InputStatistics*> inputs;
  for (const CalibratedMatrix& matrix : matrices) inputs.insert(matrix.input);
  for (auto& [name, input] : stage.inputs) {
    if (inputs.contains(&input)) input.divide(choice.s);
  }
  return {};
}

Status Quantizer::quantize(const Plan& plan) {
  const auto n_out = static_cast<size_t>(plan.shape[0]), n_in = static_cast<size_t>(plan.shape[1]);
  const Tensor wide = std::move(stage_->weights.extract(plan.name).mapped());
  for (size_t first = 0; first < n_out; first += rows_at_once(n_in)) {
    const size_t n = std::min(rows_at_once(n_in), n_out - first);
    SUTRA_TRY(round_rows(plan, first, wide.as<float>().subspan(first * n_in, n * n_in)));
  }
  return {};
}

// The next rows of a tall matrix, from `first` on.
Status Quantizer::write_rows(const Plan& plan, size_t first) {
  Stage& stage = *stage_;
  stage.weights.erase(plan.name);
  if (plan.linear.empty()) return keep_rows(plan, first);
  const std::span<float> rows = stage.rows.as<float>();
  if (const auto scales = stage.column_scales.find(plan.name); scales != stage.column_scales.end()) {
    for (size_t i = 0; i < rows.size(); ++i) rows[i] *= scales->second[i % scales->second.size()];
  }
  return round_rows(plan, first, rows);
}

// Rows of a matrix from `first` on, which come one after the other; with the last ones it goes into the file.
Status Quantizer::round_rows(const Plan& plan, size_t first, std::span<const float> weights) {
  Stage& stage = *stage_;
  const auto n_out = static_cast<size_t>(plan.shape[0]), n_in = static_cast<size_t>(plan.shape[1]);
  const size_t n_rows = weights.size() / n_in;
  const InputStatistics* const input = input_of(plan.linear);
  SUTRA_TRY(check_scale_range(weights, plan.format, plan.written_name));
  if (first == 0) {
    SUTRA_ASSIGN(AwqTensors packed, create_awq(n_out, n_in, plan.format.group_size, file_bits()));
    stage.rounding = Stage::Rounding{std::move(packed), RelativeError(n_out, input)};
  }
  Stage::Rounding& rounding = *stage.rounding;
  const CalibratedMatrix rows{weights, n_rows, input};
  std::vector<float> limits;
  // With 255 steps nothing is gained by cutting.
  if (calibrates() && plan.format.bits < 8) limits = search_limits(rows, plan.format, *pool_);
  const Q4Integers quantised = input != nullptr ? quantize_gptq(rows, plan.format, limits, *pool_)
                                                : quantize_rtn(weights, n_rows, n_in, plan.format, limits, pool_.get());
  pack_awq(quantised, first, rounding.packed);
  rounding.error.add(quantised, first, weights);
  rounding.n_cut += count_cut(limits, weights, n_in, plan.format.group_size);
  rounding.n_groups += limits.size();
  return first + n_rows < n_out ? Status() : finish_matrix(plan);
}

Status Quantizer::finish_matrix(const Plan& plan) {
  Stage& stage = *stage_;
  Stage::Rounding rounding = *std::exchange(stage.rounding, std::nullopt);
  AwqTensors& packed = rounding.packed;
  QuantizedTensor report;
  report.name = plan.written_name;
  report.bytes_before = plan.bytes_before;
  report.bytes_after = packed.qweight.bytes().size() + packed.qzeros.bytes().size() + packed.scales.bytes().size();
  report.bits = plan.format.bits;
  report.group_size = plan.format.group_size;
  report.error = rounding.error.value();
  const auto error_rtn = stage.errors_rtn.find(plan.linear);
  report.error_rtn = error_rtn != stage.errors_rtn.end() ? error_rtn->second : report.error;
  if (const auto scaled = stage.scaled.find(plan.linear); scaled != stage.scaled.end()) {
    report.ratio = scaled->second.ratio;
    report.duo = scaled->second.duo;
  }
  if (rounding.n_groups > 0) {
    report.cut = static_cast<double>(rounding.n_cut) / static_cast<double>(rounding.n_groups);
  }
  float_bytes_ += plan.shape.n_elements() * sizeof(float);
  packed_bytes_ += report.bytes_after;
  add_to_report(std::move(report));

  const std::string written = module_of(plan.written_name);
  SUTRA_TRY(finish_tensor(written + ".qweight", std::move(packed.qweight)));
  SUTRA_TRY(finish_tensor(written + ".qzeros", std::move(packed.qzeros)));
  return finish_tensor(written + ".scales", std::move(packed.scales));
}

Status Quantizer::keep(const Plan& plan) {
  auto node = stage_->weights.extract(plan.name);
  // What is new was made by its group's search.
  SUTRA_ASSERT(!node.empty());
  Tensor tensor = std::move(node.mapped());
  if (plan.kept_dtype == Dtype::kF16) {
    SUTRA_TRY(check_half_range(tensor, plan.name, plan.kept_dtype));
    SUTRA_ASSIGN(tensor, to_f16(tensor));
  }
  return finish_kept(plan, std::move(tensor));
}

// As round_rows(), of a tall matrix that is not quantised.
Status Quantizer::keep_rows(const Plan& plan, size_t first) {
  Stage& stage = *stage_;
  if (first == 0) {
    SUTRA_ASSIGN(stage.kept, Tensor::create(plan.kept_dtype, plan.shape, Contents::kUndefined));
  }
  const size_t at = first * static_cast<size_t>(plan.shape[1]);
  if (plan.kept_dtype == Dtype::kF16) {
    SUTRA_TRY(check_half_range(stage.rows, plan.name, plan.kept_dtype));
    SUTRA_ASSIGN(const Tensor narrow, to_f16(stage.rows));
    std::ranges::copy(narrow.as<uint16_t>(), stage.kept.as<uint16_t>().subspan(at).begin());
  } else {
    std::ranges::copy(std::as_const(stage.rows).as<float>(), stage.kept.as<float>().subspan(at).begin());
  }
  return first + stage.rows.shape()[0] < plan.shape[0] ? Status() : finish_kept(plan, std::move(stage.kept));
}

Status Quantizer::finish_kept(const Plan& plan, Tensor tensor) {
  QuantizedTensor report;
  report.name = plan.written_name;
  report.bytes_before = plan.bytes_before;
  report.bytes_after = tensor.bytes().size();
  report.bits = static_cast<int>(dtype_bytes(plan.kept_dtype) * 8);
  report.kept_because = plan.kept_because;
  add_to_report(std::move(report));
  return finish_tensor(plan.written_name, std::move(tensor));
}

void Quantizer::add_to_report(QuantizedTensor tensor) {
  report_.bytes_before += tensor.bytes_before;
  report_.bytes_after += tensor.bytes_after;
  report_.tensors.push_back(std::move(tensor));
}

// Writes the tensors whose turn it is and frees them.
Status Quantizer::finish_tensor(std::string name, Tensor tensor) {
  finished_.emplace(std::move(name), std::move(tensor));
  for (; next_spec_ < specs_.size(); ++next_spec_) {
    const auto it = finished_.find(specs_[next_spec_].name);
    if (it == finished_.end()) return {};
    SUTRA_TRY(writer_->write(it->first, it->second.view()));
    finished_.erase(it);
  }
  return {};
}

}  // namespace sutra
