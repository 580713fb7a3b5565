#include "model/gguf_names.h"

#include <optional>

#include "model/gguf_rules.h"
#include "model/layer_name.h"
#include "quant/ggml_blocks.h"
#include "tensor/rearrange.h"

namespace sutra {
namespace {

using namespace gguf;

// "blk.N.ffn_up.weight": its block, -1 for names outside of blocks, and what follows.
struct FileName {
  int64_t block = -1;
  std::string_view rest;
};
FileName split_file_name(std::string_view name) {
  const auto block = take_layer(kBlocks, name);
  return {block ? int64_t{*block} : -1, name};
}

// Null for a name that is not the architecture's.
const Rule* rule_for(const Architecture& architecture, const FileName& name) {
  const auto matches = [&](const Rule& rule) { return rule.from == name.rest; };
  return name.block < 0 ? find_rule(architecture.outside, matches) : find_inside(architecture, matches);
}

// The power of 2 that a block's outputs were divided by.
int rescale_exponent(const ModelConfig& config, int64_t block) {
  const size_t every = std::get<Rwkv6Config>(config.architecture).rescale_every;
  return every == 0 ? 0 : static_cast<int>(static_cast<size_t>(block) / every);
}

// What the elements of a tensor that is read become, beside its name.
struct Source {
  const Rule& rule;
  const ModelConfig& config;
  std::string_view name;
  int64_t block;
};

// Whether it becomes more than another name.
bool changes(const Source& source) {
  const Change change = source.rule.change;
  return change != Change::kNone && (change != Change::kRescale || rescale_exponent(source.config, source.block) != 0);
}

// One vector of each mix, [1, 1, C].
Status split_lerps(const Source& source, const std::string& to, std::string_view mixes, Tensor tensor,
                   WeightMap& weights) {
  if (is_block(tensor.dtype())) {
    SUTRA_ASSIGN(tensor, widen(tensor.view()));
  }
  if (tensor.shape()[0] != mixes.size()) {
    return wrong_shape(source.name, concat(mixes.size(), " vectors"), tensor.shape());
  }
  const uint64_t n_embd = tensor.shape().n_elements() / mixes.size();
  for (size_t i = 0; i < mixes.size(); ++i) {
    SUTRA_ASSIGN(Tensor mix, part_of(tensor.view(), i, {1, 1, n_embd}));
    SUTRA_TRY(weights.insert(concat(to, mixes[i]), std::move(mix)));
  }
  return {};
}

// The gate's rows, and those of the tensor `up`.
Result<Tensor> with_up(const Tensor& gate, const std::string& up, WeightMap& weights) {
  SUTRA_ASSIGN(const Tensor second, weights.take(up));
  if (gate.shape().n_dims() != 2) return wrong_shape(up, "a matrix beside it", gate.shape());
  if (second.shape().n_dims() != 2) return wrong_shape(up, "a matrix", second.shape());
  if (gate.dtype() == second.dtype()) return stack_rows(gate.view(), second.view());
  SUTRA_ASSIGN(const Tensor wide_gate, widen(gate.view()));
  SUTRA_ASSIGN(const Tensor wide_up, widen(second.view()));
  return stack_rows(wide_gate.view(), wide_up.view());
}

Result<Tensor> changed(const Source& source, Tensor tensor, WeightMap& weights) {
  const Shape shape = tensor.shape();
  switch (source.rule.change) {
    case Change::kNone:
    case Change::kMinusExp:
    case Change::kRopeFactors:
    case Change::kSplitLerps: break;
    case Change::kFlatten:
    case Change::kColumn:
    case Change::kNormGroups: SUTRA_TRY(tensor.reshape({shape.n_elements()})); break;
    case Change::kHeads: {
      const uint64_t head_size = std::get<Rwkv7Config>(source.config.architecture).head_size;
      if (shape.n_elements() % head_size != 0) {
        return wrong_shape(source.name, "a multiple of the head size", shape);
      }
      SUTRA_TRY(tensor.reshape({shape.n_elements() / head_size, head_size}));
      break;
    }
    case Change::kConv1d: {
      if (shape.n_dims() != 2) return wrong_shape(source.name, "2 dimensions", shape);
      SUTRA_TRY(tensor.reshape({shape[0], 1, shape[1]}));
      break;
    }
    case Change::kTranspose: {
      if (shape.n_dims() < 2) return wrong_shape(source.name, "2 dimensions or 3", shape);
      if (!is_block(tensor.dtype())) return transpose(tensor.view());
      SUTRA_ASSIGN(const Tensor wide, widen(tensor.view()));
      return transpose(wide.view());
    }
    case Change::kRotaryRows: {
      const AttentionConfig& attention = std::get<DecoderConfig>(source.config.architecture).attention;
      const size_t most_dims = 2, least_dims = is_block(tensor.dtype()) ? 2 : 1;
      if (shape.n_dims() < least_dims || shape.n_dims() > most_dims || shape[0] % attention.head_dim != 0) {
        return wrong_shape(source.name, concat("rows of whole heads of ", attention.head_dim), shape);
      }
      return gather_rows(tensor.view(), rotary_rows(attention, shape[0], Pairs::kToHalves));
    }
    case Change::kGateAndUp: return with_up(tensor, concat(kBlocks, source.block, ".ffn_up.weight"), weights);
    case Change::kRescale: SUTRA_TRY(scale_by_power_of_2(tensor, rescale_exponent(source.config, source.block))); break;
  }
  return tensor;
}

Status read_one(const Source& source, const std::string& to, const Architecture& architecture, WeightMap& weights) {
  if (!changes(source)) return weights.rename(source.name, to);
  SUTRA_ASSIGN(Tensor tensor, weights.take(source.name));
  if (tensor.shape().n_elements() == 0) return wrong_shape(source.name, "elements", tensor.shape());
  if (source.rule.change == Change::kSplitLerps)
    return split_lerps(source, to, architecture.mixes, std::move(tensor), weights);
  SUTRA_ASSIGN(Tensor made, changed(source, std::move(tensor), weights));
  return weights.insert(to, std::move(made));
}

}  // namespace

std::vector<std::string> gguf_changed_tensors(const ModelConfig& config, const GgufHeader& header) {
  std::vector<std::string> names;
  const auto architecture = architecture_of(config);
  if (!architecture) return names;
  for (const TensorEntry& entry : header.tensors) {
    const FileName name = split_file_name(entry.name);
    const Rule* const rule = rule_for(**architecture, name);
    if (rule != nullptr && changes({*rule, config, entry.name, name.block})) names.push_back(entry.name);
    // The one tensor that another takes along.
    const auto takes_up = [](const Rule& one) { return one.change == Change::kGateAndUp; };
    const bool is_up = name.block >= 0 && name.rest == "ffn_up.weight";
    if (is_up && find_inside(**architecture, takes_up) != nullptr) names.push_back(entry.name);
  }
  return names;
}

Status rename_gguf(const ModelConfig& config, WeightMap& weights) {
  SUTRA_ASSIGN(const Architecture* const architecture, architecture_of(config));
  for (const std::string& name : weights.names()) {
    const FileName split = split_file_name(name);
    const Rule* const rule = rule_for(*architecture, split);
    if (rule == nullptr) continue;
    const std::string prefix = split.block < 0 ? "" : concat(architecture->layers, split.block, ".");
    SUTRA_TRY(read_one({*rule, config, name, split.block}, concat(prefix, rule->to), *architecture, weights));
  }
  return {};
}

}  // namespace sutra
