// Files of tensors that are read in places: the reader says which bytes it wants next, whoever has the file gives them.
// One code for a native file, a browser's File and bytes in memory, and nobody calls back.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "io/safetensors.h"

namespace sutra {

// Bytes [offset, offset + size) of a file.
struct ByteRange {
  uint64_t offset = 0;
  uint64_t size = 0;
};

class TensorReader {
 public:
  virtual ~TensorReader() = default;

  // The bytes that are wanted next, inside the file; size 0 when everything was read.
  [[nodiscard]] virtual ByteRange wanted() const = 0;
  // Whether all bytes are wanted from the first to the last, so that they can be given as they arrive.
  [[nodiscard]] virtual bool in_order() const = 0;
  // The first of them: any number above 0. After an error the reader is of no further use.
  virtual Status give(std::span<const std::byte> bytes) = 0;
  // After the last bytes there are: kTruncated when more are wanted.
  virtual Status finish() = 0;
  // The tensors with their dtypes and shapes, once they are known, else null. Offsets in them are the reader's own.
  [[nodiscard]] virtual const std::vector<TensorEntry>* tensors() const = 0;
};

}  // namespace sutra
