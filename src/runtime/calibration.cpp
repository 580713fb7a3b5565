#include "runtime/calibration.h"

#include <algorithm>
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

Result<HalfRows> HalfRows::create(size_t n_rows, size_t n_cols) {
  HalfRows rows;
  rows.n_cols_ = n_cols;
  rows.scales_.resize(n_rows);
  SUTRA_ASSIGN(rows.halves_, AlignedBuffer::create(uint64_t{n_rows} * n_cols * sizeof(uint16_t)));
  return rows;
}

void HalfRows::put(size_t row, std::span<const float> values) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::fabs(value));
  int exponent = 0;
  std::frexp(largest, &exponent);
  --exponent;  // values below 2, and a power that float32 has for the largest of its numbers
  scales_[row] = std::ldexp(1.0f, exponent);
  const float per_scale = std::ldexp(1.0f, -exponent);
  uint16_t* const halves = halves_.as<uint16_t>().data() + row * n_cols_;
  std::ranges::transform(values, halves, [&](float value) { return f32_to_f16(value * per_scale); });
}

void HalfRows::get(size_t row, std::span<float> values) const {
  const auto halves = halves_.as<uint16_t>().subspan(row * n_cols_, n_cols_);
  std::ranges::transform(halves, values.begin(), [&](uint16_t half) { return f16_to_f32(half) * scales_[row]; });
}

std::span<const uint16_t> HalfRows::halves(size_t first_row, size_t n) const {
  return halves_.as<uint16_t>().subspan(first_row * n_cols_, n * n_cols_);
}

std::span<const float> HalfRows::scales(size_t first_row, size_t n) const {
  return std::span(scales_).subspan(first_row, n);
}

void HalfRows::set(size_t first_row, std::span<const uint16_t> halves, std::span<const float> scales) {
  SUTRA_ASSERT(halves.size() == scales.size() * n_cols_ && first_row + scales.size() <= scales_.size());
  std::ranges::copy(halves, halves_.as<uint16_t>().subspan(first_row * n_cols_).begin());
  std::ranges::copy(scales, scales_.begin() + static_cast<std::ptrdiff_t>(first_row));
}

}  // namespace sutra
