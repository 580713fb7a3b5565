// The configs of RWKV-4 to RWKV-6.
#include "model/config_reader.h"

namespace sutra {
namespace {

// What transformers' configs of RWKV-4 to RWKV-6 have in common.
template <class Config>
Status read_rwkv_sizes(const JsonObject& json, Config& c) {
  SUTRA_TRY(read_sizes(json, c));
  SUTRA_ASSIGN(c.n_embd, width(json, "hidden_size"));
  SUTRA_ASSIGN(const size_t attention_size, width_or(json, "attention_hidden_size", c.n_embd));
  if (attention_size != c.n_embd) {
    return fail(ErrorCode::kUnsupported, "config.json: attention_hidden_size must equal hidden_size ", c.n_embd,
                ", found ", attention_size);
  }
  SUTRA_ASSIGN(c.tie_word_embeddings, json.optional_bool("tie_word_embeddings", false));
  SUTRA_ASSIGN(c.layer_norm_eps, epsilon(json, "layer_norm_epsilon", 1e-5));
  return {};
}

// Heads of RWKV-5 and RWKV-6. ln_x has 64e-5 whatever the size of a head; files of tools that used 1e-5 override it.
template <class Config>
Status read_rwkv_heads(const JsonObject& json, Config& c) {
  SUTRA_ASSIGN(c.head_size, width_or(json, "head_size", 64));
  if (c.n_embd % c.head_size != 0) {
    return fail(ErrorCode::kMalformed, "config.json: hidden_size ", c.n_embd, " is not a multiple of head_size ",
                c.head_size);
  }
  c.n_head = c.n_embd / c.head_size;
  SUTRA_ASSIGN(c.group_norm_eps, epsilon(json, "group_norm_epsilon", 64e-5));
  return {};
}

}  // namespace

Result<Rwkv4Config> read_rwkv4(const JsonObject& json) {
  Rwkv4Config c{};
  SUTRA_TRY(read_rwkv_sizes(json, c));
  SUTRA_ASSIGN(c.dim_ffn, width_or(json, "intermediate_size", 4 * c.n_embd));
  return c;
}

Result<Rwkv5Config> read_rwkv5(const JsonObject& json) {
  Rwkv5Config c{};
  SUTRA_TRY(read_rwkv_sizes(json, c));
  SUTRA_TRY(read_rwkv_heads(json, c));
  SUTRA_ASSIGN(c.dim_ffn, width_or(json, "intermediate_size", c.n_embd * 7 / 2 / 32 * 32));
  SUTRA_ASSIGN(const std::string text, json.optional_string("model_version", "5_2"));
  const std::string_view version = text;
  if (version != "5" && version != "5_1" && version != "5_2") {
    return fail(ErrorCode::kUnsupported, "config.json: 'model_version' must be \"5\", \"5_1\" or \"5_2\", found \"",
                printable(version), "\"");
  }
  c.has_gate = version != "5";
  c.per_channel_decay = version == "5_2";
  return c;
}

Result<Rwkv6Config> read_rwkv6(const JsonObject& json) {
  Rwkv6Config c{};
  SUTRA_TRY(read_rwkv_sizes(json, c));
  SUTRA_TRY(read_rwkv_heads(json, c));
  SUTRA_ASSIGN(c.dim_ffn, width_or(json, "intermediate_size", c.n_embd * 7 / 2 / 32 * 32));
  // transformers' code has these ranks built in: twice as large from 4096 channels on.
  const size_t wide = c.n_embd >= 4096 ? 2 : 1;
  SUTRA_ASSIGN(c.mix_low_rank, width_or(json, "time_mix_extra_dim", 32 * wide));
  SUTRA_ASSIGN(c.decay_low_rank, width_or(json, "time_decay_extra_dim", 64 * wide));
  return c;
}

}  // namespace sutra
