// Any bytes as a GGUF file: its container, then what a model takes from it. Promises: no crash; an error has a message;
// what is asked for lies inside the file, from its first byte to its last; memory stays within what packing may take.
#include <algorithm>
#include <span>

#include "base/aligned_buffer.h"
#include "fuzz.h"
#include "heads.h"
#include "io/gguf.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "quant/weight_map.h"
#include "runtime/gguf_tokenizer.h"

namespace {

using namespace sutra;

Status give_all(GgufReader& reader, std::span<const std::byte> file, size_t chunk_bytes) {
  uint64_t at = 0;
  for (ByteRange range = reader.wanted(); range.size > 0; range = reader.wanted()) {
    FUZZ_CHECK(range.offset == at && range.size <= file.size() - range.offset);
    const size_t n = std::min<size_t>(range.size, chunk_bytes);
    SUTRA_TRY(reader.give(file.subspan(at, n)));
    at += n;
  }
  return reader.finish();
}

void use_header(const GgufHeader& header, WeightMap& weights) {
  const auto tokenizer = gguf_tokenizer(header.metadata);
  FUZZ_CHECK(tokenizer || !tokenizer.error().message.empty());
  if (tokenizer) {
    const auto n_ids = static_cast<int32_t>(tokenizer->vocab_size());
    for (const int32_t id : tokenizer->encode("It is a \xc3\xa9 test.", true).ids) FUZZ_CHECK(id >= 0 && id < n_ids);
  }
  const auto text = gguf_config(header);
  if (!text) return;
  const auto json = JsonObject::parse(*text, "config.json");
  FUZZ_CHECK(json.has_value());
  const auto config = read_model_config(*json);
  if (!config) return;
  const Status status = rename_gguf(*config, weights);
  FUZZ_CHECK(status || !status.error().message.empty());
  if (!status) return;
  const auto written = gguf_tensors(*config, weights);
  FUZZ_CHECK(written || !written.error().message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  for (const size_t chunk_bytes : {size_t{13}, size}) {
    reset_peak_memory();
    WeightMap weights;
    WeightSink sink(weights, std::nullopt);
    GgufReader reader(file.size(), &sink);
    const Status status = give_all(reader, file, std::max<size_t>(chunk_bytes, 1));
    FUZZ_CHECK(status || !status.error().message.empty());
    FUZZ_CHECK(memory_use().peak_bytes <= 16 * file.size() + (uint64_t{1} << 20));
    if (reader.header() != nullptr) use_header(*reader.header(), weights);
  }
  HeadSink heads(file);
  GgufReader reader(file.size(), &heads);
  read_heads(reader, file);
  return 0;
}
