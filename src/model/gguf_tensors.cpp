// Tensors of a model as a GGUF file has them: the other way around from gguf_names.cpp.
#include <cmath>
#include <map>
#include <numeric>

#include "model/gguf_names.h"
#include "model/gguf_rules.h"
#include "model/parameters.h"
#include "tensor/rearrange.h"

namespace sutra {
namespace {

using namespace gguf;

const DecoderConfig& decoder_of(const ModelConfig& config) { return std::get<DecoderConfig>(config.architecture); }

// "model.layers.3.attn.x_r" of an architecture: "blk.3." and "attn.x_r"; other names whole, with no block.
struct SplitName {
  std::string block;
  std::string_view rest;
};
SplitName split_block(const Architecture& architecture, std::string_view name) {
  if (!name.starts_with(architecture.layers)) return {{}, name};
  const std::string_view inside = name.substr(architecture.layers.size());
  const size_t dot = inside.find('.');
  if (dot == 0 || dot == std::string_view::npos) return {{}, name};
  return {concat(kBlocks, inside.substr(0, dot), "."), inside.substr(dot + 1)};
}

Result<Tensor> minus_exp(Tensor values) {
  for (float& value : values.as<float>()) value = static_cast<float>(-std::exp(static_cast<double>(value)));
  return values;
}

// Rows of a matrix that are multiplied by the same number.
struct RowFactor {
  uint64_t n_rows;
  float factor;
};

// What a matrix of a Falcon-H1 GGUF file has in its rows, where the config has factors of results; empty for others.
std::vector<RowFactor> falcon_h1_factors(const DecoderConfig& c, std::string_view matrix, uint64_t n_rows) {
  const auto whole = [&](float factor) { return std::vector<RowFactor>{{n_rows, factor}}; };
  if (matrix == "token_embd.weight") return whole(c.embedding_multiplier);
  if (matrix == "output.weight") return whole(1 / c.logits_scaling);
  // What the scale of scores is beside the one that llama.cpp has.
  if (matrix == "attn_k.weight") return whole(c.attention.scale * std::sqrt(static_cast<float>(c.attention.head_dim)));
  if (matrix == "attn_output.weight") return whole(c.attention_multiplier);
  if (matrix == "ssm_out.weight") return whole(c.mamba_multiplier);
  if (matrix == "ffn_gate.weight") return whole(c.gate_multiplier);
  if (matrix == "ffn_down.weight") return whole(c.mlp_multiplier);
  if (matrix != "ssm_in.weight") return {};
  const std::array<size_t, 5> parts = c.mamba.in_proj_parts();
  std::vector<RowFactor> factors;
  for (size_t i = 0; i < parts.size(); ++i) factors.push_back({parts[i], c.mamba.multipliers[i]});
  return factors;
}

std::function<Result<Tensor>(Tensor)> multiply_rows(std::vector<RowFactor> factors, uint64_t n_cols) {
  return [factors = std::move(factors), n_cols](Tensor values) -> Result<Tensor> {
    std::span<float> rest = values.as<float>();
    for (const RowFactor& part : factors) {
      const std::span<float> rows = rest.first(static_cast<size_t>(part.n_rows * n_cols));
      for (float& value : rows) value *= part.factor;
      rest = rest.subspan(rows.size());
    }
    return values;
  };
}

// What tensors of a model become; most are one.
class GgufPlan {
 public:
  GgufPlan(const Architecture& architecture, const ModelConfig& config)
      : architecture_(architecture), config_(config) {}

  void add(const Rule& rule, const std::string& block, const std::string& source, const Shape& shape) {
    GgufTensor out{concat(block, rule.from), shape, {source}, rule.stored};
    switch (rule.change) {
      case Change::kNone:
      case Change::kRescale: break;  // written with rescale_every_n_layers = 0
      case Change::kFlatten:
      case Change::kHeads: out.shape = {shape.n_elements()}; break;
      case Change::kColumn: out.shape = {shape.n_elements(), 1}; break;
      case Change::kConv1d: out.shape = {shape[0], shape[shape.n_dims() - 1]}; break;
      case Change::kSplitLerps: fuse_lerps(source, shape, out); break;
      case Change::kNormGroups: out.shape = {n_norm_groups(shape), shape.n_elements() / n_norm_groups(shape)}; break;
      case Change::kTranspose: exchange(shape, out); break;
      case Change::kRotaryRows: pair_rows(shape, out); break;
      case Change::kGateAndUp: return add_gate_and_up(block, source, shape);
      case Change::kMinusExp:
        out.change = minus_exp;
        if (shape.n_dims() == 1) out.shape = {shape[0], 1};
        break;
      case Change::kRopeFactors: break;
    }
    if (architecture_.name == "falcon_h1") fold_factors(rule.from, shape, out);
    tensors_.push_back(std::move(out));
  }

  // What llama.cpp wants, and what stands in the config alone.
  std::vector<GgufTensor> finish() {
    if (std::holds_alternative<Rwkv7Config>(config_.architecture)) add_unused_of_rwkv7();
    // Models of RWKV without a head of their own are not known there.
    const bool is_tied_rwkv =
        std::visit([](const auto& c) { return is_rwkv(c) && c.tie_word_embeddings; }, config_.architecture);
    if (is_tied_rwkv) copy("token_embd.weight", "output.weight");
    const auto* const c = std::get_if<DecoderConfig>(&config_.architecture);
    if (c != nullptr && c->attention.rope.scaling == RopeConfig::Scaling::kLlama3) add_rope_factors(c->attention.rope);
    if (c != nullptr && architecture_.name == "falcon_h1" && c->tie_word_embeddings) untie_head(*c);
    return std::move(tensors_);
  }

 private:
  template <class Config>
  static constexpr bool is_rwkv(const Config&) {
    return std::is_same_v<Config, Rwkv6Config> || std::is_same_v<Config, Rwkv7Config>;
  }

  [[nodiscard]] uint64_t n_norm_groups(const Shape& shape) const {
    const auto* const mamba2 = std::get_if<Mamba2Config>(&config_.architecture);
    const size_t norm_size = mamba2 != nullptr ? mamba2->mixer.norm_size : decoder_of(config_).mamba.norm_size;
    return std::max<uint64_t>(1, shape.n_elements() / std::max<size_t>(1, norm_size));
  }

  void fuse_lerps(const std::string& source, const Shape& shape, GgufTensor& out) const {
    out.shape = {architecture_.mixes.size(), 1, 1, shape.n_elements()};
    out.sources.clear();
    const std::string stem = source.substr(0, source.size() - 1);
    for (const char mix : architecture_.mixes) out.sources.push_back(stem + mix);
  }

  static void exchange(const Shape& shape, GgufTensor& out) {
    if (shape.n_dims() == 2) out.shape = {shape[1], shape[0]};
    if (shape.n_dims() == 3) out.shape = {shape[0], shape[2], shape[1]};
    out.change = [shape](Tensor values) -> Result<Tensor> {
      SUTRA_TRY(values.reshape(shape));
      return transpose(values.view());
    };
  }

  void pair_rows(const Shape& shape, GgufTensor& out) const {
    const AttentionConfig& attention = decoder_of(config_).attention;
    out.change = [shape,
                  rows = rotary_rows(attention, shape[0], Pairs::kToNeighbours)](Tensor values) -> Result<Tensor> {
      SUTRA_TRY(values.reshape(shape));
      return gather_rows(values.view(), rows);
    };
  }

  void fold_factors(std::string_view matrix, const Shape& shape, GgufTensor& out) const {
    auto factors = falcon_h1_factors(decoder_of(config_), matrix, shape[0]);
    if (!factors.empty()) out.change = multiply_rows(std::move(factors), shape[shape.n_dims() - 1]);
  }

  // A head that is the embeddings times another factor.
  void untie_head(const DecoderConfig& c) {
    if (c.embedding_multiplier == 1 / c.logits_scaling) return;
    copy("token_embd.weight", "output.weight");
    fold_factors("output.weight", tensors_.back().shape, tensors_.back());
  }

  void add_gate_and_up(const std::string& block, const std::string& source, const Shape& shape) {
    const uint64_t half = shape[0] / 2;
    for (const uint64_t first : {uint64_t{0}, half}) {
      GgufTensor part{concat(block, first == 0 ? "ffn_gate.weight" : "ffn_up.weight"),
                      {half, shape[1]},
                      {source},
                      GgufTensor::Stored::kMatrix};
      std::vector<uint64_t> rows(static_cast<size_t>(half));
      std::iota(rows.begin(), rows.end(), first);
      part.change = [shape, rows](Tensor values) -> Result<Tensor> {
        SUTRA_TRY(values.reshape(shape));
        return gather_rows(values.view(), rows);
      };
      tensors_.push_back(std::move(part));
    }
  }

  void copy(const std::string& from, const std::string& to) {
    std::erase_if(tensors_, [&](const GgufTensor& tensor) { return tensor.name == to; });
    const auto source = std::ranges::find(tensors_, from, &GgufTensor::name);
    if (source == tensors_.end()) return;
    GgufTensor tensor = *source;
    tensor.name = to;
    tensors_.push_back(std::move(tensor));
  }

  // llama.cpp wants what its converter writes: a v_lora in the first layer, which nothing uses, made of a_lora.
  void add_unused_of_rwkv7() {
    for (const std::string_view part : {"0", "1", "2"}) {
      copy(concat("blk.0.time_mix_a", part, ".weight"), concat("blk.0.time_mix_v", part, ".weight"));
    }
  }

  void add_rope_factors(const RopeConfig& rope) {
    RopeConfig plain = rope;
    plain.scaling = RopeConfig::Scaling::kNone;
    std::vector<double> factors = rotary_frequencies(plain);
    const std::vector<double> scaled = rotary_frequencies(rope);
    for (size_t i = 0; i < factors.size(); ++i) factors[i] /= scaled[i];
    GgufTensor out{std::string(kRopeFactorsName), {factors.size()}, {}};
    out.change = [factors](Tensor) -> Result<Tensor> {
      SUTRA_ASSIGN(Tensor tensor, Tensor::create(Dtype::kF32, {factors.size()}, Contents::kUndefined));
      std::ranges::transform(factors, tensor.as<float>().begin(), [](double f) { return static_cast<float>(f); });
      return tensor;
    };
    tensors_.push_back(std::move(out));
  }

  const Architecture& architecture_;
  const ModelConfig& config_;
  std::vector<GgufTensor> tensors_;
};

// Whether `name`, without its block, is what the rule's becomes. Of the lerps the first stands for all.
bool makes(const Rule& rule, std::string_view name, std::string_view mixes) {
  return rule.change == Change::kSplitLerps ? name == concat(rule.to, mixes.substr(0, 1)) : name == rule.to;
}

// What a model's tensors have to be, by their names; GGUF's own two among them.
std::map<std::string, Shape> shapes_of(const ModelConfig& config) {
  constexpr std::string_view kLog = "_log";
  std::map<std::string, Shape> shapes;
  for (const Parameter& parameter : parameters(config)) {
    shapes.emplace(parameter.name, parameter.shape);
    if (!parameter.name.ends_with(".A_log")) continue;
    shapes.emplace(parameter.name.substr(0, parameter.name.size() - kLog.size()), parameter.shape);
  }
  const auto* const c = std::get_if<DecoderConfig>(&config.architecture);
  if (c != nullptr && c->attention.rope.rotary_dim >= 2) {
    shapes.emplace(kRopeFactorsName, Shape{c->attention.rope.rotary_dim / 2});
  }
  return shapes;
}

bool is_other_lerp(const Architecture& architecture, std::string_view name) {
  const auto is_lerp = [&](const Rule& rule) {
    return rule.change == Change::kSplitLerps && name.size() == rule.to.size() + 1 && name.starts_with(rule.to) &&
           architecture.mixes.substr(1).find(name.back()) != std::string_view::npos;
  };
  return find_inside(architecture, is_lerp) != nullptr;
}

}  // namespace

Result<std::vector<GgufTensor>> gguf_tensors(const ModelConfig& config, const WeightMap& weights) {
  SUTRA_ASSIGN(const Architecture* const architecture, architecture_of(config));
  const auto shapes = shapes_of(config);
  GgufPlan plan(*architecture, config);
  for (const std::string& name : weights.names()) {
    SplitName split{{}, name};
    const auto outside = [&](const Rule& rule) { return rule.to == name; };
    const Rule* rule = find_rule(architecture->outside, outside);
    if (rule == nullptr) {
      split = split_block(*architecture, name);
      if (is_other_lerp(*architecture, split.rest)) continue;
      const auto inside = [&](const Rule& one) { return makes(one, split.rest, architecture->mixes); };
      rule = find_inside(*architecture, inside);
    }
    if (rule == nullptr) {
      return fail(ErrorCode::kUnsupported, "tensor '", printable(name), "' has no place in a GGUF file of ",
                  architecture->name);
    }
    const Tensor* const tensor = weights.find(name);
    if (tensor == nullptr) return fail(ErrorCode::kUnsupported, "'", printable(name), "' is packed already");
    const auto shape = shapes.find(name);
    if (shape == shapes.end()) continue;  // in the file for some other program
    if (tensor->shape().n_elements() != shape->second.n_elements()) {
      return wrong_shape(name, shape->second.to_string(), tensor->shape());
    }
    plan.add(*rule, split.block, name, shape->second);
  }
  return plan.finish();
}

}  // namespace sutra
