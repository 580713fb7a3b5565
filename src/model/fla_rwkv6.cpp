#include "model/fla_rwkv6.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "tensor/rearrange.h"

namespace sutra {
namespace {

constexpr std::string_view kLayers = "model.layers.";
constexpr std::string_view kFirstMix = "attn.x_proj.0.mu";

enum class Change : uint8_t {
  kStem,        // what stands before .weight, .bias, .qweight and their kind; the others are whole names
  kName,        // nothing but the name
  kTranspose,   // [m, n] to [n, m]
  kMixRows,     // [5·R, C] to [C, 5·R]
  kMixColumns,  // [C, 5·R] to [5, R, C]
  kMixVectors,  // [5, C] to five of [1, 1, C]
};
struct Rule {
  std::string_view from, to;
  Change change = Change::kStem;
};
constexpr Rule kOutside[] = {{"model.embeddings", "emb"}, {"model.norm", "ln_out"}, {"lm_head", "head"}};
constexpr Rule kInside[] = {
    {"pre_norm", "ln0"},
    {"attn_norm", "ln1"},
    {"ffn_norm", "ln2"},
    {"attn.r_proj.linear", "att.receptance"},
    {"attn.k_proj.linear", "att.key"},
    {"attn.v_proj.linear", "att.value"},
    {"attn.g_proj.linear", "att.gate"},
    {"attn.o_proj", "att.output"},
    {"attn.g_norm", "att.ln_x"},
    {"ffn.key.linear", "ffn.key"},
    {"ffn.receptance.linear", "ffn.receptance"},
    {"ffn.value", "ffn.value"},
    {kFirstMix, "att.time_maa_x", Change::kName},
    {"attn.x_bias", "att.time_maa_", Change::kMixVectors},
    {"attn.x_proj.0.linear.weight", "att.time_maa_w1", Change::kMixRows},
    {"attn.x_proj.2.weight", "att.time_maa_w2", Change::kMixColumns},
    {"attn.w_proj.linear.lora.0.weight", "att.time_decay_w1", Change::kTranspose},
    {"attn.w_proj.linear.lora.2.weight", "att.time_decay_w2", Change::kTranspose},
    {"attn.w_proj.linear.lora.2.bias", "att.time_decay", Change::kName},
    {"attn.bonus", "att.time_faaaa", Change::kName},
    {"ffn.key.mu", "ffn.time_maa_k", Change::kName},
    {"ffn.receptance.mu", "ffn.time_maa_r", Change::kName},
};

constexpr std::string_view kTheirMixes = "rwkvg", kBlinkdlMixes = "wkvrg";
constexpr uint64_t kMixes = kTheirMixes.size();

// Rows of five mixes, in BlinkDL's order.
Result<Tensor> reorder_mixes(const Tensor& tensor) {
  SUTRA_ASSIGN(Tensor out, Tensor::create(tensor.dtype(), tensor.shape(), Contents::kUndefined));
  const size_t n_bytes = out.bytes().size() / kMixes;
  for (size_t i = 0; i < kMixes; ++i) {
    std::memcpy(out.bytes().data() + i * n_bytes, tensor.bytes().data() + kTheirMixes.find(kBlinkdlMixes[i]) * n_bytes,
                n_bytes);
  }
  return out;
}

Status insert_mix_vectors(const Tensor& tensor, const std::string& to, WeightMap& weights) {
  for (size_t i = 0; i < kMixes; ++i) {
    SUTRA_ASSIGN(Tensor mix, part_of(tensor.view(), i, {1, 1, tensor.shape().n_elements() / kMixes}));
    SUTRA_TRY(weights.insert(concat(to, kTheirMixes[i]), std::move(mix)));
  }
  return {};
}

Status change_tensor(const std::string& name, Change change, const std::string& to, WeightMap& weights) {
  SUTRA_ASSIGN(Tensor tensor, weights.take(name));
  const Shape shape = tensor.shape();
  const bool is_matrix = shape.n_dims() == 2 && shape.n_elements() != 0 && !is_block(tensor.dtype());
  const bool has_mixes = change != Change::kTranspose;
  if (!is_matrix || (has_mixes && shape[change == Change::kMixColumns ? 1 : 0] % kMixes != 0)) {
    return wrong_shape(name, has_mixes ? "floats of five mixes" : "a matrix of floats", shape);
  }
  if (change == Change::kMixVectors) return insert_mix_vectors(tensor, to, weights);
  if (change == Change::kMixRows) {
    SUTRA_ASSIGN(tensor, reorder_mixes(tensor));
  }
  SUTRA_ASSIGN(tensor, transpose(tensor.view()));
  if (change == Change::kMixColumns) {
    SUTRA_ASSIGN(tensor, reorder_mixes(tensor));
    SUTRA_TRY(tensor.reshape({kMixes, shape[1] / kMixes, shape[0]}));
  }
  return weights.insert(to, std::move(tensor));
}

// A tensor called `name`, which is `rest` behind the block.
Status rename_one(const std::string& name, std::string_view rest, std::span<const Rule> rules, std::string to,
                  WeightMap& weights) {
  const std::string_view stem = rest.substr(0, rest.rfind('.'));
  const auto fits = [&](const Rule& rule) { return rule.from == (rule.change == Change::kStem ? stem : rest); };
  const auto rule = std::ranges::find_if(rules, fits);
  if (rule == rules.end()) return {};
  to += rule->to;
  if (rule->change == Change::kStem) return weights.rename(name, to.append(rest.substr(stem.size())));
  return rule->change == Change::kName ? weights.rename(name, to) : change_tensor(name, rule->change, to, weights);
}

}  // namespace

bool has_fla_rwkv6_names(const WeightMap& weights) { return weights.contains(concat(kLayers, "0.", kFirstMix)); }

Status use_blinkdl_names_of_fla(WeightMap& weights) {
  for (const std::string& name : weights.names()) {
    if (!weights.contains(name)) continue;  // a packed matrix is renamed with the first of its parts
    if (!name.starts_with(kLayers)) {
      SUTRA_TRY(rename_one(name, name, kOutside, {}, weights));
      continue;
    }
    const std::string_view inside = std::string_view(name).substr(kLayers.size());
    const size_t dot = inside.find('.');
    if (dot == std::string_view::npos) continue;
    SUTRA_TRY(
        rename_one(name, inside.substr(dot + 1), kInside, concat("blocks.", inside.substr(0, dot), "."), weights));
  }
  return {};
}

}  // namespace sutra
