#include "runtime/converter.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>

#include "base/half.h"
#include "base/overloaded.h"
#include "io/config.h"
#include "model/blinkdl.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/parameters.h"
#include "quant/ggml_blocks.h"
#include "quant/packed_rows.h"
#include "runtime/gguf_tokenizer.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

constexpr float kLargestHalf = 65504;
constexpr const char* kTokenizerKey = "tokenizer.ggml.model";
constexpr const char* kNoTokenizer = "none";
constexpr const char* kBosKey = "tokenizer.ggml.bos_token_id";
constexpr const char* kEosKey = "tokenizer.ggml.eos_token_id";

Result<Tensor> to_f16(const Tensor& wide) {
  SUTRA_ASSIGN(Tensor narrow, Tensor::create(Dtype::kF16, wide.shape(), Contents::kUndefined));
  std::ranges::transform(wide.as<float>(), narrow.as<uint16_t>().begin(), f32_to_f16);
  return narrow;
}

// A_log of Mamba's A = −exp(A_log): files have one or the other.
Result<Tensor> log_of_minus(Tensor values) {
  for (float& value : values.as<float>()) value = static_cast<float>(std::log(-static_cast<double>(value)));
  return values;
}

Dtype stored_dtype(const GgufTensor& tensor, Dtype wanted) {
  if (tensor.stored == GgufTensor::Stored::kFloats || wanted == Dtype::kF32) return Dtype::kF32;
  const uint64_t row = tensor.shape[tensor.shape.n_dims() - 1];
  const bool fits = tensor.stored == GgufTensor::Stored::kMatrix && row % block_size(wanted).n_elements == 0;
  return fits ? wanted : Dtype::kF16;
}

// The config with the overrides in it, and without what says that matrices are packed.
Result<std::string> config_text(const ModelWeights& model) {
  SUTRA_ASSIGN(JsonObject json, JsonObject::parse(model.config_json, "config.json"));
  for (const std::string& one : model.overrides) SUTRA_TRY(json.override_value(one));
  json.remove("quantization_config");
  return json.text();
}

// Where a file has A of Mamba instead of A_log, as GGUF does: its name. Else the parameter's own.
std::string source_name(const std::string& parameter, const WeightMap& weights) {
  constexpr std::string_view kA_log = ".A_log", kLog = "_log";
  if (!parameter.ends_with(kA_log)) return parameter;
  const std::string stem = parameter.substr(0, parameter.size() - kLog.size());
  return weights.find(stem) != nullptr ? stem : parameter;
}

// Of a file that came in parts, all of them.
Status check_complete(const ModelWeights& model) {
  for (const Parameter& parameter : parameters(model.config)) {
    if (model.weights.contains(source_name(parameter.name, model.weights))) continue;
    return fail(ErrorCode::kNotFound, "tensor '", parameter.name, "' is missing");
  }
  return {};
}

// A GGUF file's own may be of a kind that we do not know, but not a broken one.
Status check_tokenizer(const GgufMetadata& metadata) {
  const auto tokenizer = gguf_tokenizer(metadata);
  if (tokenizer || has_no_known_tokenizer(tokenizer.error())) return {};
  return std::unexpected(tokenizer.error());
}

// LLAMA_FTYPE of llama.h.
uint32_t file_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32: return 0;
    case Dtype::kQ4_0: return 2;
    case Dtype::kQ8_0: return 7;
    default: return 1;
  }
}

}  // namespace

// The matrices in 4 bits become floats, in two bytes where that is what the result has at most.
Status Converter::unpack(Dtype dtype) {
  constexpr std::string_view kSuffix = ".weight";
  for (const Parameter& parameter : parameters(model_.config)) {
    const std::string name = parameter.name.substr(0, parameter.name.size() - kSuffix.size());
    const PackedConfig& packed = *model_.config.packed;
    if (!parameter.name.ends_with(kSuffix) || !has_q4(model_.weights, name, packed.layout)) continue;
    const auto n_out = static_cast<size_t>(parameter.shape[0]), n_in = static_cast<size_t>(parameter.shape[1]);
    SUTRA_ASSIGN(const Q4Matrix matrix, take_q4(model_.weights, name, n_out, n_in, packed.layout, packed.group_size));
    SUTRA_ASSIGN(Tensor values, widen(matrix));
    if (dtype != Dtype::kF32) {
      SUTRA_ASSIGN(values, to_f16(values));
    }
    SUTRA_TRY(model_.weights.insert(parameter.name, std::move(values)));
  }
  return {};
}

// A tensor's values in float32, as one vector.
Result<Tensor> Converter::widened(const std::string& name) const {
  const Tensor* const source = model_.weights.find(name);
  if (source == nullptr) return fail(ErrorCode::kNotFound, "tensor '", printable(name), "' is missing");
  const uint64_t n_elements = source->shape().n_elements();
  if (n_elements == 0) return fail(ErrorCode::kShapeMismatch, "tensor '", printable(name), "' is empty");
  auto wide = widen(source->view());
  if (!wide) return fail(wide.error().code, "tensor '", printable(name), "': ", wide.error().message);
  if (const auto element = first_non_finite(wide->view())) {
    return fail(ErrorCode::kNonFinite, "tensor '", printable(name), "' is NaN or infinite at element ", *element);
  }
  SUTRA_TRY(wide->reshape({n_elements}));
  return wide;
}

// Of a plan's sources, one after the other; an empty tensor where there are none.
Result<Tensor> Converter::gather(const Plan& plan) const {
  if (plan.sources.empty()) return Tensor();
  if (plan.sources.size() == 1) return widened(plan.sources.front());
  std::vector<float> values;
  for (const std::string& name : plan.sources) {
    SUTRA_ASSIGN(const Tensor wide, widened(name));
    values.insert(values.end(), wide.as<float>().begin(), wide.as<float>().end());
  }
  SUTRA_ASSIGN(Tensor all, Tensor::create(Dtype::kF32, {values.size()}, Contents::kUndefined));
  std::ranges::copy(values, all.as<float>().begin());
  return all;
}

Result<Tensor> Converter::make(const Plan& plan) const {
  SUTRA_ASSIGN(Tensor wide, gather(plan));
  if (plan.change) {
    SUTRA_ASSIGN(wide, plan.change(std::move(wide)));
    if (const auto element = first_non_finite(wide.view())) {
      return fail(ErrorCode::kNonFinite, "tensor '", printable(plan.spec.name),
                  "' would be NaN or infinite at element ", *element);
    }
  }
  if (const Status fits = wide.reshape(plan.spec.shape); !fits) {
    return fail(fits.error().code, "tensor '", printable(plan.spec.name), "': ", fits.error().message);
  }
  const Dtype dtype = plan.spec.dtype;
  if (dtype == Dtype::kF32) return wide;
  const std::span<const float> values = wide.as<float>();
  const auto is_too_large = [](float value) { return std::fabs(value) > kLargestHalf; };
  if (std::ranges::any_of(values, is_too_large)) {
    return fail(ErrorCode::kNonFinite, "tensor '", printable(plan.sources.front()),
                "' has values beyond 65504: ", dtype_name(dtype), " cannot hold them, F32 can");
  }
  if (!is_block(dtype)) return to_f16(wide);
  SUTRA_ASSIGN(Tensor blocks, Tensor::create(dtype, plan.spec.shape, Contents::kUndefined));
  quantize_blocks(dtype, values, blocks.bytes());
  return blocks;
}

// What the names of published checkpoints say, one tensor each.
Status Converter::plan_safetensors(Dtype dtype) {
  if (is_block(dtype)) {
    return fail(ErrorCode::kInvalidArgument, "safetensors files have no ", dtype_name(dtype), "; GGUF files have");
  }
  if (model_.weights.contains("rope_freqs.weight")) {
    return fail(ErrorCode::kUnsupported, "the model's rotary factors are a tensor, which config.json has no words for");
  }
  const bool is_rwkv4 = std::holds_alternative<Rwkv4Config>(model_.config.architecture);
  for (const Parameter& parameter : parameters(model_.config)) {
    // The one of BlinkDL's that transformers has names for.
    const std::string name = is_rwkv4 ? transformers_name(parameter.name) : parameter.name;
    TensorSpec spec{name, parameter.is_matrix ? dtype : Dtype::kF32, parameter.shape};
    Plan plan{std::move(spec), {source_name(parameter.name, model_.weights)}};
    if (plan.sources.front() != parameter.name) plan.change = log_of_minus;
    plans_.push_back(std::move(plan));
  }
  std::ranges::stable_partition(plans_, [](const Plan& plan) { return plan.spec.dtype == Dtype::kF32; });
  return {};
}

Status Converter::plan_gguf(Dtype dtype) {
  SUTRA_ASSIGN(const std::vector<GgufTensor> tensors, gguf_tensors(model_.config, model_.weights));
  for (const GgufTensor& tensor : tensors) {
    plans_.push_back({{tensor.name, stored_dtype(tensor, dtype), tensor.shape}, tensor.sources, tensor.change});
  }
  return {};
}

// config.json, and the tokenizer's files: those beside the model, or one made of a GGUF file's metadata.
Status Converter::plan_files(Companions companions) {
  SUTRA_ASSIGN(std::string config, config_text(model_));
  files_beside_.push_back({"config.json", std::move(config)});
  if (companions.tokenizer) {
    files_beside_.push_back(std::move(*companions.tokenizer));
  } else if (auto tokenizer = gguf_tokenizer_file(model_.tokenizer)) {
    files_beside_.push_back(std::move(*tokenizer));
  }
  has_tokenizer_ = files_beside_.size() > 1;
  std::ranges::move(companions.others, std::back_inserter(files_beside_));
  return {};
}

// From a tokenizer file, or a GGUF file's own; llama.cpp has a word for models without. The ids that begin and end a text
// are the config's, which was read from them and may have been changed.
Status Converter::write_gguf_tokenizer_keys(const std::optional<NamedText>& tokenizer) {
  if (tokenizer) {
    SUTRA_TRY(write_gguf_tokenizer(std::as_bytes(std::span(tokenizer->text)), model_.config.vocab_size(), metadata_));
  } else {
    for (const auto& [key, value] : model_.tokenizer.entries()) {
      if (key != kBosKey && key != kEosKey) metadata_.add(key, value);
    }
    if (metadata_.find(kTokenizerKey) == nullptr) metadata_.add_text(kTokenizerKey, kNoTokenizer);
  }
  SUTRA_ASSIGN(const auto kind, metadata_.find_string(kTokenizerKey));
  has_tokenizer_ = kind != kNoTokenizer;
  if (model_.config.bos_token_id) {
    metadata_.add_u32(kBosKey, static_cast<uint32_t>(*model_.config.bos_token_id));
  }
  if (!model_.config.eos_token_ids.empty()) {
    metadata_.add_u32(kEosKey, static_cast<uint32_t>(model_.config.eos_token_ids.front()));
  }
  constexpr const char* kAddBosKey = "tokenizer.ggml.add_bos_token";
  if (metadata_.find(kAddBosKey) == nullptr) metadata_.add_bool(kAddBosKey, false);
  return {};
}

Status Converter::plan_metadata(const std::optional<NamedText>& tokenizer, Dtype dtype) {
  SUTRA_TRY(write_gguf_metadata(model_.config, metadata_));
  metadata_.add_u32("general.file_type", file_type(dtype));
  metadata_.add_u32("general.quantization_version", 2);
  return write_gguf_tokenizer_keys(tokenizer);
}

Result<Converter> Converter::create(ModelWeights model, Companions companions, const ConvertOptions& options) {
  Converter converter(std::move(model));
  converter.is_gguf_ = options.format == ConvertOptions::Format::kGguf;
  if (converter.model_.config.packed) SUTRA_TRY(converter.unpack(options.dtype));
  SUTRA_TRY(check_complete(converter.model_));
  if (!companions.tokenizer) SUTRA_TRY(check_tokenizer(converter.model_.tokenizer));
  if (converter.is_gguf_) {
    SUTRA_TRY(converter.plan_gguf(options.dtype));
    SUTRA_TRY(converter.plan_metadata(companions.tokenizer, options.dtype));
  } else {
    SUTRA_TRY(converter.plan_files(std::move(companions)));
    SUTRA_TRY(converter.plan_safetensors(options.dtype));
  }
  return converter;
}

Status Converter::begin(ByteSink& sink) {
  std::vector<TensorSpec> specs;
  for (const Plan& plan : plans_) specs.push_back(plan.spec);
  if (is_gguf_) {
    SUTRA_ASSIGN(writer_, GgufWriter::create(sink, metadata_, specs));
  } else {
    SUTRA_ASSIGN(writer_, SafetensorsWriter::create(sink, specs));
  }
  return {};
}

Status Converter::write_next() {
  const Plan& plan = plans_[n_done_];
  SUTRA_ASSIGN(const Tensor tensor, make(plan));
  const bool is_last = n_done_ + 1 == plans_.size();
  const auto write = [&](auto& writer) -> Status {
    SUTRA_TRY(writer.write(plan.spec.name, tensor.view()));
    return is_last ? writer.finish() : Status();
  };
  SUTRA_TRY(std::visit(
      Overloaded{[](std::monostate&) { return Status(fail(ErrorCode::kInternal, "not begun")); }, write}, writer_));
  ++n_done_;
  return {};
}

ConvertReport Converter::report() const {
  const auto file_bytes = [](const auto& writer) { return writer.file_bytes(); };
  const uint64_t n_bytes =
      std::visit(Overloaded{[](const std::monostate&) { return uint64_t{0}; }, file_bytes}, writer_);
  return {std::string(model_.config.architecture_name()), plans_.size(), n_bytes, has_tokenizer_};
}

}  // namespace sutra
