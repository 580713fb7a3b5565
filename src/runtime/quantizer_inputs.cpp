// Running the model, layer by layer, on the calibration: what comes into each linear.
#include <algorithm>
#include <variant>

#include "base/overloaded.h"
#include "model/blinkdl.h"
#include "model/outer_names.h"
#include "quant/awq_search.h"
#include "quant/rtn.h"
#include "runtime/quantizer_stage.h"

namespace sutra {
namespace {

Result<Tensor> clone(const Tensor& source) {
  SUTRA_ASSIGN(Tensor copy, Tensor::create(source.dtype(), source.shape(), Contents::kUndefined));
  std::ranges::copy(source.bytes(), copy.bytes().begin());
  return copy;
}

}  // namespace

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
      SUTRA_TRY(measure_inputs());
    }
  }
  return {};
}

// What came into the linears with the last chunk.
Status Quantizer::measure_inputs() {
  for (auto& [name, tap] : stage_->taps) {
    if (tap.n_tokens == 0) continue;
    const auto n_in = static_cast<size_t>(plan_of(name).shape[1]);
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
    for (const size_t row : spread_rows(n_out, RelativeError::kRows)) {
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

}  // namespace sutra
