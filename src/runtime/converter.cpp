#include "runtime/converter.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
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

constexpr const char* kTokenizerKey = "tokenizer.ggml.model";
constexpr const char* kNoTokenizer = "none";
constexpr const char* kBosKey = "tokenizer.ggml.bos_token_id";
constexpr const char* kEosKey = "tokenizer.ggml.eos_token_id";

Dtype stored_dtype(const GgufTensor& tensor, Dtype wanted) {
  if (tensor.stored == GgufTensor::Stored::kFloats || wanted == Dtype::kF32) return Dtype::kF32;
  const uint64_t row = tensor.shape[tensor.shape.n_dims() - 1];
  const bool fits = tensor.stored == GgufTensor::Stored::kMatrix && row % block_size(wanted).n_elements == 0;
  return fits ? wanted : Dtype::kF16;
}

// Of a file that came in parts, all of them.
Status check_complete(const ModelWeights& model) {
  for (const Parameter& parameter : parameters(model.config)) {
    if (auto found = find_published(model.weights, parameter.name); !found) return std::unexpected(found.error());
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

// The packed matrices become floats, in two bytes where that is what the result has at most.
Status Converter::unpack(Dtype dtype) {
  constexpr std::string_view kSuffix = ".weight";
  for (const Parameter& parameter : parameters(model_.config)) {
    const std::string name = parameter.name.substr(0, parameter.name.size() - kSuffix.size());
    const PackedConfig& packed = *model_.config.packed;
    if (!parameter.name.ends_with(kSuffix) || !has_packed(model_.weights, name, packed.layout)) continue;
    const auto n_out = static_cast<size_t>(parameter.shape[0]), n_in = static_cast<size_t>(parameter.shape[1]);
    SUTRA_ASSIGN(WeightMatrix matrix, take_packed(model_.weights, name, n_out, n_in, packed, true));
    Tensor values = std::get<Tensor>(std::move(matrix));
    if (dtype != Dtype::kF32) {
      SUTRA_ASSIGN(values, to_f16(values));
    }
    SUTRA_TRY(model_.weights.insert(parameter.name, std::move(values)));
  }
  for (size_t layer = 0; layer < model_.config.n_layer(); ++layer) {
    for (const ScaleGroup& group : scale_groups(model_.config, layer)) SUTRA_TRY(unscale(group, dtype));
  }
  for (const ScaleGroup& group : head_scale_groups(model_.config)) SUTRA_TRY(unscale(group, dtype));
  return {};
}

// AWQ's scales that no tensor of the model took in (model/scale_groups.h) go back to where they came from.
Status Converter::unscale(const ScaleGroup& group, Dtype dtype) {
  const auto is_there = [&](const ScaleFactor& f) { return f.is_new && model_.weights.find(f.tensor) != nullptr; };
  const auto scale = std::ranges::find_if(group.factors, is_there);
  if (scale == group.factors.end()) return {};
  std::map<std::string, Tensor, std::less<>> values;
  for (const ScaleFactor& factor : group.factors) {
    SUTRA_ASSIGN(Tensor tensor, float_values(model_.weights, factor.tensor));
    SUTRA_ASSIGN(const Tensor source, model_.weights.take(factor.tensor));
    SUTRA_TRY(tensor.reshape(source.shape()));
    values.emplace(factor.tensor, std::move(tensor));
  }
  // They are 1/s; times the scales that make ones of them is what was before.
  const std::span<const float> inverse = values.find(scale->tensor)->second.as<float>();
  if (inverse.size() != group.n_channels || std::ranges::any_of(inverse, [](float value) { return !(value > 0); })) {
    return fail(ErrorCode::kMalformed, "tensor '", printable(scale->tensor), "': expected ", group.n_channels,
                " positive numbers");
  }
  SUTRA_TRY(apply_scales(group, std::vector<float>(inverse.begin(), inverse.end()), values));
  values.erase(scale->tensor);
  for (auto& [name, tensor] : values) {
    if (tensor.shape().n_dims() == 2 && dtype != Dtype::kF32) {
      SUTRA_ASSIGN(tensor, to_f16(tensor));
    }
    SUTRA_TRY(model_.weights.insert(name, std::move(tensor)));
  }
  return {};
}

// Of a plan's sources, one after the other; an empty tensor where there are none.
Result<Tensor> Converter::gather(const Plan& plan) const {
  if (plan.sources.empty()) return Tensor();
  if (plan.is_published) return published_values(model_.weights, plan.sources.front());
  if (plan.sources.size() == 1) return float_values(model_.weights, plan.sources.front());
  std::vector<float> values;
  for (const std::string& name : plan.sources) {
    SUTRA_ASSIGN(const Tensor wide, float_values(model_.weights, name));
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
  SUTRA_TRY(check_half_range(wide, plan.sources.front(), dtype));
  if (!is_block(dtype)) return to_f16(wide);
  SUTRA_ASSIGN(Tensor blocks, Tensor::create(dtype, plan.spec.shape, Contents::kUndefined));
  quantize_blocks(dtype, wide.as<float>(), blocks.bytes());
  return blocks;
}

// What the names of published checkpoints say, one tensor each.
Status Converter::plan_safetensors(Dtype dtype) {
  if (is_block(dtype)) {
    return fail(ErrorCode::kInvalidArgument, "safetensors files have no ", dtype_name(dtype), "; GGUF files have");
  }
  SUTRA_TRY(check_publishable(model_));
  for (const Parameter& parameter : parameters(model_.config)) {
    TensorSpec spec{published_name(model_.config, parameter.name), parameter.is_matrix ? dtype : Dtype::kF32,
                    parameter.shape};
    Plan plan{std::move(spec), {parameter.name}};
    plan.is_published = true;
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
  SUTRA_ASSIGN(const JsonObject config, published_config(model_));
  const size_t n_others = companions.others.size();
  files_beside_ = files_beside_model(config.text(), std::move(companions), model_.tokenizer);
  has_tokenizer_ = files_beside_.size() > 1 + n_others;
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
