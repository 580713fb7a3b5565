// Running the model, layer by layer, on the calibration: what comes into each linear.
#include <algorithm>
#include <functional>
#include <utility>
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

Status add_rows(const std::string& linear, std::span<const float> rows, InputStatistics& statistics) {
  const Status added = statistics.add(rows);
  if (!added) return fail(added.error().code, linear, ": ", added.error().message);
  return {};
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
    if (is_end || plan->linear.empty()) continue;
    std::vector<InputTap::Chunk>& chunks = stage.taps[plan->linear].chunks;
    for (const Lane& lane : stage.lanes) {
      chunks.push_back({&lane.workspace, std::vector<float>(kLaneTokens * static_cast<size_t>(plan->shape[1])), 0});
    }
  }
  options.taps = &stage.taps;
  ModelConfig config = model_.config;
  if (stage_index_ == 0) {
    std::visit([&](auto& own) { own.vocab_size = stage.embedded_ids.size(); }, config.architecture);
  }
  SUTRA_ASSIGN(stage.model, build_model(config, stage.part, options));
  for (Lane& lane : stage.lanes) {
    SUTRA_ASSIGN(lane.workspace, stage.model->create_workspace(kLaneTokens));
    SUTRA_ASSIGN(lane.state, State::create(stage.model->state_layout()));
  }
  const size_t n_streams = stage.model->stream(stage.lanes[0].workspace, 1).size();
  if (stage_index_ > 0 && streams_.front().size() != n_streams) {
    return fail(ErrorCode::kMalformed, "the checkpoint has ", streams_.front().size(), " residual streams, the model ",
                n_streams);
  }
  return {};
}

Status Quantizer::embed_sequence(size_t index) {
  Stage& stage = *stage_;
  Workspace& workspace = stage.lanes[0].workspace;
  const size_t n_embd = model_.config.n_embd();
  std::vector<int32_t> rows;
  for (const int32_t id : sequences_[index]) {
    const auto found = std::ranges::lower_bound(stage.embedded_ids, id);
    rows.push_back(static_cast<int32_t>(found - stage.embedded_ids.begin()));
  }
  const std::span<const int32_t> ids = rows;
  std::vector<HalfRows>& streams = streams_.emplace_back();
  for (size_t i = 0; i < stage.model->stream(workspace, 1).size(); ++i) {
    SUTRA_ASSIGN(HalfRows rows_of_stream, HalfRows::create(ids.size(), n_embd));
    streams.push_back(std::move(rows_of_stream));
  }
  for (size_t first = 0; first < ids.size(); first += kLaneTokens) {
    const auto chunk = ids.subspan(first, std::min(kLaneTokens, ids.size() - first));
    stage.model->embed(chunk, workspace, *pool_);
    const auto stream = stage.model->stream(workspace, chunk.size());
    for (size_t t = 0; t < chunk.size(); ++t) {
      streams[0].put(first + t, stream[0].subspan(t * n_embd, n_embd));
    }
  }
  return {};
}

// Sequences `first` and those beside it, a chunk of each at a time.
Status Quantizer::run_sequences(size_t first) {
  Stage& stage = *stage_;
  const size_t n_lanes = std::min(kLanes, sequences_.size() - first);
  size_t n_tokens = 0;  // of the longest
  for (size_t lane = 0; lane < n_lanes; ++lane) {
    n_tokens = std::max(n_tokens, sequences_[first + lane].size());
    stage.lanes[lane].state.reset(stage.model->state_layout());
  }
  for (size_t token = 0; token < n_tokens; token += kLaneTokens) {
    const auto chunk_of = [&](size_t lane) {
      const size_t length = sequences_[first + lane].size();
      return token < length ? std::min(kLaneTokens, length - token) : 0;
    };
    for (size_t lane = 0; lane < n_lanes; ++lane) {
      SUTRA_TRY(stage.lanes[lane].state.reserve(stage.model->state_layout(), chunk_of(lane)));
    }
    const auto run = [&](size_t lane, ThreadPool& pool) {
      if (chunk_of(lane) > 0) run_chunk(stage.lanes[lane], streams_[first + lane], token, chunk_of(lane), pool);
    };
    // A thread that has a sequence of its own waits for no other; where there are many threads, a sequence has them all.
    if (pool_->size() > 1 && pool_->size() < 2 * kLanes) {
      pool_->parallel_for(n_lanes, 1, n_lanes, [&](size_t begin, size_t end) {
        ThreadPool alone(1);
        for (size_t lane = begin; lane < end; ++lane) run(lane, alone);
      });
    } else {
      for (size_t lane = 0; lane < n_lanes; ++lane) run(lane, *pool_);
    }
    SUTRA_TRY(measure_inputs());
  }
  return {};
}

// n tokens of a sequence from `first` on, through the layer.
void Quantizer::run_chunk(Lane& lane, std::span<HalfRows> streams, size_t first, size_t n, ThreadPool& pool) {
  const Model& model = *stage_->model;
  const size_t n_embd = model_.config.n_embd();
  const auto stream = model.stream(lane.workspace, n);
  const auto for_rows = [&](const auto& body) {
    pool.parallel_for(n, 1, pool.size(), [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        for (size_t i = 0; i < stream.size(); ++i) body(streams[i], first + t, stream[i].subspan(t * n_embd, n_embd));
      }
    });
  };
  for_rows([](const HalfRows& rows, size_t at, std::span<float> values) { rows.get(at, values); });
  model.run_layers(lane.state, n, lane.workspace, pool);
  lane.state.n_tokens += n;
  for_rows([](HalfRows& rows, size_t at, std::span<float> values) { rows.put(at, values); });
}

// What comes into the head with every kChunkTokens-th token of a sequence, and its last.
Status Quantizer::run_head(size_t sequence) {
  Stage& stage = *stage_;
  const OuterNames outer = outer_names(model_.config);
  const std::string linear(outer.tied ? outer.embeddings : outer.head);
  const size_t n_tokens = sequences_[sequence].size();
  std::vector<float> input(model_.config.n_embd());
  Workspace& workspace = stage.lanes[0].workspace;
  const auto stream = stage.model->stream(workspace, 1);
  SUTRA_ASSIGN(InputStatistics* const statistics, statistics_of(linear));
  for (size_t end = 0; end < n_tokens;) {
    end = std::min(end + kChunkTokens, n_tokens);
    for (size_t i = 0; i < stream.size(); ++i) streams_[sequence][i].get(end - 1, stream[i]);
    stage.model->head_input(1, LogitsWanted::kLast, workspace, *pool_, input);
    SUTRA_TRY(add_rows(linear, input, *statistics));
  }
  return {};
}

// What came into the linears with the last chunks, in the order of their sequences: sums are the same whoever runs them.
Status Quantizer::measure_inputs() {
  struct Measured {
    const std::string* linear;
    InputTap* tap;
    InputStatistics* statistics;
    Status status;
  };
  std::vector<Measured> measured;
  for (auto& [name, tap] : stage_->taps) {
    if (std::ranges::all_of(tap.chunks, [](const InputTap::Chunk& chunk) { return chunk.n_tokens == 0; })) continue;
    SUTRA_ASSIGN(InputStatistics* const statistics, statistics_of(name));
    measured.push_back({&name, &tap, statistics, {}});
  }
  if (measured.empty()) return {};  // nothing of the layer is quantised
  // The widest first, for threads to end at the same time.
  std::vector<Measured*> by_width;
  for (Measured& m : measured) by_width.push_back(&m);
  std::ranges::stable_sort(by_width, std::greater(), [](const Measured* m) { return m->statistics->n_channels(); });
  pool_->parallel_for(by_width.size(), 1, by_width.size(), [&](size_t first, size_t last) {
    for (Measured* const m : std::span(by_width).subspan(first, last - first)) {
      for (InputTap::Chunk& chunk : m->tap->chunks) {
        const size_t n = std::exchange(chunk.n_tokens, 0);
        const auto rows = std::span<const float>(chunk.rows).first(n * m->statistics->n_channels());
        if (m->status) m->status = add_rows(*m->linear, rows, *m->statistics);
      }
    }
  });
  for (const Measured& m : measured) SUTRA_TRY(m.status);
  return {};
}

Result<InputStatistics*> Quantizer::statistics_of(const std::string& linear) {
  std::map<std::string, InputStatistics, std::less<>>& inputs = stage_->inputs;
  if (const auto found = inputs.find(linear); found != inputs.end()) return &found->second;
  const uint64_t n_rows = report_.n_calibration_tokens / (is_head(stage_index_) ? kChunkTokens : 1);
  SUTRA_ASSIGN(InputStatistics statistics,
               InputStatistics::create(static_cast<size_t>(plan_of(linear).shape[1]), n_rows));
  return &inputs.emplace(linear, std::move(statistics)).first->second;
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
  stage.lanes = {};
  stage.taps.clear();
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
