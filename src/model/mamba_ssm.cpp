#include "model/mamba_ssm.h"

namespace sutra {

Status rename_mamba_ssm(const ModelConfig& config, WeightMap& tensors) {
  constexpr std::string_view kTheirs = "backbone.embedding.weight", kOurs = "backbone.embeddings.weight";
  if (tensors.find(kTheirs) == nullptr) return {};
  SUTRA_TRY(tensors.rename(kTheirs, kOurs));
  const bool tied = std::visit([](const auto& c) { return c.tie_word_embeddings; }, config.architecture);
  if (tied) tensors.drop("lm_head.weight");
  return {};
}

}  // namespace sutra
