#include "runtime/init_folder.h"

#include <algorithm>

#include "base/half.h"
#include "io/file.h"
#include "io/safetensors_writer.h"
#include "model/parameters.h"
#include "runtime/model_folder.h"

namespace sutra {
namespace {

Result<Tensor> initialised(const Parameter& parameter, Rng& rng) {
  SUTRA_ASSIGN(Tensor values, Tensor::create(Dtype::kF32, parameter.shape));
  parameter.initialise(rng, values.as<float>());
  if (!parameter.is_matrix) return values;
  SUTRA_ASSIGN(Tensor halves, Tensor::create(Dtype::kF16, parameter.shape));
  std::ranges::transform(values.as<float>(), halves.as<uint16_t>().begin(), f32_to_f16);
  return halves;
}

}  // namespace

Result<InitReport> init_folder(const std::string& config_path, uint64_t seed, const std::string& out,
                               const InitProgress& progress) {
  SUTRA_ASSIGN(const std::string config_text, read_text_file(config_path, kMaxConfigBytes));
  SUTRA_ASSIGN(const JsonObject json, JsonObject::parse(config_text, "config.json"));
  SUTRA_ASSIGN(const ModelConfig config, read_model_config(json));
  if (config.packed) {
    return fail(ErrorCode::kInvalidArgument, "'", config_path, "' has a quantization_config: start from float weights");
  }

  std::vector<Parameter> all = parameters(config);
  // The writer wants wider items first; the random numbers follow the file, so that one tensor is held at a time.
  std::ranges::stable_partition(all, [](const Parameter& p) { return !p.is_matrix; });
  std::vector<TensorSpec> specs;
  for (const Parameter& p : all) specs.push_back({p.name, p.is_matrix ? Dtype::kF16 : Dtype::kF32, p.shape});

  SUTRA_TRY(create_folders(out));
  SUTRA_ASSIGN(AtomicFile weights, AtomicFile::create(out + "/model.safetensors"));
  SUTRA_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(weights, specs));
  Rng rng(seed);
  InitReport report;
  for (size_t i = 0; i < all.size(); ++i) {
    SUTRA_ASSIGN(const Tensor tensor, initialised(all[i], rng));
    SUTRA_TRY(writer.write(all[i].name, tensor.view()));
    report.n_parameters += all[i].shape.n_elements();
    if (!progress(i + 1, all.size())) return fail(ErrorCode::kCancelled, "initialising was stopped");
  }
  SUTRA_TRY(writer.finish());
  SUTRA_TRY(write_file_atomically(out + "/config.json", std::as_bytes(std::span(config_text))));
  SUTRA_TRY(weights.commit());
  report.bytes = writer.file_bytes();
  return report;
}

}  // namespace sutra
