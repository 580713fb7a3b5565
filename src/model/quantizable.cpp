#include "model/quantizable.h"

#include "base/overloaded.h"
#include "model/decoder.h"
#include "model/outer_names.h"

namespace sutra {
namespace {

void add_layers(const std::string& prefix, size_t n_layer, std::initializer_list<const char*> names,
                std::vector<std::string>& out) {
  for (size_t layer = 0; layer < n_layer; ++layer) {
    for (const char* name : names) out.push_back(concat(prefix, layer, ".", name));
  }
}

std::vector<std::string> linears_of(const Rwkv7Config& c) {
  std::vector<std::string> names;
  add_layers("model.layers.", c.n_layer,
             {"attn.r_proj", "attn.k_proj", "attn.v_proj", "attn.o_proj", "ffn.key", "ffn.value"}, names);
  return names;
}

std::vector<std::string> linears_of(const MambaConfig& c) {
  std::vector<std::string> names;
  add_layers("backbone.layers.", c.n_layer, {"mixer.in_proj", "mixer.out_proj"}, names);
  return names;
}

std::vector<std::string> linears_of(const Mamba2Config& c) {
  std::vector<std::string> names;
  add_layers("backbone.layers.", c.n_layer, {"mixer.in_proj", "mixer.out_proj"}, names);
  return names;
}

std::vector<std::string> linears_of(const DecoderConfig& c) {
  const DecoderNames decoder = decoder_names(c);
  std::vector<std::string> out;
  for (size_t layer = 0; layer < c.n_layer; ++layer) {
    const std::string p = concat("model.layers.", layer, ".");
    if (c.has_attention[layer]) {
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) out.push_back(concat(p, "self_attn.", name));
    }
    if (c.has_mamba[layer]) {
      for (const char* name : {"in_proj", "out_proj"}) out.push_back(concat(p, "mamba.", name));
    }
    for (const std::string_view name : {decoder.matrices.gate, decoder.matrices.up, decoder.matrices.down}) {
      if (!name.empty()) out.push_back(concat(p, decoder.mlp, name));
    }
  }
  return out;
}

template <class Config>
std::vector<std::string> blinkdl_linears(const Config& c) {
  std::vector<std::string> names;
  add_layers(
      "blocks.", c.n_layer,
      {"att.receptance", "att.key", "att.value", "att.gate", "att.output", "ffn.key", "ffn.receptance", "ffn.value"},
      names);
  return names;
}

}  // namespace

std::vector<std::string> quantizable_linears(const ModelConfig& config) {
  const OuterNames outer = outer_names(config);
  std::vector<std::string> names =
      std::visit(Overloaded{[](const auto& c) { return linears_of(c); },
                            // Versions 4 and 5.0 have no gate: a name that no file has is in nobody's way.
                            [](const Rwkv4Config& c) { return blinkdl_linears(c); },
                            [](const Rwkv5Config& c) { return blinkdl_linears(c); },
                            [](const Rwkv6Config& c) { return blinkdl_linears(c); }},
                 config.architecture);
  names.emplace(names.begin(), outer.embeddings);
  if (!outer.tied) names.emplace_back(outer.head);
  return names;
}

bool transformers_reads(const ModelConfig& config, std::string_view linear) {
  return linear.ends_with(".mixer.out_proj") &&
         std::visit(Overloaded{[](const auto&) { return false; }, [](const MambaConfig&) { return true; },
                               [](const Mamba2Config&) { return true; }},
                    config.architecture);
}

}  // namespace sutra
