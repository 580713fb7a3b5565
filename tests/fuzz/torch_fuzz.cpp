// Any bytes as a file of torch.save, and as a pickle alone, because checksums would keep most changes from it.
// Promises: no crash; an error has a message; what is asked for lies inside the file; memory stays within the dense
// tensors, one view and the allowance.
#include <span>

#include "base/aligned_buffer.h"
#include "fuzz.h"
#include "heads.h"
#include "io/tensor_map.h"
#include "io/torch_file.h"

namespace {

using namespace sutra;

void load_file(std::span<const std::byte> file) {
  reset_peak_memory();
  TensorMap tensors;
  TensorMapSink sink(tensors, {.check_finite = false});
  TorchReader reader(file.size(), &sink);
  Status status;
  for (ByteRange range = reader.wanted(); range.size > 0 && status; range = reader.wanted()) {
    FUZZ_CHECK(range.offset <= file.size() && range.size <= file.size() - range.offset);
    status = reader.give(file.subspan(range.offset, range.size));
  }
  if (status) status = reader.finish();
  FUZZ_CHECK(status || !status.error().message.empty());
  FUZZ_CHECK(memory_use().peak_bytes <= 2 * file.size() + (uint64_t{1} << 26) + (uint64_t{1} << 20));
  if (status) FUZZ_CHECK(reader.tensors() != nullptr && reader.tensors()->size() == tensors.size());
}

void read_pickle(std::span<const std::byte> bytes) {
  const auto pickle = Pickle::parse(bytes, torch_pickle_names());
  if (!pickle) return;
  FUZZ_CHECK(pickle->n_bytes() <= bytes.size());
  const auto tensors = read_torch_tensors(*pickle);
  if (!tensors) return;
  for (size_t i = 0; i < tensors->entries.size(); ++i) {
    const TorchView& view = tensors->views[i];
    const uint64_t element_bytes = dtype_bytes(tensors->entries[i].dtype);
    FUZZ_CHECK((view.offset + view.n_reached) * element_bytes <= tensors->storages[view.storage].n_bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  load_file(bytes);
  HeadSink heads(bytes);
  TorchReader reader(bytes.size(), &heads);
  read_heads(reader, bytes);
  read_pickle(bytes);
  return 0;
}
