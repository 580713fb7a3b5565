#include "runtime/quantize_folder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "base/checked.h"
#include "io/config.h"
#include "io/file.h"
#include "io/safetensors_file.h"
#include "io/safetensors_writer.h"
#include "model/blinkdl.h"
#include "model/config.h"
#include "model/quantizable.h"
#include "quant/awq_format.h"
#include "quant/rtn.h"
#include "runtime/model_folder.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

// A tensor of the source and where its bytes are.
struct Source {
  TensorEntry entry;
  size_t file = 0;
  uint64_t data_offset = 0;
};

// What becomes of it: the name without ".weight" where it is quantised.
struct Plan {
  Source source;
  std::optional<std::string> linear;
  std::string kept_because;
};

// Tensors already made, by the name they are written under.
using Finished = std::map<std::string, Tensor>;

Result<Tensor> read_tensor(const InputFile& file, const Source& source) {
  SUTRA_ASSIGN(Tensor tensor, Tensor::create(source.entry.dtype, source.entry.shape));
  SUTRA_ASSIGN(const size_t n_read, file.read_at(source.data_offset + source.entry.begin, tensor.bytes()));
  if (n_read != tensor.bytes().size()) {
    return fail(ErrorCode::kTruncated, "tensor '", source.entry.name, "' ends beyond its file");
  }
  if (const auto index = first_non_finite(tensor.view())) {
    return fail(ErrorCode::kNonFinite, "tensor '", source.entry.name, "' is NaN or infinite at element ", *index);
  }
  return tensor;
}

Plan plan_tensor(Source source, const std::set<std::string>& linears, size_t group_size) {
  constexpr std::string_view kSuffix = ".weight";
  Plan plan{std::move(source), std::nullopt, {}};
  const std::string& name = plan.source.entry.name;
  const std::string linear = name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : name;
  const Shape& shape = plan.source.entry.shape;
  if (!linears.contains(blinkdl_name(linear)) || shape.n_dims() != 2 || !is_float(plan.source.entry.dtype)) {
    plan.kept_because = "small or sensitive";
  } else if (shape[0] % 8 != 0) {
    plan.kept_because = concat(shape[0], " outputs are not a multiple of 8");
  } else if (shape[1] % group_size != 0) {
    plan.kept_because = concat(shape[1], " inputs are not a multiple of the group size ", group_size);
  } else {
    plan.linear = linear;
  }
  return plan;
}

void add_specs(const Plan& plan, size_t group_size, std::vector<TensorSpec>& specs) {
  const TensorEntry& entry = plan.source.entry;
  if (!plan.linear) {
    specs.push_back({entry.name, entry.dtype, entry.shape});
    return;
  }
  const size_t n_out = static_cast<size_t>(entry.shape[0]), n_in = static_cast<size_t>(entry.shape[1]);
  specs.push_back({*plan.linear + ".qweight", Dtype::kI32, awq_qweight_shape(n_out, n_in)});
  specs.push_back({*plan.linear + ".qzeros", Dtype::kI32, awq_qzeros_shape(n_out, n_in, group_size)});
  specs.push_back({*plan.linear + ".scales", Dtype::kF16, awq_scales_shape(n_out, n_in, group_size)});
}

double relative_error(const Q4Integers& quantised, const Tensor& weights) {
  const auto source = weights.as<float>();
  std::vector<float> row(quantised.n_cols);
  double error = 0, total = 0;
  for (size_t r = 0; r < quantised.n_rows; ++r) {
    quantised.dequantize_row(r, row.data());
    for (size_t k = 0; k < row.size(); ++k) {
      const double value = source[r * row.size() + k];
      error += (row[k] - value) * (row[k] - value);
      total += value * value;
    }
  }
  return total > 0 ? std::sqrt(error / total) : 0;
}

// Turns one source tensor into the tensors that stand for it in the result.
Result<QuantizedTensor> convert(const Plan& plan, const InputFile& file, size_t group_size, Finished& finished) {
  SUTRA_ASSIGN(Tensor tensor, read_tensor(file, plan.source));
  QuantizedTensor report;
  report.name = plan.source.entry.name;
  report.bytes_before = tensor.bytes().size();
  if (!plan.linear) {
    report.bits = static_cast<int>(dtype_bytes(tensor.dtype()) * 8);
    report.bytes_after = report.bytes_before;
    report.kept_because = plan.kept_because;
    finished.emplace(report.name, std::move(tensor));
    return report;
  }
  SUTRA_ASSIGN(const Tensor wide, to_f32(tensor.view()));
  const size_t n_out = static_cast<size_t>(wide.shape()[0]), n_in = static_cast<size_t>(wide.shape()[1]);
  const Q4Integers quantised = quantize_rtn(wide.as<float>(), n_out, n_in, group_size);
  SUTRA_ASSIGN(AwqTensors packed, to_awq(quantised));
  report.bits = 4;
  report.bytes_after = packed.qweight.bytes().size() + packed.qzeros.bytes().size() + packed.scales.bytes().size();
  report.relative_error = relative_error(quantised, wide);
  finished.emplace(*plan.linear + ".qweight", std::move(packed.qweight));
  finished.emplace(*plan.linear + ".qzeros", std::move(packed.qzeros));
  finished.emplace(*plan.linear + ".scales", std::move(packed.scales));
  return report;
}

// Writes the tensors whose turn it is and frees them.
Status write_ready(SafetensorsWriter& writer, const std::vector<TensorSpec>& specs, size_t& next, Finished& finished) {
  for (; next < specs.size(); ++next) {
    const auto it = finished.find(specs[next].name);
    if (it == finished.end()) return {};
    SUTRA_TRY(writer.write(it->first, it->second.view()));
    finished.erase(it);
  }
  return {};
}

Result<std::string> quantized_config(JsonObject config, const std::vector<Plan>& plans, size_t group_size) {
  std::string kept;
  for (const Plan& plan : plans) {
    if (plan.linear || plan.source.entry.shape.n_dims() != 2) continue;
    kept += concat(kept.empty() ? "" : ", ", json_quote(plan.source.entry.name));
  }
  SUTRA_TRY(config.override_value(
      concat(R"(quantization_config={"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": )", group_size,
             R"(, "zero_point": true, "modules_to_not_convert": [)", kept, "]}")));
  return config.text();
}

}  // namespace

Result<QuantizeReport> quantize_folder(const std::string& model, const std::string& out, const QuantizeOptions& options,
                                       const QuantizeProgress& progress) {
  if (!kernels::q4_group_size_supported(options.group_size)) {
    return fail(ErrorCode::kInvalidArgument, "the group size must be 32, 64 or 128, found ", options.group_size);
  }
  SUTRA_ASSIGN(const ModelPaths paths, find_model(model));
  if (paths.config.empty()) {
    return fail(ErrorCode::kUnsupported, "'", model, "' has no config.json: safetensors folders are quantised so far");
  }
  SUTRA_ASSIGN(const std::string config_text, read_text_file(paths.config, kMaxConfigBytes));
  SUTRA_ASSIGN(const JsonObject config_json, JsonObject::parse(config_text, "config.json"));
  SUTRA_ASSIGN(const ModelConfig config, read_model_config(config_json));
  if (config.packed) return fail(ErrorCode::kInvalidArgument, "'", model, "' is quantised already");

  std::vector<InputFile> files;
  std::vector<Plan> plans;
  std::vector<TensorSpec> specs;
  const std::vector<std::string> linear_names = quantizable_linears(config);
  const std::set<std::string> linears(linear_names.begin(), linear_names.end());
  for (const std::string& path : paths.weights) {
    SUTRA_ASSIGN(const TensorTable table, read_tensor_table(path));
    if (table.format != "safetensors") {
      return fail(ErrorCode::kUnsupported, "'", path, "' is a ", table.format,
                  " file; safetensors are quantised so far");
    }
    SUTRA_ASSIGN(const SafetensorsHeader header, read_safetensors_header(path));
    SUTRA_ASSIGN(InputFile file, InputFile::open(path));
    for (const TensorEntry& entry : header.tensors) {
      plans.push_back(plan_tensor({entry, files.size(), header.data_offset}, linears, options.group_size));
      add_specs(plans.back(), options.group_size, specs);
    }
    files.push_back(std::move(file));
  }
  SUTRA_ASSIGN(const std::string new_config, quantized_config(config_json, plans, options.group_size));
  order_for_alignment(specs);

  SUTRA_TRY(create_folders(out));
  SUTRA_ASSIGN(AtomicFile weights, AtomicFile::create(out + "/model.safetensors"));
  SUTRA_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(weights, specs));
  QuantizeReport report;
  Finished finished;
  size_t next = 0;
  uint64_t float_bytes = 0, packed_bytes = 0;
  for (const Plan& plan : plans) {
    SUTRA_ASSIGN(QuantizedTensor tensor, convert(plan, files[plan.source.file], options.group_size, finished));
    SUTRA_TRY(write_ready(writer, specs, next, finished));
    report.bytes_before += tensor.bytes_before;
    report.bytes_after += tensor.bytes_after;
    if (plan.linear) {
      float_bytes += plan.source.entry.shape.n_elements() * sizeof(float);
      packed_bytes += tensor.bytes_after;
    }
    report.tensors.push_back(std::move(tensor));
    if (!progress(report.tensors.size(), plans.size(), report.tensors.back())) {
      return fail(ErrorCode::kCancelled, "quantising was stopped");
    }
  }
  SUTRA_TRY(writer.finish());
  if (packed_bytes > 0) report.compression = static_cast<double>(float_bytes) / static_cast<double>(packed_bytes);

  SUTRA_TRY(write_file_atomically(out + "/config.json", std::as_bytes(std::span(new_config))));
  for (const std::string& companion : paths.companions) {
    SUTRA_ASSIGN(const NamedText beside, read_companion(companion));
    SUTRA_TRY(write_file_atomically(concat(out, "/", beside.name), std::as_bytes(std::span(beside.text))));
  }
  // Last, so that a folder with weights in it is complete.
  SUTRA_TRY(weights.commit());
  return report;
}

}  // namespace sutra
