#include "runtime/calibration.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.h"
#include "base/half.h"

namespace sutra {
namespace {

// Of text that a tokenizer makes a token of, at most: longer pieces than wanted cost time only.
constexpr size_t kMaxBytesPerToken = 8;

// The first byte of a character at or after `at`.
size_t character_at(std::string_view text, size_t at) {
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
  return at;
}

}  // namespace

Result<Sequences> calibration_sequences(const text::Tokenizer& tokenizer, std::string_view text,
                                        const CalibrationOptions& options) {
  Sequences sequences;
  const size_t piece_bytes = options.n_context * kMaxBytesPerToken;
  size_t n_tokens = 0, end = 0;
  for (size_t i = 0; i < options.n_sequences; ++i) {
    // Where pieces would overlap, because the text is short, each begins where the one before it ended.
    const size_t begin = std::max(end, character_at(text, text.size() / options.n_sequences * i));
    end = character_at(text, std::min(text.size(), begin + piece_bytes));
    text::Encoding encoding = tokenizer.encode(text.substr(begin, end - begin), false);
    if (encoding.ids.size() > options.n_context) {
      encoding.ids.resize(options.n_context);
      end = begin + encoding.offsets[options.n_context - 1].end;
    }
    n_tokens += encoding.ids.size();
    if (!encoding.ids.empty()) sequences.push_back(std::move(encoding.ids));
  }
  if (n_tokens < kMinCalibrationTokens) {
    return fail(ErrorCode::kInvalidArgument, "the calibration text has ", n_tokens, " tokens; at least ",
                kMinCalibrationTokens, " are needed");
  }
  return sequences;
}

namespace {

// f32_to_f16() without a branch, so that the compiler makes lanes of a loop of it.
uint16_t half_of(float value) {
  const auto bits = std::bit_cast<int32_t>(value);
  const int32_t magnitude = bits & 0x7fffffff;
  const int32_t normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
  const int32_t subnormal = std::bit_cast<int32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
  int32_t half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x477ff000 ? 0x7c00 : half;
  half = magnitude > 0x7f800000 ? 0x7e00 : half;
  return static_cast<uint16_t>((bits >> 16 & 0x8000) | half);
}

}  // namespace

Result<HalfRows> HalfRows::create(size_t n_rows, size_t n_cols) {
  HalfRows rows;
  rows.n_cols_ = n_cols;
  rows.scales_.resize(n_rows);
  SUTRA_ASSIGN(rows.halves_, AlignedBuffer::create(uint64_t{n_rows} * n_cols * sizeof(uint16_t)));
  return rows;
}

void HalfRows::put(size_t row, std::span<const float> values) {
  // As integers, magnitudes are in the order of their sizes. NaN is none of them.
  int32_t largest_bits = 0;
  for (const float value : values) {
    const int32_t magnitude = std::bit_cast<int32_t>(value) & 0x7fffffff;
    largest_bits = magnitude > largest_bits && magnitude <= 0x7f800000 ? magnitude : largest_bits;
  }
  const auto largest = std::bit_cast<float>(largest_bits);
  int exponent = 0;
  std::frexp(largest, &exponent);
  --exponent;  // values below 2, and a power that float32 has for the largest of its numbers
  scales_[row] = std::ldexp(1.0f, exponent);
  const float per_scale = std::ldexp(1.0f, -exponent);
  uint16_t* const halves = halves_.as<uint16_t>().data() + row * n_cols_;
  for (size_t i = 0; i < values.size(); ++i) halves[i] = half_of(values[i] * per_scale);
}

void HalfRows::get(size_t row, std::span<float> values) const {
  const auto halves = halves_.as<uint16_t>().subspan(row * n_cols_, n_cols_);
  const float scale = scales_[row];
  for (size_t i = 0; i < values.size(); ++i) values[i] = f16_to_f32(halves[i]) * scale;
}

void HalfRows::set(std::span<const uint16_t> halves, std::span<const float> scales) {
  SUTRA_ASSERT(halves.size() == scales.size() * n_cols_ && scales.size() == scales_.size());
  std::ranges::copy(halves, halves_.as<uint16_t>().begin());
  std::ranges::copy(scales, scales_.begin());
}

}  // namespace sutra
