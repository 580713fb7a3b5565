#include "model/model.h"

#include "base/overloaded.h"
#include "model/decoder.h"
#include "model/mamba.h"
#include "model/mamba2.h"
#include "model/rwkv4.h"
#include "model/rwkv5.h"
#include "model/rwkv6.h"
#include "model/rwkv7.h"

namespace sutra {

Result<std::unique_ptr<Model>> build_model(const ModelConfig& config, WeightMap& tensors,
                                           const WeightOptions& options) {
  return std::visit(Overloaded{
                        [&](const MambaConfig&) { return Mamba::create(config, tensors, options); },
                        [&](const Mamba2Config&) { return Mamba2::create(config, tensors, options); },
                        [&](const DecoderConfig&) { return Decoder::create(config, tensors, options); },
                        [&](const Rwkv4Config&) { return Rwkv4::create(config, tensors, options); },
                        [&](const Rwkv5Config&) { return Rwkv5::create(config, tensors, options); },
                        [&](const Rwkv6Config&) { return Rwkv6::create(config, tensors, options); },
                        [&](const Rwkv7Config&) { return Rwkv7::create(config, tensors, options); },
                    },
                    config.architecture);
}

}  // namespace sutra
