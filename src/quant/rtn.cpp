#include "quant/rtn.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/assert.h"
#include "base/half.h"
#include "kernels/rounding/rounding.h"

namespace sutra {
namespace {

constexpr float kSmallestRange = 1e-5f;

// std::nearbyint in the default mode: half to even.
float level(float value, float levels) { return std::clamp(std::nearbyint(value), 0.0f, levels); }

struct GroupScale {
  float scale;
  float zero;
};

GroupScale choose_scale(std::span<const float> group, const RoundingFormat& format, RtnRange range, float limit) {
  float low = 0, high = 0;
  if (range == RtnRange::kWithZero) {
    kernels::group_ranges({group.data(), group.size(), group.size(), nullptr, nullptr}, &low, &high);
  } else {
    const auto [least, largest] = std::ranges::minmax(group);
    low = least;
    high = largest;
  }
  low = std::max(low, -limit);
  high = std::min(high, limit);
  if (format.bits == 8) {
    return {f16_to_f32(f32_to_f16(std::max({-low, high, kSmallestRange}) / 127.0f)), 128.0f};
  }
  const float levels = format.levels();
  const float scale = std::max(high - low, kSmallestRange) / levels;
  return {scale, level(-std::nearbyint(low / scale), levels)};
}

// Added to a number it leaves a whole one, as nearbyint does, and that in the lowest bits: 1.5 · 2^23. Where it does not,
// beyond 2^22, the number is far outside of the levels. Without a call and a conversion the compiler vectorises the loop.
constexpr float kRound = 12582912.0f;

void round_group(std::span<const float> group, GroupScale scale, const RoundingFormat& format, uint8_t* out) {
  const float bottom = kRound + (format.lowest() - scale.zero), top = kRound + (format.levels() - scale.zero);
  for (size_t k = 0; k < group.size(); ++k) {
    const float whole = group[k] / scale.scale + kRound;
    const float above = whole > bottom ? whole : bottom;
    out[k] = static_cast<uint8_t>(std::bit_cast<uint32_t>((above < top ? above : top) + scale.zero));
  }
}

// Calls round(group's weights, scale, its numbers) for each group.
template <class Round>
Q4Integers choose_scales(std::span<const float> weights, size_t n_out, size_t n_in, const RoundingFormat& format,
                         std::span<const float> limits, ThreadPool* pool, RtnRange range, const Round& round) {
  SUTRA_ASSERT(weights.size() == n_out * n_in);
  Q4Integers out;
  out.n_rows = n_out;
  out.n_cols = n_in;
  const size_t group_size = format.group_size;
  out.group_size = group_size;
  out.bits = format.bits == 8 ? 8 : 4;  // 3 bits lie in 4
  const size_t n_groups = out.n_groups();
  SUTRA_ASSERT(limits.empty() || limits.size() == n_out * n_groups);
  out.nibbles.resize(n_out * n_in);
  out.zeros.resize(n_out * n_groups);
  out.scales.resize(n_out * n_groups);
  const auto of_rows = [&](size_t first_row, size_t last_row) {
    for (size_t group = first_row * n_groups; group < last_row * n_groups; ++group) {
      const size_t first = group / n_groups * n_in + group % n_groups * group_size;
      const auto source = weights.subspan(first, std::min(group_size, n_in - group % n_groups * group_size));
      const float limit = limits.empty() ? std::numeric_limits<float>::infinity() : limits[group];
      const GroupScale scale = choose_scale(source, format, range, limit);
      round(source, scale, out.nibbles.data() + first);
      out.zeros[group] = static_cast<uint8_t>(scale.zero);
      out.scales[group] = f32_to_f16(scale.scale);
    }
  };
  if (pool == nullptr) {
    of_rows(0, n_out);
  } else {
    pool->parallel_for(n_out, 1, 8 * pool->size(), of_rows);
  }
  return out;
}

}  // namespace

Q4Integers quantize_rtn(std::span<const float> weights, size_t n_out, size_t n_in, const RoundingFormat& format,
                        std::span<const float> limits, ThreadPool* pool, RtnRange range) {
  return choose_scales(
      weights, n_out, n_in, format, limits, pool, range,
      [&](std::span<const float> group, GroupScale scale, uint8_t* out) { round_group(group, scale, format, out); });
}

Q4Integers rtn_grid(std::span<const float> weights, size_t n_out, size_t n_in, const RoundingFormat& format,
                    std::span<const float> limits, ThreadPool& pool) {
  return choose_scales(weights, n_out, n_in, format, limits, &pool, RtnRange::kWithZero,
                       [](std::span<const float>, GroupScale, uint8_t*) {});
}

}  // namespace sutra
