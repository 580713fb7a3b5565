// The configs of RWKV-4 to RWKV-6.
#include <algorithm>

#include "model/config_reader.h"

namespace sutra {
namespace {

// What transformers' configs of RWKV-4 to RWKV-6 have in common.
template <class Config>
void read_rwkv_sizes(ConfigReader& json, Config& c) {
  json.read_sizes(c);
  c.n_embd = json.width("hidden_size");
  const size_t attention_size = json.width_or("attention_hidden_size", c.n_embd);
  if (attention_size != c.n_embd) {
    json.refuse(ErrorCode::kUnsupported, "attention_hidden_size must equal hidden_size ", c.n_embd, ", found ",
                attention_size);
  }
  c.tie_word_embeddings = json.bool_or("tie_word_embeddings", false);
  c.layer_norm_eps = json.epsilon("layer_norm_epsilon", 1e-5);
}

// Heads of RWKV-5 and RWKV-6. ln_x has 64e-5 whatever the size of a head; files of tools that used 1e-5 override it.
template <class Config>
void read_rwkv_heads(ConfigReader& json, Config& c) {
  c.head_size = json.width_or("head_size", 64);
  if (c.n_embd % c.head_size != 0) {
    json.refuse(ErrorCode::kMalformed, "hidden_size ", c.n_embd, " is not a multiple of head_size ", c.head_size);
  }
  c.n_head = c.n_embd / c.head_size;
  c.group_norm_eps = json.epsilon("group_norm_epsilon", 64e-5);
}

// The keys of flash-linear-attention.
Rwkv6Config read_fla_rwkv6(ConfigReader& json) {
  Rwkv6Config c{};
  json.read_sizes(c);
  c.n_embd = json.width("hidden_size");
  c.n_head = json.width_or("num_heads", 4);
  c.head_size = std::max<size_t>(1, c.n_embd / c.n_head);
  if (c.n_embd % c.n_head != 0) {
    json.refuse(ErrorCode::kMalformed, "hidden_size ", c.n_embd, " is not a multiple of num_heads ", c.n_head);
  }
  const double expand_k = json.float_or("expand_k", 0.5), expand_v = json.float_or("expand_v", 1);
  if (expand_k != 1 || expand_v != 1) {
    json.refuse(ErrorCode::kUnsupported, "'expand_k' and 'expand_v' must be 1, found ", expand_k, " and ", expand_v);
  }
  if (json.object("attn")) json.refuse(ErrorCode::kUnsupported, "RWKV-6 with layers of attention is not supported");
  const double ratio = json.float_or("hidden_ratio", 3.5, 0, static_cast<double>(kMaxWidth));
  const auto dim_ffn = static_cast<uint64_t>(static_cast<double>(c.n_embd) * ratio);
  c.dim_ffn = json.width_or("intermediate_size", (dim_ffn + 31) / 32 * 32);
  json.require_string("hidden_act", "sqrelu");
  json.require_bool("norm_first", true);
  json.require_bool("norm_bias", true);
  c.mix_low_rank = json.width_or("proj_low_rank_dim", 32);
  c.decay_low_rank = json.width_or("gate_low_rank_dim", 64);
  c.tie_word_embeddings = json.bool_or("tie_word_embeddings", false);
  c.layer_norm_eps = json.epsilon("norm_eps", 1e-5);
  // Its code gives g_norm the epsilon of the others; checkpoints made of BlinkDL's were trained with 64e-5.
  c.group_norm_eps = json.epsilon("group_norm_epsilon", static_cast<double>(c.layer_norm_eps));
  return c;
}

}  // namespace

Rwkv4Config read_rwkv4(ConfigReader& json) {
  Rwkv4Config c{};
  read_rwkv_sizes(json, c);
  c.dim_ffn = json.width_or("intermediate_size", 4 * uint64_t{c.n_embd});
  return c;
}

Rwkv5Config read_rwkv5(ConfigReader& json) {
  Rwkv5Config c{};
  read_rwkv_sizes(json, c);
  read_rwkv_heads(json, c);
  c.dim_ffn = json.width_or("intermediate_size", c.n_embd * 7 / 2 / 32 * 32);
  const std::string text = json.string_or("model_version", "5_2");
  const std::string_view version = text;
  if (version != "5" && version != "5_1" && version != "5_2") {
    json.refuse(ErrorCode::kUnsupported, "'model_version' must be \"5\", \"5_1\" or \"5_2\", found \"",
                printable(version), "\"");
  }
  c.has_gate = version != "5";
  c.per_channel_decay = version == "5_2";
  return c;
}

Rwkv6Config read_rwkv6(ConfigReader& json) {
  if (json.has("proj_low_rank_dim")) return read_fla_rwkv6(json);
  Rwkv6Config c{};
  read_rwkv_sizes(json, c);
  read_rwkv_heads(json, c);
  c.dim_ffn = json.width_or("intermediate_size", c.n_embd * 7 / 2 / 32 * 32);
  // transformers' code has these ranks built in: twice as large from 4096 channels on.
  const size_t wide = c.n_embd >= 4096 ? 2 : 1;
  c.mix_low_rank = json.width_or("time_mix_extra_dim", 32 * wide);
  c.decay_low_rank = json.width_or("time_decay_extra_dim", 64 * wide);
  c.rescale_every = static_cast<size_t>(json.uint_or("rescale_every", 0, 0, kMaxLayers));
  return c;
}

}  // namespace sutra
