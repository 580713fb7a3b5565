// Calibration text as token ids, and the residual streams of its tokens between two layers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "text/tokenizer.h"

namespace sutra {

struct CalibrationOptions {
  size_t n_sequences = 64;
  size_t n_context = 512;  // most tokens of a sequence
};

// Fewest tokens that say something about activations.
inline constexpr size_t kMinCalibrationTokens = 256;

using Sequences = std::vector<std::vector<int32_t>>;

// Pieces of the text, evenly spread over it, each encoded by itself; all of it where it is short. kInvalidArgument: fewer
// than kMinCalibrationTokens tokens.
Result<Sequences> calibration_sequences(const text::Tokenizer& tokenizer, std::string_view text,
                                        const CalibrationOptions& options);

// Rows of floats in two bytes each: a power of two for the row and binary16. 3e38 does not overflow.
class HalfRows {
 public:
  HalfRows() = default;
  // kOutOfMemory
  static Result<HalfRows> create(size_t n_rows, size_t n_cols);

  void put(size_t row, std::span<const float> values);
  void get(size_t row, std::span<float> values) const;

  // All rows as they are held: halves [n_rows, n_cols], powers of two [n_rows].
  [[nodiscard]] std::span<const uint16_t> halves() const { return halves_.as<uint16_t>(); }
  [[nodiscard]] std::span<const float> scales() const { return scales_; }
  void set(std::span<const uint16_t> halves, std::span<const float> scales);

 private:
  size_t n_cols_ = 0;
  AlignedBuffer halves_;
  std::vector<float> scales_;
};

}  // namespace sutra
