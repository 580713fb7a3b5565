#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/activations/variants.h"

namespace sutra::kernels::scalar {
namespace {

constexpr uint32_t kInfinityBits = 0x7f800000u;
constexpr size_t kPairOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};

// Valid for |v| < 2^22: the sum's unit is 1, so the addition itself rounds half to even.
int32_t round_half_even(float v) {
  constexpr float kShift = 0x1.8p23f;
  return std::bit_cast<int32_t>(v + kShift) - std::bit_cast<int32_t>(kShift);
}

// max |x| as bits: ordered like the magnitudes, with infinity and then NaN above all numbers.
uint32_t max_magnitude_bits(const float* x, size_t n) {
  uint32_t max_bits = 0;
  for (size_t k = 0; k < n; ++k) max_bits = std::max(max_bits, std::bit_cast<uint32_t>(x[k]) & 0x7fffffffu);
  return max_bits;
}

float group_scale(uint32_t max_bits, float levels) {
  if (max_bits >= kInfinityBits) return std::numeric_limits<float>::quiet_NaN();
  const float scale = std::bit_cast<float>(max_bits) / levels;
  return scale < std::numeric_limits<float>::min() ? 0.0f : scale;
}

}  // namespace

void quantize_activations(const float* x, const Activations& out, size_t token) {
  const float levels = activation_levels(out.precision);
  int16_t* pairs = out.pairs(token);
  int8_t* bytes = out.bytes(token);
  for (size_t group = 0; group < out.n_groups(); ++group) {
    const size_t first = group * out.group_size;
    const size_t last = std::min(first + out.group_size, out.n_cols);
    const float scale = group_scale(max_magnitude_bits(x + first, last - first), levels);
    int32_t sum = 0;
    for (size_t k = first; k < round_up(last, 8); ++k) {
      // scale > 0 is false for NaN too.
      const int32_t xq = k < last && scale > 0.0f ? round_half_even(x[k] / scale) : 0;
      sum += xq;
      const size_t column = k % 8;
      const bool in_order = out.precision == Precision::kA14;
      const size_t place =
          in_order ? column : static_cast<size_t>(std::find(kPairOrder, kPairOrder + 8, column) - kPairOrder);
      pairs[k - column + place] = static_cast<int16_t>(xq);
      if (out.precision == Precision::kA8) {
        bytes[k] = static_cast<int8_t>(xq);
      } else {
        const int32_t shifted = in_order ? xq + kA14Offset : xq;
        const int32_t high_part = in_order ? shifted >> 7 : (shifted + 64) >> 7;
        bytes[(k - column) * 2 + column] = static_cast<int8_t>(high_part);
        bytes[(k - column) * 2 + 8 + column] = static_cast<int8_t>(shifted - high_part * 128);
      }
    }
    out.scales(token)[group] = scale;
    out.sums(token)[group] = sum;
  }
}

}  // namespace sutra::kernels::scalar
