#include "runtime/logits_file.h"

#include <algorithm>
#include <vector>

#include "io/file.h"
#include "io/safetensors_writer.h"
#include "model/state.h"

namespace sutra {
Status write_logits_file(const Engine& engine, std::span<const int32_t> ids, const std::string& path) {
  SUTRA_TRY(engine.check_ids(ids));
  const size_t vocab_size = engine.info().vocab_size;
  const StateLayout& layout = engine.model().state_layout();
  SUTRA_ASSIGN(State state, State::create(layout));
  SUTRA_TRY(engine.reserve(state, ids.size()));
  SUTRA_ASSIGN(Tensor logits, Tensor::create(Dtype::kF32, {ids.size(), vocab_size}));
  for (size_t first = 0; first < ids.size(); first += kChunkTokens) {
    const size_t n = std::min(kChunkTokens, ids.size() - first);
    engine.forward(state, ids.subspan(first, n), LogitsWanted::kAll,
                   logits.as<float>().subspan(first * vocab_size, n * vocab_size));
  }

  std::vector<TensorSpec> specs = {{"logits", Dtype::kF32, logits.shape()}};
  for (const StateField& field : layout.fields) {
    specs.push_back({"state." + field.name, Dtype::kF32, field.published_shape(state.n_tokens)});
  }
  SUTRA_ASSIGN(AtomicFile file, AtomicFile::create(path));
  SUTRA_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(file, specs));
  SUTRA_TRY(writer.write("logits", logits.view()));
  for (const StateField& field : layout.fields) {
    SUTRA_ASSIGN(const Tensor tensor, publish_field(field, state));
    SUTRA_TRY(writer.write("state." + field.name, tensor.view()));
  }
  SUTRA_TRY(writer.finish());
  return file.commit();
}

}  // namespace sutra
