#include "runtime/published_model.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/half.h"
#include "model/attention.h"
#include "model/blinkdl.h"
#include "quant/ggml_blocks.h"
#include "runtime/gguf_tokenizer.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

constexpr float kLargestHalf = 65504;
constexpr std::string_view kLog = "_log";

}  // namespace

std::vector<NamedText> files_beside_model(std::string config, Companions companions, const GgufMetadata& tokenizer) {
  std::vector<NamedText> files;
  files.push_back({"config.json", std::move(config)});
  if (companions.tokenizer) {
    files.push_back(std::move(*companions.tokenizer));
  } else if (auto made = gguf_tokenizer_file(tokenizer)) {
    files.push_back(std::move(*made));
  }
  std::ranges::move(companions.others, std::back_inserter(files));
  return files;
}

Result<JsonObject> published_config(const ModelWeights& model) {
  SUTRA_ASSIGN(JsonObject json, JsonObject::parse(model.config_json, "config.json"));
  for (const std::string& one : model.overrides) SUTRA_TRY(json.override_value(one));
  json.remove("quantization_config");
  return json;
}

std::string published_name(const ModelConfig& config, const std::string& parameter) {
  return std::holds_alternative<Rwkv4Config>(config.architecture) ? transformers_name(parameter) : parameter;
}

Status check_publishable(const ModelWeights& model) {
  if (!model.weights.contains(kRopeFactorsName)) return {};
  return fail(ErrorCode::kUnsupported, "the model's rotary factors are a tensor, which config.json has no words for");
}

std::string source_name(const WeightMap& weights, const std::string& parameter) {
  if (!parameter.ends_with(".A_log")) return parameter;
  const std::string stem = parameter.substr(0, parameter.size() - kLog.size());
  return weights.find(stem) != nullptr ? stem : parameter;
}

Result<const Tensor*> find_published(const WeightMap& weights, const std::string& parameter) {
  const Tensor* const tensor = weights.find(source_name(weights, parameter));
  if (tensor == nullptr) return fail(ErrorCode::kNotFound, "tensor '", printable(parameter), "' is missing");
  return tensor;
}

Result<Tensor> float_values(const WeightMap& weights, const std::string& name) {
  const Tensor* const source = weights.find(name);
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

Result<Tensor> published_values(const WeightMap& weights, const std::string& parameter) {
  const std::string name = source_name(weights, parameter);
  SUTRA_ASSIGN(Tensor values, float_values(weights, name));
  if (name == parameter) return values;
  // A = −exp(A_log)
  for (float& value : values.as<float>()) value = static_cast<float>(std::log(-static_cast<double>(value)));
  if (const auto element = first_non_finite(values.view())) {
    return fail(ErrorCode::kNonFinite, "tensor '", printable(parameter), "' would be NaN or infinite at element ",
                *element);
  }
  return values;
}

Status check_half_range(const Tensor& wide, std::string_view name, Dtype dtype) {
  const auto is_too_large = [](float value) { return std::fabs(value) > kLargestHalf; };
  if (!std::ranges::any_of(wide.as<float>(), is_too_large)) return {};
  return fail(ErrorCode::kNonFinite, "tensor '", printable(name), "' has values beyond 65504: ", dtype_name(dtype),
              " cannot hold them, F32 can");
}

Result<Tensor> to_f16(const Tensor& wide) {
  SUTRA_ASSIGN(Tensor narrow, Tensor::create(Dtype::kF16, wide.shape(), Contents::kUndefined));
  std::ranges::transform(wide.as<float>(), narrow.as<uint16_t>().begin(), f32_to_f16);
  return narrow;
}

}  // namespace sutra
