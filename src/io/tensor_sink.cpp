#include "io/tensor_sink.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "tensor/finite.h"

namespace sutra {

Status TensorMapSink::begin(const TensorEntry& entry) {
  SUTRA_ASSIGN(tensor_, Tensor::create(entry.dtype, entry.shape, Contents::kUndefined));
  filled_ = 0;
  return {};
}

Status TensorMapSink::write(std::span<const std::byte> bytes) {
  SUTRA_ASSERT(bytes.size() <= tensor_.bytes().size() - filled_);
  if (bytes.empty()) return {};
  std::memcpy(tensor_.bytes().data() + filled_, bytes.data(), bytes.size());
  filled_ += bytes.size();
  return {};
}

Status TensorMapSink::end(const TensorEntry& entry) {
  if (options_.check_finite) {
    if (const auto element = first_non_finite(tensor_.view())) {
      return fail(ErrorCode::kNonFinite, "tensor '", printable(entry.name), "', ", dtype_name(entry.dtype), " ",
                  entry.shape.to_string(), ", has NaN or infinity at element ", *element);
    }
  }
  return out_.insert(entry.name, std::exchange(tensor_, Tensor()));
}

}  // namespace sutra
