#include "model/outer_names.h"

#include "base/overloaded.h"
#include "model/decoder.h"

namespace sutra {

OuterNames outer_names(const ModelConfig& config) {
  const bool tied = std::visit([](const auto& c) { return c.tie_word_embeddings; }, config.architecture);
  const auto of_mamba = [&](const auto&) {
    return OuterNames{"backbone.embeddings", "", "backbone.norm_f", "lm_head", tied};
  };
  return std::visit(
      Overloaded{[&](const DecoderConfig& c) {
                   return OuterNames{"model.embed_tokens", "", decoder_names(c).norm, "lm_head", tied};
                 },
                 [&](const MambaConfig& c) { return of_mamba(c); }, [&](const Mamba2Config& c) { return of_mamba(c); },
                 [&](const Rwkv7Config&) {
                   return OuterNames{"model.embeddings", "model.layers.0.pre_norm", "model.norm", "lm_head", tied};
                 },
                 [&](const auto&) {
                   return OuterNames{"emb", "blocks.0.ln0", "ln_out", "head", tied};
                 }},
      config.architecture);
}

}  // namespace sutra
