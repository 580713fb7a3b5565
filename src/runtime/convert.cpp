#include "runtime/convert.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "base/half.h"
#include "io/gguf_writer.h"
#include "io/safetensors_writer.h"
#include "model/blinkdl.h"
#include "model/gguf_names.h"
#include "model/parameters.h"
#include "quant/ggml_blocks.h"
#include "quant/packed_rows.h"
#include "runtime/gguf_tokenizer.h"
#include "runtime/model_folder.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

constexpr float kLargestHalf = 65504;
constexpr uint64_t kMaxCompanionBytes = uint64_t{1} << 28;

Result<Tensor> to_f16(const Tensor& wide) {
  SUTRA_ASSIGN(Tensor narrow, Tensor::create(Dtype::kF16, wide.shape(), Contents::kUndefined));
  std::ranges::transform(wide.as<float>(), narrow.as<uint16_t>().begin(), f32_to_f16);
  return narrow;
}

// The matrices in 4 bits become floats, in two bytes where that is what the result has at most.
Status unpack(ModelWeights& model, Dtype dtype) {
  constexpr std::string_view kSuffix = ".weight";
  for (const Parameter& parameter : parameters(model.config)) {
    const std::string name = parameter.name.substr(0, parameter.name.size() - kSuffix.size());
    const PackedConfig& packed = *model.config.packed;
    if (!parameter.name.ends_with(kSuffix) || !has_q4(model.weights, name, packed.layout)) continue;
    const auto n_out = static_cast<size_t>(parameter.shape[0]), n_in = static_cast<size_t>(parameter.shape[1]);
    SUTRA_ASSIGN(const Q4Matrix matrix, take_q4(model.weights, name, n_out, n_in, packed.layout, packed.group_size));
    SUTRA_ASSIGN(Tensor values, widen(matrix));
    if (dtype != Dtype::kF32) {
      SUTRA_ASSIGN(values, to_f16(values));
    }
    SUTRA_TRY(model.weights.insert(parameter.name, std::move(values)));
  }
  return {};
}

// One tensor of the result and how it is made.
struct Plan {
  TensorSpec spec;
  std::vector<std::string> sources;  // one after the other
  float (*change)(float) = nullptr;  // of each value
};

// Mamba's A = −exp(A_log): files have one or the other.
float minus_exp(float value) { return static_cast<float>(-std::exp(static_cast<double>(value))); }
float log_of_minus(float value) { return static_cast<float>(std::log(-static_cast<double>(value))); }

// The values of a plan's sources, in float32.
Result<Tensor> gather(const Plan& plan, const WeightMap& weights) {
  SUTRA_ASSIGN(Tensor values, Tensor::create(Dtype::kF32, plan.spec.shape, Contents::kUndefined));
  std::span<float> rest = values.as<float>();
  for (const std::string& name : plan.sources) {
    const Tensor* const source = weights.find(name);
    if (source == nullptr) return fail(ErrorCode::kNotFound, "tensor '", printable(name), "' is missing");
    if (source->shape().n_elements() > rest.size()) {
      return fail(ErrorCode::kShapeMismatch, "tensor '", printable(name), "' of shape ", source->shape().to_string(),
                  " does not fit into ", plan.spec.shape.to_string());
    }
    auto wide = widen(source->view());
    if (!wide) return fail(wide.error().code, "tensor '", printable(name), "': ", wide.error().message);
    if (const auto element = first_non_finite(wide->view())) {
      return fail(ErrorCode::kNonFinite, "tensor '", printable(name), "' is NaN or infinite at element ", *element);
    }
    std::ranges::copy(wide->as<float>(), rest.begin());
    rest = rest.subspan(wide->as<float>().size());
  }
  if (!rest.empty()) {
    return fail(ErrorCode::kShapeMismatch, "tensor '", printable(plan.sources.front()), "' and its kin have ",
                values.as<float>().size() - rest.size(), " elements, expected shape ", plan.spec.shape.to_string());
  }
  if (plan.change != nullptr) std::ranges::transform(values.as<float>(), values.as<float>().begin(), plan.change);
  return values;
}

Result<Tensor> make(const Plan& plan, const WeightMap& weights) {
  SUTRA_ASSIGN(Tensor wide, gather(plan, weights));
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
Result<std::vector<Plan>> plan_safetensors(const ModelWeights& model, Dtype dtype) {
  if (is_block(dtype)) {
    return fail(ErrorCode::kInvalidArgument, "safetensors files have no ", dtype_name(dtype), "; GGUF files have");
  }
  constexpr std::string_view kA_log = "mixer.A_log", kLog = "_log";
  const bool is_rwkv4 = std::holds_alternative<Rwkv4Config>(model.config.architecture);
  std::vector<Plan> plans;
  for (const Parameter& parameter : parameters(model.config)) {
    // The one of BlinkDL's that transformers has names for.
    const std::string name = is_rwkv4 ? transformers_name(parameter.name) : parameter.name;
    TensorSpec spec{name, parameter.is_matrix ? dtype : Dtype::kF32, parameter.shape};
    // GGUF has A itself.
    const std::string stem = parameter.name.substr(0, parameter.name.size() - kLog.size());
    const bool has_A = parameter.name.ends_with(kA_log) && model.weights.find(stem) != nullptr;
    plans.push_back({std::move(spec), {has_A ? stem : parameter.name}, has_A ? log_of_minus : nullptr});
  }
  std::ranges::stable_partition(plans, [](const Plan& plan) { return plan.spec.dtype == Dtype::kF32; });
  return plans;
}

Dtype stored_dtype(const GgufTensor& tensor, Dtype wanted) {
  if (tensor.stored == GgufTensor::Stored::kFloats || wanted == Dtype::kF32) return Dtype::kF32;
  const uint64_t row = tensor.shape[tensor.shape.n_dims() - 1];
  const bool fits = tensor.stored == GgufTensor::Stored::kMatrix && row % block_size(wanted).n_elements == 0;
  return fits ? wanted : Dtype::kF16;
}

Result<std::vector<Plan>> plan_gguf(const ModelWeights& model, Dtype dtype) {
  SUTRA_ASSIGN(const std::vector<GgufTensor> tensors, gguf_tensors(model.config, model.weights));
  std::vector<Plan> plans;
  for (const GgufTensor& tensor : tensors) {
    plans.push_back({{tensor.name, stored_dtype(tensor, dtype), tensor.shape},
                     tensor.sources,
                     tensor.is_minus_exp ? minus_exp : nullptr});
  }
  return plans;
}

template <class Writer>
Status write_tensors(Writer& writer, const std::vector<Plan>& plans, const WeightMap& weights,
                     const ConvertProgress& progress) {
  for (size_t i = 0; i < plans.size(); ++i) {
    SUTRA_ASSIGN(const Tensor tensor, make(plans[i], weights));
    SUTRA_TRY(writer.write(plans[i].spec.name, tensor.view()));
    if (!progress(i + 1, plans.size())) return fail(ErrorCode::kCancelled, "converting was stopped");
  }
  return writer.finish();
}

std::vector<TensorSpec> specs_of(const std::vector<Plan>& plans) {
  std::vector<TensorSpec> specs;
  for (const Plan& plan : plans) specs.push_back(plan.spec);
  return specs;
}

// The config with the overrides in it.
Result<std::string> config_text(const ModelWeights& model, std::span<const std::string> overrides) {
  auto json = nlohmann::ordered_json::parse(model.config_json, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::kMalformed, "config.json is not strict JSON");
  json.erase("quantization_config");
  for (const std::string& one : overrides) {
    const size_t equals = one.find('=');  // it is there: the loader has read it
    auto value = nlohmann::ordered_json::parse(one.substr(equals + 1), nullptr, false);
    json[one.substr(0, equals)] = value.is_discarded() ? nlohmann::ordered_json(one.substr(equals + 1)) : value;
  }
  return json.dump(2) + "\n";
}

Status write_folder(const std::string& out, const ModelWeights& model, const ModelPaths& paths,
                    const ConvertOptions& options, const ConvertProgress& progress, ConvertReport& report) {
  SUTRA_ASSIGN(const std::string config, config_text(model, options.overrides));
  SUTRA_ASSIGN(const std::vector<Plan> plans, plan_safetensors(model, options.dtype));
  SUTRA_TRY(create_folders(out));
  SUTRA_ASSIGN(AtomicFile file, AtomicFile::create(out + "/model.safetensors"));
  SUTRA_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(file, specs_of(plans)));
  SUTRA_TRY(write_tensors(writer, plans, model.weights, progress));
  SUTRA_TRY(write_file_atomically(out + "/config.json", std::as_bytes(std::span(config))));
  std::vector<std::string> companions = paths.companions;
  if (!options.tokenizer_path.empty()) companions = {options.tokenizer_path};
  for (const std::string& companion : companions) {
    SUTRA_ASSIGN(const std::string text, read_text_file(companion, kMaxCompanionBytes));
    const std::string name = companion.substr(companion.find_last_of('/') + 1);
    SUTRA_TRY(write_file_atomically(out + "/" + name, std::as_bytes(std::span(text))));
  }
  report.has_tokenizer = !companions.empty();
  report.n_tensors = plans.size();
  report.n_bytes = writer.file_bytes();
  // Last, so that a folder with weights in it is complete.
  return file.commit();
}

// From a tokenizer file, or the source where that is a GGUF file; llama.cpp has a word for models without.
Status write_tokenizer(const ModelWeights& model, const ModelPaths& paths, const ConvertOptions& options,
                       GgufMetadata& out, bool& has_tokenizer) {
  const std::string& path = options.tokenizer_path.empty() ? paths.tokenizer : options.tokenizer_path;
  has_tokenizer = true;
  if (!path.empty()) {
    SUTRA_ASSIGN(const std::string text, read_text_file(path, kMaxCompanionBytes));
    SUTRA_TRY(write_gguf_tokenizer(std::as_bytes(std::span(text)), model.config.vocab_size(), out));
  } else {
    SUTRA_ASSIGN(const InputFile file, InputFile::open(paths.weights.front()));
    const auto header = read_gguf_header(file);
    for (const auto& [key, value] :
         header ? header->metadata.entries() : std::vector<std::pair<std::string, GgufValue>>()) {
      if (key.starts_with("tokenizer.")) out.add(key, value);
    }
    if (out.find("tokenizer.ggml.model") != nullptr) return {};
    has_tokenizer = false;
    out.add_text("tokenizer.ggml.model", "none");
  }
  if (model.config.bos_token_id) {
    out.add_u32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*model.config.bos_token_id));
  }
  if (!model.config.eos_token_ids.empty()) {
    out.add_u32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(model.config.eos_token_ids.front()));
  }
  out.add_bool("tokenizer.ggml.add_bos_token", false);
  return {};
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

Status write_gguf(const std::string& out, const ModelWeights& model, const ModelPaths& paths,
                  const ConvertOptions& options, const ConvertProgress& progress, ConvertReport& report) {
  GgufMetadata metadata;
  SUTRA_TRY(write_gguf_metadata(model.config, metadata));
  metadata.add_u32("general.file_type", file_type(options.dtype));
  metadata.add_u32("general.quantization_version", 2);
  SUTRA_TRY(write_tokenizer(model, paths, options, metadata, report.has_tokenizer));
  SUTRA_ASSIGN(const std::vector<Plan> plans, plan_gguf(model, options.dtype));
  SUTRA_ASSIGN(AtomicFile file, AtomicFile::create(out));
  SUTRA_ASSIGN(GgufWriter writer, GgufWriter::create(file, metadata, specs_of(plans)));
  SUTRA_TRY(write_tensors(writer, plans, model.weights, progress));
  report.n_tensors = plans.size();
  report.n_bytes = writer.file_bytes();
  return file.commit();
}

}  // namespace

Result<ConvertReport> convert_model(const std::string& model, const std::string& out, const ConvertOptions& options,
                                    const ConvertProgress& progress) {
  SUTRA_ASSIGN(const ModelPaths paths, find_model(model));
  FolderOptions load;
  load.load.exact = true;
  load.overrides = options.overrides;
  SUTRA_ASSIGN(ModelWeights weights, load_model_weights(paths, load));
  if (weights.config.packed) SUTRA_TRY(unpack(weights, options.dtype));
  ConvertReport report;
  report.architecture = weights.config.architecture_name();
  const bool is_gguf = options.format == ConvertOptions::Format::kGguf;
  SUTRA_TRY(is_gguf ? write_gguf(out, weights, paths, options, progress, report)
                    : write_folder(out, weights, paths, options, progress, report));
  return report;
}

}  // namespace sutra
