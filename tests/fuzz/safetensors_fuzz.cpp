// Any bytes as a safetensors file. Promises: no crash; an error has a message; what loads is the data section, in order;
// the chunk size changes nothing; memory stays within the file's size. As weights of an AWQ model: no crash either, and
// memory stays within three times that size.
#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "base/aligned_buffer.h"
#include "fuzz.h"
#include "heads.h"
#include "io/safetensors_stream.h"
#include "quant/weight_map.h"

namespace {

using namespace sutra;

struct Outcome {
  Status status;
  TensorMap tensors;
};

Outcome load(std::span<const std::byte> file, size_t chunk_bytes) {
  Outcome outcome;
  TensorMapSink sink(outcome.tensors, {.check_finite = (file.size() & 1) != 0});
  SafetensorsStream stream("f", file.size(), sink);
  for (size_t begin = 0; begin < file.size() && outcome.status; begin += chunk_bytes) {
    outcome.status = stream.feed(file.subspan(begin, std::min(chunk_bytes, file.size() - begin)));
  }
  if (outcome.status) outcome.status = stream.finish();
  if (!outcome.status) return outcome;

  uint64_t at = stream.header()->data_offset;
  for (const TensorEntry& entry : stream.header()->tensors) {
    const Tensor* const tensor = outcome.tensors.find(entry.name);
    FUZZ_CHECK(tensor != nullptr);
    FUZZ_CHECK(tensor->bytes().size() == tensor->shape().n_elements() * dtype_bytes(tensor->dtype()));
    FUZZ_CHECK(tensor->bytes().size() <= file.size() - at);
    FUZZ_CHECK(std::ranges::equal(tensor->bytes(), file.subspan(at, tensor->bytes().size())));
    at += tensor->bytes().size();
  }
  FUZZ_CHECK(at == file.size());
  FUZZ_CHECK(outcome.tensors.size() == stream.header()->tensors.size());
  return outcome;
}

// Packing doubles a matrix at most and holds eight rows of it.
void load_weights(std::span<const std::byte> file) {
  reset_peak_memory();
  WeightMap weights;
  WeightSink sink(weights, PackedConfig{.group_size = 32});
  SafetensorsStream stream("f", file.size(), sink);
  Status status;
  for (size_t begin = 0; begin < file.size() && status; begin += 61) {
    status = stream.feed(file.subspan(begin, std::min<size_t>(61, file.size() - begin)));
  }
  if (status) status = stream.finish();
  FUZZ_CHECK(memory_use().peak_bytes <= 3 * file.size());
  if (!status) return;
  FUZZ_CHECK(weights.names().size() == stream.header()->tensors.size());
  for (const TensorEntry& entry : stream.header()->tensors) FUZZ_CHECK(weights.contains(entry.name));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  sutra::reset_peak_memory();
  const auto whole = load(file, size + 1);
  FUZZ_CHECK(sutra::memory_use().peak_bytes <= size);
  load_weights(file);
  HeadSink heads(file);
  SafetensorsStream stream("f", file.size(), heads);
  read_heads(stream, file);
  const auto pieces = load(file, 5);
  FUZZ_CHECK(whole.status.has_value() == pieces.status.has_value());
  if (!whole.status) {
    FUZZ_CHECK(!whole.status.error().message.empty());
    FUZZ_CHECK(whole.status.error().code == pieces.status.error().code);
    FUZZ_CHECK(whole.status.error().message == pieces.status.error().message);
  }
  return 0;
}
