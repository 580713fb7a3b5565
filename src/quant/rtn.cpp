#include "quant/rtn.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"
#include "base/half.h"

namespace sutra {
namespace {

constexpr float kLevels = 15.0f;
constexpr float kSmallestRange = 1e-5f;

// std::nearbyint in the default mode: half to even.
float level(float value) { return std::clamp(std::nearbyint(value), 0.0f, kLevels); }

struct GroupScale {
  float scale;
  float zero;
};

GroupScale choose_scale(std::span<const float> group, RtnRange range) {
  auto [low, high] = std::ranges::minmax(group);
  if (range == RtnRange::kWithZero) {
    low = std::min(low, 0.0f);
    high = std::max(high, 0.0f);
  }
  const float scale = std::max(high - low, kSmallestRange) / kLevels;
  return {scale, level(-std::nearbyint(low / scale))};
}

}  // namespace

Q4Integers quantize_rtn(std::span<const float> weights, size_t n_out, size_t n_in, size_t group_size, RtnRange range) {
  SUTRA_ASSERT(weights.size() == n_out * n_in);
  Q4Integers out;
  out.n_rows = n_out;
  out.n_cols = n_in;
  out.group_size = group_size;
  out.nibbles.reserve(n_out * n_in);
  out.zeros.reserve(n_out * out.n_groups());
  out.scales.reserve(n_out * out.n_groups());
  for (size_t row = 0; row < n_out; ++row) {
    for (size_t first = 0; first < n_in; first += group_size) {
      const auto group = weights.subspan(row * n_in + first, std::min(group_size, n_in - first));
      const auto [scale, zero] = choose_scale(group, range);
      for (const float w : group) out.nibbles.push_back(static_cast<uint8_t>(level(std::nearbyint(w / scale) + zero)));
      out.zeros.push_back(static_cast<uint8_t>(zero));
      out.scales.push_back(f32_to_f16(scale));
    }
  }
  return out;
}

}  // namespace sutra
