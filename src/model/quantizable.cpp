#include "model/quantizable.h"

namespace sutra {
namespace {

void add_layers(const std::string& prefix, size_t n_layer, std::initializer_list<const char*> names,
                std::vector<std::string>& out) {
  for (size_t layer = 0; layer < n_layer; ++layer) {
    for (const char* name : names) out.push_back(concat(prefix, layer, ".", name));
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
