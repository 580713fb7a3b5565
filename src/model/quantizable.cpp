#include "model/quantizable.h"

#include "model/decoder.h"

namespace sutra {
namespace {

void add_layers(const std::string& prefix, size_t n_layer, std::initializer_list<const char*> names,
                std::vector<std::string>& out) {
  for (size_t layer = 0; layer < n_layer; ++layer) {
    for (const char* name : names) out.push_back(concat(prefix, layer, ".", name));
  }
}

void add_decoder(const DecoderConfig& c, std::vector<std::string>& out) {
  const DecoderNames names = decoder_names(c);
  out.push_back("model.embed_tokens");
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    const std::string p = concat("model.layers.", layer, ".");
    if (c.is_attention[layer]) {
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) out.push_back(concat(p, "self_attn.", name));
    } else {
      for (const char* name : {"in_proj", "out_proj"}) out.push_back(concat(p, "mamba.", name));
    }
    for (const std::string_view name : {names.matrices.gate, names.matrices.up, names.matrices.down}) {
      if (!name.empty()) out.push_back(concat(p, names.mlp, name));
    }
  }
}

}  // namespace

std::vector<std::string> quantizable_linears(const ModelConfig& config) {
  std::vector<std::string> names;
  bool tied = false;
  if (const auto* rwkv7 = std::get_if<Rwkv7Config>(&config.architecture)) {
    names.push_back("model.embeddings");
    add_layers("model.layers.", rwkv7->n_layer,
               {"attn.r_proj", "attn.k_proj", "attn.v_proj", "attn.o_proj", "ffn.key", "ffn.value"}, names);
    tied = rwkv7->tie_word_embeddings;
  } else if (const auto* mamba2 = std::get_if<Mamba2Config>(&config.architecture)) {
    names.push_back("backbone.embeddings");
    add_layers("backbone.layers.", mamba2->n_layer, {"mixer.in_proj", "mixer.out_proj"}, names);
    tied = mamba2->tie_word_embeddings;
  } else if (const auto* decoder = std::get_if<DecoderConfig>(&config.architecture)) {
    add_decoder(*decoder, names);
    tied = decoder->tie_word_embeddings;
  } else {
    const auto& mamba = std::get<MambaConfig>(config.architecture);
    names.push_back("backbone.embeddings");
    add_layers("backbone.layers.", mamba.n_layer, {"mixer.in_proj", "mixer.out_proj"}, names);
    tied = mamba.tie_word_embeddings;
  }
  if (!tied) names.push_back("lm_head");
  return names;
}

}  // namespace sutra
