#include "model/weights_config.h"

#include "model/blinkdl.h"
#include "model/layer_name.h"

namespace sutra {
namespace {

constexpr std::string_view kMambaLayers = "backbone.layers.", kFlaLayers = "model.layers.";
constexpr std::string_view kFirstMixer = "backbone.layers.0.mixer.";

std::string_view word(bool value) { return value ? "true" : "false"; }

// What the two versions of Mamba have alike.
Result<std::string> mamba_config(const WeightMap& weights, std::string_view version) {
  constexpr std::string_view kMambaSsm = "backbone.embedding.weight";
  const bool is_mamba_ssm = weights.contains(kMambaSsm);
  SUTRA_ASSIGN(const auto embedding, dims_of(weights, is_mamba_ssm ? kMambaSsm : "backbone.embeddings.weight", 2));
  SUTRA_ASSIGN(const auto conv1d, dims_of(weights, concat(kFirstMixer, "conv1d.weight"), 3));
  // mamba_ssm writes the head of a tied model, too.
  const bool is_tied = is_mamba_ssm || !weights.contains("lm_head.weight");
  return concat("{", version, ", \"hidden_size\": ", embedding[1], ", \"vocab_size\": ", embedding[0],
                ", \"num_hidden_layers\": ", count_layers(weights, kMambaLayers), ", \"conv_kernel\": ", conv1d[2],
                ", \"use_bias\": ", word(weights.contains(concat(kFirstMixer, "in_proj.bias"))),
                ", \"use_conv_bias\": ", word(weights.contains(concat(kFirstMixer, "conv1d.bias"))),
                ", \"tie_word_embeddings\": ", word(is_tied),
                ", \"layer_norm_epsilon\": 1e-5, \"bos_token_id\": 0, \"eos_token_id\": 0}");
}

Result<std::string> mamba1_config(const WeightMap& weights) {
  SUTRA_ASSIGN(const auto A_log, dims_of(weights, concat(kFirstMixer, "A_log"), 2));
  SUTRA_ASSIGN(const auto dt_proj, dims_of(weights, concat(kFirstMixer, "dt_proj.weight"), 2));
  return mamba_config(weights, concat("\"model_type\": \"mamba\", \"intermediate_size\": ", A_log[0],
                                      ", \"state_size\": ", A_log[1], ", \"time_step_rank\": ", dt_proj[1]));
}

Result<std::string> mamba2_config(const WeightMap& weights) {
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
  return mamba_config(
      weights, concat("\"model_type\": \"mamba2\", \"expand\": ", d_inner / d_model, ", \"num_heads\": ", n_heads,
                      ", \"head_dim\": ", d_inner / n_heads, ", \"state_size\": ", n_states, ", \"n_groups\": 1"));
}

// flash-linear-attention's RWKV-7.
Result<std::string> fla_rwkv7_config(const WeightMap& weights) {
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
  return concat("{\"model_type\": \"rwkv7\", \"hidden_size\": ", embedding[1], ", \"vocab_size\": ", embedding[0],
                ", \"num_hidden_layers\": ", n_layer, ", \"intermediate_size\": ", key[0], ", \"num_heads\": ", r_k[0],
                ", \"head_dim\": ", r_k[1], ", \"decay_low_rank_dim\": ", w[0], ", \"a_low_rank_dim\": ", a[0],
                ", \"gate_low_rank_dim\": ", g[0], ", \"v_low_rank_dim\": ", v_low_rank,
                ", \"norm_eps\": 1e-5, \"group_norm_epsilon\": 64e-5, \"tie_word_embeddings\": ",
                word(!weights.contains("lm_head.weight")), ", \"bos_token_id\": 0, \"eos_token_id\": 0}");
}

Result<std::string> config_by_names(const WeightMap& weights) {
  if (has_blinkdl_names(weights)) return blinkdl_config(weights);
  if (weights.contains("model.layers.0.attn.r_k")) return fla_rwkv7_config(weights);
  if (weights.contains(concat(kFirstMixer, "x_proj.weight"))) return mamba1_config(weights);
  if (weights.contains(concat(kFirstMixer, "A_log"))) return mamba2_config(weights);
  return fail(ErrorCode::kNotFound, "the weights' names do not replace it");
}

}  // namespace

Result<std::string> config_of_weights(const WeightMap& weights) {
  auto config = config_by_names(weights);
  if (config) return config;
  return fail(config.error().code, "config.json was not given, and ", config.error().message);
}

}  // namespace sutra
