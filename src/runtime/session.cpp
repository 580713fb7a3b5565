#include "runtime/session.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "io/safetensors_stream.h"
#include "io/safetensors_writer.h"
#include "io/torch_file.h"
#include "runtime/initial_state.h"

namespace sutra {
namespace {

constexpr std::string_view kStateFormat = "sutra-state";
constexpr std::string_view kStateVersion = "1";
constexpr std::string_view kLogitsName = "logits";
constexpr std::string_view kSeenName = "seen_ids";

std::string state_name(const StateField& field) { return "state." + field.name; }

std::string_view metadata_value(const SafetensorsHeader& header, std::string_view key) {
  for (const auto& [name, value] : header.metadata) {
    if (name == key) return value;
  }
  return {};
}

Status require_metadata(const SafetensorsHeader& header, std::string_view key, std::string_view expected) {
  const std::string_view found = metadata_value(header, key);
  if (found == expected) return {};
  return fail(ErrorCode::kStateMismatch, "the saved state's ", key, " must be '", expected, "', found '",
              printable(found), "'");
}

}  // namespace

Session::Session(std::shared_ptr<const Engine> engine, State state)
    : engine_(std::move(engine)), state_(std::move(state)), sampler_(sample::Options{}, engine_->info().vocab_size) {
  if (engine_->tokenizer() != nullptr) decoder_.emplace(*engine_->tokenizer());
}

Result<Session> Session::create(std::shared_ptr<const Engine> engine) {
  SUTRA_ASSIGN(State state, State::create(engine->model().state_layout()));
  return Session(std::move(engine), std::move(state));
}

Result<Session> Session::clone() const {
  SUTRA_ASSIGN(State state, state_.clone());
  Session copy(engine_, std::move(state));
  copy.logits_ = logits_;
  copy.sampler_ = sampler_;
  copy.decoder_ = decoder_;
  return copy;
}

void Session::reset() {
  state_.reset(engine_->model().state_layout());
  logits_.clear();
  sampler_ = sample::Sampler(sample::Options{}, engine_->info().vocab_size);
  flush_text();
}

std::string Session::flush_text() { return decoder_ ? decoder_->flush() : std::string(); }

Result<size_t> Session::advance(std::span<const int32_t> ids) {
  const auto chunk = ids.first(std::min(ids.size(), kChunkTokens));
  if (chunk.empty()) return size_t{0};
  SUTRA_TRY(engine_->check_ids(chunk));
  // For all of them: what does not fit is refused before any of it is read.
  SUTRA_TRY(engine_->reserve(state_, ids.size()));
  const bool is_last = chunk.size() == ids.size();
  logits_.resize(is_last ? engine_->info().vocab_size : 0);
  engine_->forward(state_, chunk, is_last ? LogitsWanted::kLast : LogitsWanted::kNone, logits_);
  for (const int32_t id : chunk) sampler_.accept(id);
  return chunk.size();
}

std::span<const float> Session::logits() const { return logits_; }

Result<std::vector<std::byte>> Session::save() const {
  std::vector<TensorSpec> specs;
  std::vector<Tensor> tensors;
  for (const StateField& field : engine_->model().state_layout().fields) {
    SUTRA_ASSIGN(Tensor tensor, publish_field(field, state_));
    specs.push_back({state_name(field), Dtype::kF32, tensor.shape()});
    tensors.push_back(std::move(tensor));
  }
  if (!logits_.empty()) {
    SUTRA_ASSIGN(Tensor tensor, Tensor::create(Dtype::kF32, {logits_.size()}));
    std::ranges::copy(logits_, tensor.as<float>().begin());
    specs.push_back({std::string(kLogitsName), Dtype::kF32, tensor.shape()});
    tensors.push_back(std::move(tensor));
  }
  if (const auto seen = sampler_.history(); !seen.empty()) {
    SUTRA_ASSIGN(Tensor tensor, Tensor::create(Dtype::kI32, {seen.size()}));
    std::ranges::copy(seen, tensor.as<int32_t>().begin());
    specs.push_back({std::string(kSeenName), Dtype::kI32, tensor.shape()});
    tensors.push_back(std::move(tensor));
  }
  MemorySink sink;
  const SafetensorsWriter::Metadata metadata = {{"format", std::string(kStateFormat)},
                                                {"version", std::string(kStateVersion)},
                                                {"architecture", engine_->info().architecture},
                                                {"model_hash", engine_->info().model_hash},
                                                {"tokens", std::to_string(state_.n_tokens)}};
  SUTRA_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(sink, specs, metadata));
  for (size_t i = 0; i < specs.size(); ++i) SUTRA_TRY(writer.write(specs[i].name, tensors[i].view()));
  SUTRA_TRY(writer.finish());
  return std::vector<std::byte>(sink.bytes().begin(), sink.bytes().end());
}

Status Session::load(std::span<const std::byte> bytes) {
  TensorMap tensors;
  TensorMapSink sink(tensors);
  if (looks_like_torch_file(bytes.first(std::min(bytes.size(), kTorchMagicBytes)))) {
    TorchReader reader(bytes.size(), &sink);
    for (ByteRange wanted = reader.wanted(); wanted.size > 0; wanted = reader.wanted()) {
      SUTRA_TRY(reader.give(bytes.subspan(static_cast<size_t>(wanted.offset), static_cast<size_t>(wanted.size))));
    }
    SUTRA_TRY(reader.finish());
    if (!is_initial_state(tensors)) {
      return fail(ErrorCode::kStateMismatch, "the file of torch.save holds no state (blocks.0.att.time_state)");
    }
  } else {
    SafetensorsStream stream("saved state", bytes.size(), sink);
    SUTRA_TRY(stream.feed(bytes));
    SUTRA_TRY(stream.finish());
    if (!is_initial_state(tensors)) return load_saved(tensors, *stream.header());
  }
  SUTRA_ASSIGN(State state, initial_state(engine_->model().state_layout(), tensors));
  reset();
  state_ = std::move(state);
  return {};
}

Status Session::load_saved(TensorMap& tensors, const SafetensorsHeader& header) {
  SUTRA_TRY(require_metadata(header, "format", kStateFormat));
  SUTRA_TRY(require_metadata(header, "version", kStateVersion));
  SUTRA_TRY(require_metadata(header, "architecture", engine_->info().architecture));
  SUTRA_TRY(require_metadata(header, "model_hash", engine_->info().model_hash));

  const std::string_view tokens = metadata_value(header, "tokens");
  uint64_t n_tokens = 0;
  const auto parsed = std::from_chars(tokens.data(), tokens.data() + tokens.size(), n_tokens);
  if (parsed.ec != std::errc{} || parsed.ptr != tokens.data() + tokens.size()) {
    return fail(ErrorCode::kMalformed, "the saved state's token count must be a number, found '", printable(tokens),
                "'");
  }

  const StateLayout& layout = engine_->model().state_layout();
  if (n_tokens > layout.max_tokens) {
    return fail(ErrorCode::kStateMismatch, "the saved state has ", n_tokens, " tokens, the model's context holds ",
                layout.max_tokens);
  }
  std::vector<Tensor> fields;
  for (const StateField& field : layout.fields) {
    SUTRA_ASSIGN(Tensor tensor, tensors.take(state_name(field), Dtype::kF32, field.published_shape(n_tokens)));
    fields.push_back(std::move(tensor));
  }
  SUTRA_ASSIGN(State state, State::create(layout));
  SUTRA_TRY(state.reserve(layout, n_tokens));
  state.n_tokens = n_tokens;
  for (size_t i = 0; i < fields.size(); ++i) SUTRA_TRY(adopt_field(layout.fields[i], fields[i].view(), state));
  std::vector<float> logits;
  if (tensors.contains(kLogitsName)) {
    SUTRA_ASSIGN(const Tensor tensor, tensors.take(kLogitsName, Dtype::kF32, {engine_->info().vocab_size}));
    logits.assign(tensor.as<float>().begin(), tensor.as<float>().end());
  }
  std::vector<int32_t> seen;
  if (tensors.contains(kSeenName)) {
    SUTRA_ASSIGN(const Tensor tensor, tensors.take(kSeenName));
    if (tensor.dtype() != Dtype::kI32) {
      return fail(ErrorCode::kDtypeMismatch, "saved state: 'seen_ids' must be I32, found ", dtype_name(tensor.dtype()));
    }
    seen.assign(tensor.as<int32_t>().begin(), tensor.as<int32_t>().end());
    SUTRA_TRY(engine_->check_ids(seen));
  }

  reset();
  state_ = std::move(state);
  logits_ = std::move(logits);
  for (const int32_t id : seen) sampler_.accept(id);
  return {};
}

Result<Session> Session::mean(std::span<const Session> sessions) {
  if (sessions.empty()) return fail(ErrorCode::kInvalidArgument, "a mean needs at least one state");
  const std::shared_ptr<const Engine>& engine = sessions.front().engine_;
  const StateLayout& layout = engine->model().state_layout();
  if (!layout.linear) {
    return fail(ErrorCode::kUnsupported, "the states of ", engine->info().architecture, " models have no mean");
  }
  SUTRA_ASSIGN(Session mean, create(engine));
  const std::span<float> out = mean.state_.buffer.as<float>();
  for (const Session& session : sessions) {
    if (session.engine_ != engine) {
      return fail(ErrorCode::kInvalidArgument, "a mean is of states of one model, found several");
    }
    const auto in = session.state_.buffer.as<const float>();
    for (size_t i = 0; i < out.size(); ++i) out[i] += in[i];
    mean.state_.n_tokens = std::max(mean.state_.n_tokens, session.state_.n_tokens);
  }
  for (float& value : out) value /= static_cast<float>(sessions.size());
  return mean;
}

}  // namespace sutra
