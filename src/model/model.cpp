#include "model/model.h"

#include "model/decoder.h"
#include "model/mamba.h"
#include "model/mamba2.h"
#include "model/rwkv7.h"

namespace sutra {

Result<std::unique_ptr<Model>> build_model(const ModelConfig& config, WeightMap& tensors,
                                           const WeightOptions& options) {
  if (std::holds_alternative<Rwkv7Config>(config.architecture)) return Rwkv7::create(config, tensors, options);
  if (std::holds_alternative<Mamba2Config>(config.architecture)) return Mamba2::create(config, tensors, options);
  if (std::holds_alternative<DecoderConfig>(config.architecture)) return Decoder::create(config, tensors, options);
  return Mamba::create(config, tensors, options);
}

}  // namespace sutra
