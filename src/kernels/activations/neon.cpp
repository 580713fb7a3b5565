#include <arm_neon.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/activations/variants.h"

namespace sutra::kernels::neon {
namespace {

constexpr float kShift = 0x1.8p23f;  // adding it rounds |v| < 2^22 to an integer, half to even

uint32x4_t max_bits(uint32x4_t max, const float* x) {
  return vmaxq_u32(max, vandq_u32(vreinterpretq_u32_f32(vld1q_f32(x)), vdupq_n_u32(0x7fffffffu)));
}

float group_scale(const float* x, size_t n, float levels) {
  uint32x4_t max = vdupq_n_u32(0);
  size_t k = 0;
  for (; k + 4 <= n; k += 4) max = max_bits(max, x + k);
  if (k < n) {
    float rest[4] = {};
    std::memcpy(rest, x + k, (n - k) * sizeof(float));
    max = max_bits(max, rest);
  }
  const float magnitude = std::bit_cast<float>(vmaxvq_u32(max));
  if (!(magnitude <= std::numeric_limits<float>::max())) return std::numeric_limits<float>::quiet_NaN();
  const float scale = magnitude / levels;
  return scale < std::numeric_limits<float>::min() ? 0.0f : scale;
}

int16x4_t round4(const float* x, float32x4_t scale) {
  const float32x4_t shifted = vaddq_f32(vdivq_f32(vld1q_f32(x), scale), vdupq_n_f32(kShift));
  return vmovn_s32(vsubq_s32(vreinterpretq_s32_f32(shifted), vreinterpretq_s32_f32(vdupq_n_f32(kShift))));
}

// Eight columns as pairs and bytes; returns their sum.
template <Precision P>
int32_t store8(int16x8_t xq, int16_t* pairs, int8_t* bytes) {
  if constexpr (P == Precision::kA14) {
    const int16x8_t shifted = vaddq_s16(xq, vdupq_n_s16(kA14Offset));
    const int8x8_t high_part = vmovn_s16(vshrq_n_s16(shifted, 7));
    const int8x8_t low_part = vmovn_s16(vandq_s16(shifted, vdupq_n_s16(127)));
    vst1q_s16(pairs, xq);
    vst1q_s8(bytes, vcombine_s8(high_part, low_part));
    return vaddlvq_s16(xq);
  }
  vst1q_s16(pairs, vuzp1q_s16(xq, vextq_s16(xq, xq, 1)));  // columns 0 2 4 6 1 3 5 7
  if constexpr (P == Precision::kA15) {
    const int16x8_t high_part = vshrq_n_s16(vaddq_s16(xq, vdupq_n_s16(64)), 7);
    const int16x8_t low_part = vsubq_s16(xq, vshlq_n_s16(high_part, 7));
    vst1q_s8(bytes, vcombine_s8(vmovn_s16(high_part), vmovn_s16(low_part)));
  } else {
    vst1_s8(bytes, vmovn_s16(xq));
  }
  return vaddlvq_s16(xq);
}

template <Precision P>
void quantize(const float* x, const Activations& out, size_t token) {
  constexpr size_t kPlanes = activation_planes(P);
  int16_t* pairs = out.pairs(token);
  int8_t* bytes = out.bytes(token);
  for (size_t group = 0; group < out.n_groups(); ++group) {
    const size_t first = group * out.group_size;
    const size_t last = std::min(first + out.group_size, out.n_cols);
    const float scale = group_scale(x + first, last - first, activation_levels(P));
    int32_t sum = 0;
    if (scale > 0.0f) {
      const float32x4_t scales = vdupq_n_f32(scale);
      size_t k = first;
      for (; k + 8 <= last; k += 8) {
        sum +=
            store8<P>(vcombine_s16(round4(x + k, scales), round4(x + k + 4, scales)), pairs + k, bytes + k * kPlanes);
      }
      if (k < last) {
        float rest[8] = {};
        std::memcpy(rest, x + k, (last - k) * sizeof(float));
        sum += store8<P>(vcombine_s16(round4(rest, scales), round4(rest + 4, scales)), pairs + k, bytes + k * kPlanes);
      }
    } else {
      for (size_t k = first; k < last; k += 8) store8<P>(vdupq_n_s16(0), pairs + k, bytes + k * kPlanes);
    }
    out.scales(token)[group] = scale;
    out.sums(token)[group] = sum;
  }
}

}  // namespace

void quantize_activations(const float* x, const Activations& out, size_t token) {
  switch (out.precision) {
    case Precision::kA15: return quantize<Precision::kA15>(x, out, token);
    case Precision::kA8: return quantize<Precision::kA8>(x, out, token);
    case Precision::kA14: return quantize<Precision::kA14>(x, out, token);
  }
}

}  // namespace sutra::kernels::neon
