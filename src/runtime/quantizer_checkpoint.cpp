#include "runtime/quantizer_checkpoint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "io/hash.h"
#include "io/safetensors_stream.h"
#include "io/tensor_sink.h"
#include "runtime/quantizer.h"

namespace sutra {
namespace {

constexpr size_t kReportColumns = 9;
constexpr std::string_view kFinished = "finished.", kScales = ".scales";

template <class T>
Result<Tensor> tensor_of(Dtype dtype, const Shape& shape, std::span<const T> values) {
  SUTRA_ASSIGN(Tensor tensor, Tensor::create(dtype, shape, Contents::kUndefined));
  std::ranges::copy(std::as_bytes(values), tensor.bytes().begin());
  return tensor;
}

void update(Sha256& hash, std::string_view text) { hash.update(std::as_bytes(std::span(text))); }

}  // namespace

// A tensor's beginning stands for all of it, as in ModelInventory.
void Quantizer::take_fingerprint() {
  constexpr size_t kHashedTensorBytes = 4096;
  Sha256 hash;
  // Of what is searched and how: another search goes on from another's checkpoint only by mistake.
  constexpr int kVersion = 3;
  update(hash, concat(kVersion, " ", static_cast<int>(options_.method), " ", options_.bits, " ", options_.group_size,
                      " ", static_cast<int>(options_.keep_embeddings), "\n"));
  update(hash, files_beside_.front().text);  // config.json
  for (const std::string& name : model_.weights.names()) {
    const Tensor* const tensor = model_.weights.find(name);
    if (tensor == nullptr) continue;
    update(hash, concat(name, "\n", dtype_name(tensor->dtype()), tensor->shape().to_string(), "\n"));
    const std::span<const std::byte> bytes =
        tensor->place() ? std::span<const std::byte>(model_.places[*tensor->place()].head) : tensor->bytes();
    hash.update(bytes.first(std::min(kHashedTensorBytes, bytes.size())));
  }
  for (const std::vector<int32_t>& ids : sequences_) {
    update(hash, concat(ids.size(), "\n"));
    hash.update(std::as_bytes(std::span(ids)));
  }
  fingerprint_ = hash.finish();
}

Status Quantizer::begin_checkpoint(ByteSink& sink) {
  SUTRA_ASSERT(is_between_stages());
  checkpoint_ = std::make_unique<Checkpoint>();
  std::vector<TensorSpec>& specs = checkpoint_->specs;
  specs.push_back({"place", Dtype::kI64, {4}});
  if (!report_.tensors.empty()) specs.push_back({"report", Dtype::kF64, {report_.tensors.size(), kReportColumns}});
  specs.push_back({"fingerprint", Dtype::kI32, {8}});
  for (const auto& [name, tensor] : finished_)
    specs.push_back({concat(kFinished, name), tensor.dtype(), tensor.shape()});
  for (size_t q = 0; q < streams_.size(); ++q) {
    const size_t n = sequences_[q].size();
    for (size_t s = 0; s < streams_[q].size(); ++s) {
      const std::string name = concat("stream.", s, ".", q);
      checkpoint_->streams.emplace(name, std::pair(s, q));
      specs.push_back({name, Dtype::kF16, {n, model_.config.n_embd()}});
      specs.push_back({concat(name, kScales), Dtype::kF32, {n}});
    }
  }
  order_for_alignment(specs);
  SUTRA_ASSIGN(checkpoint_->writer, SafetensorsWriter::create(sink, specs));
  return {};
}

Result<bool> Quantizer::write_checkpoint() {
  Checkpoint& checkpoint = *checkpoint_;
  const TensorSpec& spec = checkpoint.specs[checkpoint.next];
  if (spec.name.starts_with(kFinished)) {
    const Tensor& waiting = finished_.find(spec.name.substr(kFinished.size()))->second;
    SUTRA_TRY(checkpoint.writer->write(spec.name, waiting.view()));
  } else {
    SUTRA_ASSIGN(const Tensor tensor, checkpoint_tensor(spec));
    SUTRA_TRY(checkpoint.writer->write(spec.name, tensor.view()));
  }
  if (++checkpoint.next < checkpoint.specs.size()) return true;
  SUTRA_TRY(checkpoint.writer->finish());
  checkpoint_.reset();
  return false;
}

// Those that are not there as they are.
Result<Tensor> Quantizer::checkpoint_tensor(const TensorSpec& spec) const {
  if (spec.name == "place") {
    const std::array<int64_t, 4> place = {static_cast<int64_t>(stage_index_), static_cast<int64_t>(float_bytes_),
                                          static_cast<int64_t>(packed_bytes_),
                                          static_cast<int64_t>(report_.tensors.size())};
    return tensor_of<int64_t>(spec.dtype, spec.shape, place);
  }
  if (spec.name == "fingerprint") return tensor_of<std::byte>(spec.dtype, spec.shape, fingerprint_);
  if (spec.name == "report") {
    std::vector<double> rows;
    for (const QuantizedTensor& t : report_.tensors) {
      const auto plan = std::ranges::find(plans_, t.name, &Plan::written_name);
      const double ratio = t.ratio ? double{*t.ratio} : -1.0;
      for (const double value : {static_cast<double>(plan - plans_.begin()), static_cast<double>(t.bytes_before),
                                 static_cast<double>(t.bytes_after), t.error_rtn, t.error, ratio,
                                 static_cast<double>(t.duo), t.cut, static_cast<double>(t.bits)}) {
        rows.push_back(value);
      }
    }
    return tensor_of<double>(spec.dtype, spec.shape, rows);
  }
  const bool is_scales = spec.name.ends_with(kScales);
  const auto [stream, sequence] =
      checkpoint_->streams.find(spec.name.substr(0, spec.name.size() - (is_scales ? kScales.size() : 0)))->second;
  const HalfRows& rows = streams_[sequence][stream];
  if (is_scales) return tensor_of(spec.dtype, spec.shape, rows.scales());
  return tensor_of(spec.dtype, spec.shape, rows.halves());
}

Status Quantizer::resume(TensorMap checkpoint) {
  SUTRA_ASSERT(writer_.has_value() && stage_index_ == 0 && is_between_stages());
  SUTRA_ASSIGN(const Tensor fingerprint, checkpoint.take("fingerprint", Dtype::kI32, {8}));
  if (!std::ranges::equal(fingerprint.bytes(), std::as_bytes(std::span(fingerprint_)))) {
    return fail(ErrorCode::kStateMismatch, "the checkpoint is of another model, calibration text or choice of options");
  }
  SUTRA_ASSIGN(const Tensor place, checkpoint.take("place", Dtype::kI64, {4}));
  const auto values = place.as<int64_t>();
  const int64_t stage = values[0], float_bytes = values[1], packed_bytes = values[2], n_rows = values[3];
  if (stage < 1 || static_cast<uint64_t>(stage) >= n_stages() || float_bytes < 0 || packed_bytes < 0 || n_rows < 0 ||
      static_cast<uint64_t>(n_rows) > plans_.size()) {
    return fail(ErrorCode::kMalformed, "the checkpoint's place cannot be");
  }
  SUTRA_TRY(resume_report(checkpoint, static_cast<size_t>(n_rows)));
  SUTRA_TRY(resume_streams(checkpoint));
  SUTRA_TRY(resume_file(checkpoint, static_cast<size_t>(stage)));
  if (checkpoint.size() > 0) {
    return fail(ErrorCode::kMalformed, "nothing of the checkpoint is called '", printable(checkpoint.names().front()),
                "'");
  }
  float_bytes_ = static_cast<uint64_t>(float_bytes);
  packed_bytes_ = static_cast<uint64_t>(packed_bytes);
  return skip_to(static_cast<size_t>(stage));
}

Status Quantizer::resume_report(TensorMap& checkpoint, size_t n_rows) {
  if (n_rows == 0) return {};
  SUTRA_ASSIGN(const Tensor report, checkpoint.take("report", Dtype::kF64, {n_rows, kReportColumns}));
  const auto values = report.as<double>();
  for (size_t row = 0; row < n_rows; ++row) {
    const std::span<const double> cells = values.subspan(row * kReportColumns, kReportColumns);
    const auto is_count = [](double value) { return value >= 0 && value <= 0x1p53 && std::trunc(value) == value; };
    if (!is_count(cells[0]) || cells[0] >= static_cast<double>(plans_.size()) || !is_count(cells[1]) ||
        !is_count(cells[2]) || !is_count(cells[8]) || cells[8] > 64) {
      return fail(ErrorCode::kMalformed, "row ", row, " of the checkpoint's report cannot be");
    }
    const Plan& plan = plans_[static_cast<size_t>(cells[0])];
    QuantizedTensor tensor;
    tensor.name = plan.written_name;
    tensor.kept_because = plan.kept_because;
    tensor.bytes_before = static_cast<uint64_t>(cells[1]);
    tensor.bytes_after = static_cast<uint64_t>(cells[2]);
    tensor.error_rtn = cells[3];
    tensor.error = cells[4];
    if (cells[5] >= 0) tensor.ratio = static_cast<float>(cells[5]);
    tensor.duo = cells[6] != 0;
    tensor.cut = cells[7];
    tensor.bits = static_cast<int>(cells[8]);
    if (!plan.linear.empty()) tensor.group_size = plan.format.group_size;
    add_to_report(std::move(tensor));
  }
  return {};
}

Status Quantizer::resume_streams(TensorMap& checkpoint) {
  if (!calibrates()) return {};
  const size_t n_embd = model_.config.n_embd();
  // The first sequence says how many streams there are; build_part() whether the model has as many.
  size_t n_streams = 1;
  while (checkpoint.contains(concat("stream.", n_streams, ".0"))) ++n_streams;
  for (size_t q = 0; q < sequences_.size(); ++q) {
    const size_t n = sequences_[q].size();
    std::vector<HalfRows>& streams = streams_.emplace_back();
    for (size_t s = 0; s < n_streams; ++s) {
      const std::string name = concat("stream.", s, ".", q);
      SUTRA_ASSIGN(const Tensor halves, checkpoint.take(name, Dtype::kF16, {n, n_embd}));
      SUTRA_ASSIGN(const Tensor scales, checkpoint.take(concat(name, kScales), Dtype::kF32, {n}));
      SUTRA_ASSIGN(HalfRows rows, HalfRows::create(n, n_embd));
      rows.set(halves.as<uint16_t>(), scales.as<float>());
      streams.push_back(std::move(rows));
    }
  }
  return {};
}

// What is in the file already are the first of its tensors whose stage is past, but for those that wait.
Status Quantizer::resume_file(TensorMap& checkpoint, size_t stage) {
  for (const TensorSpec& spec : specs_) {
    const std::string name = concat(kFinished, spec.name);
    if (!checkpoint.contains(name)) continue;
    SUTRA_ASSIGN(Tensor tensor, checkpoint.take(name, spec.dtype, spec.shape));
    finished_.emplace(spec.name, std::move(tensor));
  }
  const auto is_past = [&](const TensorSpec& spec) { return spec_stages_.find(spec.name)->second < stage; };
  for (; next_spec_ < specs_.size(); ++next_spec_) {
    const TensorSpec& spec = specs_[next_spec_];
    if (finished_.contains(spec.name) || !is_past(spec)) break;
  }
  for (size_t i = next_spec_; i < specs_.size(); ++i) {
    if (!is_past(specs_[i]) || finished_.contains(specs_[i].name)) continue;
    return fail(ErrorCode::kMalformed, "the checkpoint lacks '", specs_[i].name, "'");
  }
  writer_->skip(next_spec_);
  return {};
}

struct CheckpointReader::Parts {
  explicit Parts(uint64_t file_bytes) : stream("the checkpoint", file_bytes, sink) {}
  TensorMap tensors;
  TensorMapSink sink{tensors};
  SafetensorsStream stream;
};

CheckpointReader::CheckpointReader(uint64_t file_bytes) : parts_(std::make_unique<Parts>(file_bytes)) {}
CheckpointReader::~CheckpointReader() = default;

Status CheckpointReader::feed(std::span<const std::byte> bytes) { return parts_->stream.feed(bytes); }

Result<TensorMap> CheckpointReader::finish() {
  SUTRA_TRY(parts_->stream.finish());
  return std::move(parts_->tensors);
}

}  // namespace sutra
