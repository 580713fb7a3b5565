// The one way in for safetensors: a push parser that is fed a file in chunks of any size.
//
// Each tensor is allocated when its bytes begin and handed over when they end, so the file is never held as
// a whole: peak = tensors + header + the caller's chunk. The same code serves a native file, a browser's
// response body, a File and a byte array.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "io/safetensors.h"
#include "io/tensor_map.h"

namespace sutra {

struct SafetensorsStreamOptions {
  // Refuse NaN and infinity in float tensors (kNonFinite, naming tensor and position) as each completes.
  bool check_finite = true;
};

class SafetensorsStream {
 public:
  using Options = SafetensorsStreamOptions;

  // `source` names the file in messages; `file_size` is its size in bytes, against which every length inside is
  // checked before anything is allocated. `out` must outlive the stream; after an error it holds the
  // tensors finished so far and is of no use.
  SafetensorsStream(std::string source, uint64_t file_size, TensorMap& out, Options options = {});

  // The next bytes of the file. The first error is kept and returned from then on. Errors: those of
  // io/safetensors.h; kMalformed for more bytes than file_size and for names that `out` has already;
  // kOutOfMemory; kNonFinite.
  Status feed(std::span<const std::byte> chunk);

  // After the last byte: kTruncated when fewer than file_size came.
  Status finish();

  // Once the header is complete, else null: for inspection and for progress.
  [[nodiscard]] const SafetensorsHeader* header() const { return header_ ? &*header_ : nullptr; }
  [[nodiscard]] uint64_t fed_bytes() const { return fed_bytes_; }

 private:
  Status consume(std::span<const std::byte> chunk);
  Status read_length(std::span<const std::byte>& chunk);
  Status read_header(std::span<const std::byte>& chunk);
  Status read_tensors(std::span<const std::byte> chunk);
  Status finish_tensor(const TensorEntry& entry);
  // Names the source in an error, keeps it and frees what is half filled.
  Status keep(Status status);

  std::string source_;
  uint64_t file_size_;
  TensorMap& out_;
  Options options_;

  uint64_t fed_bytes_ = 0;
  std::optional<Error> error_;

  std::array<std::byte, kSafetensorsLengthBytes> length_bytes_{};
  size_t length_filled_ = 0;
  AlignedBuffer header_json_;
  size_t header_filled_ = 0;
  std::optional<SafetensorsHeader> header_;

  size_t next_entry_ = 0;  // the tensor being filled, or the next one
  Tensor tensor_;
  size_t tensor_filled_ = 0;
  bool tensor_open_ = false;
};

}  // namespace sutra
