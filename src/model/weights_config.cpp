#include "model/weights_config.h"

#include "model/blinkdl.h"
#include "model/layer_name.h"

namespace sutra {
namespace {

constexpr std::string_view kMambaLayers = "backbone.layers.", kFlaLayers = "model.layers.";
constexpr std::string_view kFirstMixer = "backbone.layers.0.mixer.";

// What the two versions of Mamba have alike.
Status add_mamba_keys(const WeightMap& weights, JsonText& config) {
  constexpr std::string_view kMambaSsm = "backbone.embedding.weight";
  const bool is_mamba_ssm = weights.contains(kMambaSsm);
  SUTRA_ASSIGN(const auto embedding, dims_of(weights, is_mamba_ssm ? kMambaSsm : "backbone.embeddings.weight", 2));
  SUTRA_ASSIGN(const auto conv1d, dims_of(weights, concat(kFirstMixer, "conv1d.weight"), 3));
  config.add_uint("conv_kernel", conv1d[2]);
  config.add_bool("use_bias", weights.contains(concat(kFirstMixer, "in_proj.bias")));
  config.add_bool("use_conv_bias", weights.contains(concat(kFirstMixer, "conv1d.bias")));
  config.add("layer_norm_epsilon", "1e-5");
  // mamba_ssm writes the head of a tied model, too.
  const bool is_tied = is_mamba_ssm || !weights.contains("lm_head.weight");
  add_common_keys({embedding[1], embedding[0], count_layers(weights, kMambaLayers), is_tied}, config);
  return {};
}

Status add_mamba1_keys(const WeightMap& weights, JsonText& config) {
  SUTRA_ASSIGN(const auto A_log, dims_of(weights, concat(kFirstMixer, "A_log"), 2));
  SUTRA_ASSIGN(const auto dt_proj, dims_of(weights, concat(kFirstMixer, "dt_proj.weight"), 2));
  config.add("model_type", "\"mamba\"");
  config.add_uint("intermediate_size", A_log[0]);
  config.add_uint("state_size", A_log[1]);
  config.add_uint("time_step_rank", dt_proj[1]);
  return add_mamba_keys(weights, config);
}

Status add_mamba2_keys(const WeightMap& weights, JsonText& config) {
  // The convolution has D + 2 G N channels. More states than this are those of several groups.
  constexpr uint64_t kMostStates = 128;
  SUTRA_ASSIGN(const auto A_log, dims_of(weights, concat(kFirstMixer, "A_log"), 1));
  SUTRA_ASSIGN(const auto out_proj, dims_of(weights, concat(kFirstMixer, "out_proj.weight"), 2));
  SUTRA_ASSIGN(const auto conv1d, dims_of(weights, concat(kFirstMixer, "conv1d.weight"), 3));
  const uint64_t d_model = out_proj[0], d_inner = out_proj[1], n_heads = A_log[0];
  const uint64_t n_states = conv1d[0] > d_inner ? (conv1d[0] - d_inner) / 2 : 0;
  if (d_model == 0 || n_heads == 0 || d_inner % d_model != 0 || n_states == 0 || n_states > kMostStates) {
    return fail(ErrorCode::kUnsupported, "the shapes do not tell the groups and heads of this Mamba-2");
  }
  config.add("model_type", "\"mamba2\"");
  config.add_uint("expand", d_inner / d_model);
  config.add_uint("num_heads", n_heads);
  config.add_uint("head_dim", d_inner / n_heads);
  config.add_uint("state_size", n_states);
  config.add_uint("n_groups", 1);
  return add_mamba_keys(weights, config);
}

// flash-linear-attention's RWKV-7.
Status add_fla_rwkv7_keys(const WeightMap& weights, JsonText& config) {
  const auto low_rank = [&](std::string_view layer, std::string_view pair) {
    return dims_of(weights, concat(kFlaLayers, layer, ".attn.", pair, "_lora.lora.0.weight"), 2);
  };
  const uint32_t n_layer = count_layers(weights, kFlaLayers);
  SUTRA_ASSIGN(const auto embedding, dims_of(weights, "model.embeddings.weight", 2));
  SUTRA_ASSIGN(const auto r_k, dims_of(weights, "model.layers.0.attn.r_k", 2));
  SUTRA_ASSIGN(const auto key, dims_of(weights, "model.layers.0.ffn.key.weight", 2));
  SUTRA_ASSIGN(const auto w, low_rank("0", "w"));
  SUTRA_ASSIGN(const auto a, low_rank("0", "a"));
  SUTRA_ASSIGN(const auto g, low_rank("0", "g"));
  // Layer 0 has no value residual; a model of one layer has none at all.
  uint64_t v_low_rank = 1;
  if (n_layer > 1) {
    SUTRA_ASSIGN(const auto v, low_rank("1", "v"));
    v_low_rank = v[0];
  }
  add_rwkv7_keys({r_k[0], r_k[1], w[0], a[0], v_low_rank, g[0]}, config);
  config.add_uint("intermediate_size", key[0]);
  add_common_keys({embedding[1], embedding[0], n_layer, !weights.contains("lm_head.weight")}, config);
  return {};
}

Status add_keys_by_names(const WeightMap& weights, JsonText& config) {
  if (weights.contains("model.layers.0.attn.r_k")) return add_fla_rwkv7_keys(weights, config);
  if (weights.contains(concat(kFirstMixer, "x_proj.weight"))) return add_mamba1_keys(weights, config);
  if (weights.contains(concat(kFirstMixer, "A_log"))) return add_mamba2_keys(weights, config);
  return fail(ErrorCode::kNotFound, "the weights' names do not replace it");
}

}  // namespace

void add_common_keys(const CommonKeys& keys, JsonText& config) {
  config.add_uint("hidden_size", keys.hidden_size);
  config.add_uint("vocab_size", keys.vocab_size);
  config.add_uint("num_hidden_layers", keys.n_layer);
  config.add_bool("tie_word_embeddings", keys.is_tied);
  config.add_uint("bos_token_id", 0);
  config.add_uint("eos_token_id", 0);
}

void add_rwkv7_keys(const Rwkv7Keys& keys, JsonText& config) {
  config.add("model_type", "\"rwkv7\"");
  config.add_uint("num_heads", keys.n_heads);
  config.add_uint("head_dim", keys.head_size);
  config.add_uint("decay_low_rank_dim", keys.decay_low_rank);
  config.add_uint("a_low_rank_dim", keys.a_low_rank);
  config.add_uint("v_low_rank_dim", keys.v_low_rank);
  config.add_uint("gate_low_rank_dim", keys.gate_low_rank);
  config.add("norm_eps", "1e-5");
  config.add("group_norm_epsilon", "64e-5");
}

Result<std::string> config_of_weights(const WeightMap& weights) {
  JsonText config;
  const Status status =
      has_blinkdl_names(weights) ? add_blinkdl_keys(weights, config) : add_keys_by_names(weights, config);
  if (status) return config.text();
  return fail(status.error().code, "config.json was not given, and ", status.error().message);
}

}  // namespace sutra
