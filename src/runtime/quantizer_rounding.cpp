// Scales found, weights rounded, and what becomes of them in the file and the report.
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/checked.h"
#include "base/half.h"
#include "kernels/rounding/rounding.h"
#include "quant/awq_search.h"
#include "quant/gptq.h"
#include "quant/rtn.h"
#include "runtime/quantizer_stage.h"

namespace sutra {
namespace {

// What scales may leave of the squared error without them. Those that gain less than a tenth do so on the samples; on
// other text, and with the rounding that follows, they lose as often (bench/SPEED.md).
constexpr double kWorthScaling = 0.9;

// kNonFinite where a group's scale could be beyond binary16.
Status check_scale_range(std::span<const float> weights, const RoundingFormat& format, std::string_view name) {
  constexpr float kLargestHalf = 65504;
  const float largest = kLargestHalf / 2 * format.levels();
  if (std::ranges::none_of(weights, [&](float weight) { return std::fabs(weight) > largest; })) return {};
  return fail(ErrorCode::kNonFinite, "tensor '", printable(name), "' has weights beyond ", largest,
              ", whose scales 16 bits do not hold");
}

size_t count_cut(std::span<const float> limits, std::span<const float> weights, size_t n_in, size_t group_size) {
  const size_t n_groups = div_up(n_in, group_size);
  std::vector<float> low(n_groups), high(n_groups);
  size_t n_cut = 0;
  for (size_t first = 0; first < limits.size(); first += n_groups) {
    const float* const row = weights.data() + first / n_groups * n_in;
    kernels::group_ranges({row, n_in, group_size, nullptr, nullptr}, low.data(), high.data());
    for (size_t group = 0; group < n_groups; ++group) {
      if (limits[first + group] < std::max(-low[group], high[group])) ++n_cut;
    }
  }
  return n_cut;
}

}  // namespace

Status Quantizer::search_group(size_t index) {
  Stage& stage = *stage_;
  const ScaleGroup& group = stage.groups[index];
  std::vector<CalibratedMatrix> matrices;
  for (const std::string& linear : group.linears) {
    const Tensor& weight = stage.weights.find(weight_of(linear))->second;
    const InputStatistics* const input = input_of(linear);
    if (input == nullptr) return fail(ErrorCode::kInternal, "the input of '", linear, "' was not measured");
    matrices.push_back({weight.as<float>(), static_cast<size_t>(weight.shape()[0]), input});
  }
  ScaleChoice choice = search_scales(matrices, group.tied, plan_of(group.linears.front()).format, *pool_);
  if (choice.error > kWorthScaling * choice.error_unscaled) choice = {.s = std::vector<float>(group.n_channels, 1.0f)};
  for (const std::string& linear : group.linears) stage.scaled[linear] = {choice.ratio(), choice.duo};
  SUTRA_TRY(apply_scales(group, choice.s, stage.weights));
  if (is_head(stage_index_)) stage.head_scales = choice.s;
  // Each input once, whoever shares it.
  std::set<const InputStatistics*> inputs;
  for (const CalibratedMatrix& matrix : matrices) inputs.insert(matrix.input);
  for (auto& [name, input] : stage.inputs) {
    if (inputs.contains(&input)) input.divide(choice.s);
  }
  return {};
}

Status Quantizer::quantize(const Plan& plan) {
  const auto n_out = static_cast<size_t>(plan.shape[0]), n_in = static_cast<size_t>(plan.shape[1]);
  const Tensor wide = std::move(stage_->weights.extract(plan.name).mapped());
  for (size_t first = 0; first < n_out; first += rows_at_once(n_in)) {
    const size_t n = std::min(rows_at_once(n_in), n_out - first);
    SUTRA_TRY(round_rows(plan, first, wide.as<float>().subspan(first * n_in, n * n_in)));
  }
  return {};
}

// The next rows of a tall matrix, from `first` on.
Status Quantizer::write_rows(const Plan& plan, size_t first) {
  Stage& stage = *stage_;
  stage.weights.erase(plan.name);
  if (plan.linear.empty()) return keep_rows(plan, first, stage.rows);
  if (!stage.head_scales.empty()) scale_columns(stage.head_scales, stage.rows.as<float>());
  return round_rows(plan, first, std::as_const(stage.rows).as<float>());
}

// Rows of a matrix from `first` on, which come one after the other; with the last ones it goes into the file.
Status Quantizer::round_rows(const Plan& plan, size_t first, std::span<const float> weights) {
  Stage& stage = *stage_;
  const auto n_out = static_cast<size_t>(plan.shape[0]), n_in = static_cast<size_t>(plan.shape[1]);
  const size_t n_rows = weights.size() / n_in;
  const InputStatistics* const input = input_of(plan.linear);
  SUTRA_TRY(check_scale_range(weights, plan.format, plan.written_name));
  if (first == 0) {
    SUTRA_ASSIGN(AwqTensors packed, create_awq(n_out, n_in, plan.format.group_size, file_bits()));
    stage.rounding = Stage::Rounding{std::move(packed), RelativeError(n_out, input)};
  }
  Stage::Rounding& rounding = *stage.rounding;
  const CalibratedMatrix rows{weights, n_rows, input};
  std::vector<float> limits;
  // With 255 steps nothing is gained by cutting.
  if (calibrates() && plan.format.bits < 8) limits = search_limits(rows, plan.format, *pool_);
  const Q4Integers quantised = input != nullptr ? quantize_gptq(rows, plan.format, limits, *pool_)
                                                : quantize_rtn(weights, n_rows, n_in, plan.format, limits, pool_.get());
  pack_awq(quantised, first, rounding.packed);
  rounding.error.add(quantised, first, weights);
  rounding.n_cut += count_cut(limits, weights, n_in, plan.format.group_size);
  rounding.n_groups += limits.size();
  return first + n_rows < n_out ? Status() : finish_matrix(plan);
}

Status Quantizer::finish_matrix(const Plan& plan) {
  Stage& stage = *stage_;
  Stage::Rounding rounding = *std::exchange(stage.rounding, std::nullopt);
  AwqTensors& packed = rounding.packed;
  QuantizedTensor report;
  report.name = plan.written_name;
  report.bytes_before = plan.bytes_before;
  report.bytes_after = packed.qweight.bytes().size() + packed.qzeros.bytes().size() + packed.scales.bytes().size();
  report.bits = plan.format.bits;
  report.group_size = plan.format.group_size;
  report.error = rounding.error.value();
  const auto error_rtn = stage.errors_rtn.find(plan.linear);
  report.error_rtn = error_rtn != stage.errors_rtn.end() ? error_rtn->second : report.error;
  if (const auto scaled = stage.scaled.find(plan.linear); scaled != stage.scaled.end()) {
    report.ratio = scaled->second.ratio;
    report.duo = scaled->second.duo;
  }
  if (rounding.n_groups > 0) {
    report.cut = static_cast<double>(rounding.n_cut) / static_cast<double>(rounding.n_groups);
  }
  float_bytes_ += plan.shape.n_elements() * sizeof(float);
  packed_bytes_ += report.bytes_after;
  add_to_report(std::move(report));

  const std::string written = module_of(plan.written_name);
  SUTRA_TRY(finish_tensor(written + ".qweight", std::move(packed.qweight)));
  SUTRA_TRY(finish_tensor(written + ".qzeros", std::move(packed.qzeros)));
  return finish_tensor(written + ".scales", std::move(packed.scales));
}

Status Quantizer::keep(const Plan& plan) {
  const auto node = stage_->weights.extract(plan.name);
  // What is new was made by its group's search.
  SUTRA_ASSERT(!node.empty());
  return keep_rows(plan, 0, node.mapped());
}

// As round_rows(), of what is not quantised.
Status Quantizer::keep_rows(const Plan& plan, size_t first, const Tensor& rows) {
  Tensor& kept = stage_->kept;
  if (first == 0) {
    SUTRA_ASSIGN(kept, Tensor::create(plan.kept_dtype, plan.shape, Contents::kUndefined));
  }
  const std::span<const float> values = rows.as<float>();
  const size_t at = first * (values.size() / static_cast<size_t>(rows.shape()[0]));
  if (plan.kept_dtype == Dtype::kF16) {
    SUTRA_TRY(check_half_range(rows, plan.name, plan.kept_dtype));
    std::ranges::transform(values, kept.as<uint16_t>().subspan(at).begin(), f32_to_f16);
  } else {
    std::ranges::copy(values, kept.as<float>().subspan(at).begin());
  }
  return first + rows.shape()[0] < plan.shape[0] ? Status() : finish_kept(plan, std::move(kept));
}

Status Quantizer::finish_kept(const Plan& plan, Tensor tensor) {
  QuantizedTensor report;
  report.name = plan.written_name;
  report.bytes_before = plan.bytes_before;
  report.bytes_after = tensor.bytes().size();
  report.bits = static_cast<int>(dtype_bytes(plan.kept_dtype) * 8);
  report.kept_because = plan.kept_because;
  add_to_report(std::move(report));
  return finish_tensor(plan.written_name, std::move(tensor));
}

}  // namespace sutra
