// A quantizer between two stages as a safetensors file, and the way back:
//
//   fingerprint      I32 [8]       SHA-256 of the config, the tensors' shapes and beginnings, the ids of the text and the options
//   place            I64 [4]       the stage that comes, float and packed bytes of the quantised matrices so far, and R
//   report           F64 [R, 9]    plan, bytes before and after, error to nearest, error, ratio (-1: none), duo, cut, bits
//   stream.S.Q       F16 [T, D]    residual stream S of sequence Q, and stream.S.Q.scales F32 [T] (HalfRows)
//   finished.NAME                  tensors that wait for their turn in the file
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"
#include "io/tensor_map.h"

namespace sutra {

class CheckpointReader {
 public:
  explicit CheckpointReader(uint64_t file_bytes);
  ~CheckpointReader();

  // The next bytes of it. Errors of SafetensorsStream.
  Status feed(std::span<const std::byte> bytes);
  // After the last one, for Quantizer::resume().
  Result<TensorMap> finish();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sutra
