#include "runtime/quantizer.h"

#include <algorithm>
#include <set>

#include "base/assert.h"
#include "model/outer_names.h"
#include "model/parameters.h"
#include "model/quantizable.h"
#include "runtime/quantizer_stage.h"

namespace sutra {
namespace {

constexpr size_t kEmbeddingGroupSize = 32, kTiedGroupSize = 64;

Dtype kept_dtype(const Tensor& source, bool is_matrix) {
  if (!is_matrix) return Dtype::kF32;
  return source.dtype() == Dtype::kF32 || source.dtype() == Dtype::kF64 ? Dtype::kF32 : Dtype::kF16;
}

}  // namespace

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
  size_t n_tokens = 0;
  for (const std::vector<int32_t>& ids : sequences) {
    for (const int32_t id : ids) {
      if (id >= 0 && static_cast<size_t>(id) < quantizer.model_.config.vocab_size()) continue;
      return fail(ErrorCode::kInvalidArgument, "token id ", id, " is outside the model's vocabulary of ",
                  quantizer.model_.config.vocab_size());
    }
    n_tokens += ids.size();
  }
  if (quantizer.calibrates() && n_tokens == 0) {
    return fail(ErrorCode::kInvalidArgument, "this method needs calibration text");
  }
  quantizer.sequences_ = std::move(sequences);
  quantizer.report_.n_calibration_tokens = n_tokens;
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
    } else if (options_.keep_embeddings && transformers_reads(model_.config, linear)) {
      plan.kept_because = "transformers reads its weights";
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
  return *std::ranges::find(plans_, weight_of(linear), &Plan::name);
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

Result<bool> Quantizer::step() {
  SUTRA_ASSERT(writer_.has_value() && wanted().range.size == 0);
  if (!tasks_.empty()) {
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    stage_->loaded_bytes = 0;
    SUTRA_TRY(task.run(*this));
    stage_->rows = Tensor();
  }
  if (!tasks_.empty()) return true;
  end_stage();
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
void Quantizer::end_stage() {
  for (const Plan* plan : stage_->plans) model_.weights.drop(source_name(model_.weights, plan->name));
  stage_.reset();
}

// What was made of the stages before is known.
Status Quantizer::skip_to(size_t stage) {
  for (const Plan& plan : plans_) {
    if (plan.stage < stage) model_.weights.drop(source_name(model_.weights, plan.name));
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
    const bool is_layer = stage_index_ > 0 && !is_head(stage_index_);
    for (size_t i = 0; i < sequences_.size(); i += is_layer ? kLanes : 1) {
      add_task([i, is_layer](Quantizer& q) {
        return is_layer ? q.run_sequences(i) : q.stage_index_ == 0 ? q.embed_sequence(i) : q.run_head(i);
      });
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
