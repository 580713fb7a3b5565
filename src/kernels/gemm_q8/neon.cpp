// AArch64 with the dot-product instructions (sdot): the activations' 7-bit planes (A14) are signed bytes too.
#include <arm_neon.h>

#include "kernels/gemm_q8/variants.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::neon {
namespace {

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 4;

  static const std::byte* unpack(const std::byte* blocks, size_t, std::byte*) { return blocks; }

  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q8View, kTokens>& args, float* out) {
    // At most 16 accumulators of the 32 registers.
    constexpr size_t kVectors = kTokens == 4 ? 2 : 4;
    const std::byte* const end = args.tail;
    for (size_t v0 = 0; v0 < 4; v0 += kVectors) {
      int32x4_t high[kTokens][kVectors] = {};
      int32x4_t low[kTokens][kVectors] = {};
      size_t at = args.first * 2;
      for (const std::byte* block = args.blocks; block < end; block += Q8View::kBlockBytes, at += 16) {
        for (size_t v = 0; v < kVectors; ++v) {
          const auto* weights = reinterpret_cast<const int8_t*>(block) + (v0 + v) * 16;
          const int8x16_t even = vld1q_s8(weights);
          const int8x16_t odd = vld1q_s8(weights + 64);
          for (size_t t = 0; t < kTokens; ++t) {
            const int8x8_t x_high = vld1_s8(args.x.bytes[t] + at);
            const int8x8_t x_low = vld1_s8(args.x.bytes[t] + at + 8);
            high[t][v] = vdotq_lane_s32(vdotq_lane_s32(high[t][v], even, x_high, 0), odd, x_high, 1);
            low[t][v] = vdotq_lane_s32(vdotq_lane_s32(low[t][v], even, x_low, 0), odd, x_low, 1);
          }
        }
      }
      const auto* scales = reinterpret_cast<const float*>(end);
      const auto* offsets = reinterpret_cast<const int32_t*>(end + Q8View::kTileRows * sizeof(float));
      for (size_t v = 0; v < kVectors; ++v) {
        const size_t row = (v0 + v) * 4;
        for (size_t t = 0; t < kTokens; ++t) {
          const int32x4_t sum = vaddq_s32(vshlq_n_s32(high[t][v], 7), low[t][v]);
          const float32x4_t integer = vcvtq_f32_s32(vsubq_s32(sum, vld1q_s32(offsets + row)));
          const float32x4_t scale = vmulq_n_f32(vld1q_f32(scales + row), args.x.scales[t][args.group]);
          // Two roundings, never vmlaq: fused forms give other bits.
          float* y = out + t * Q8View::kTileRows + row;
          vst1q_f32(y, vaddq_f32(vld1q_f32(y), vmulq_f32(integer, scale)));
        }
      }
    }
  }
};

}  // namespace

void gemm_q8(const Q8View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  multiply_rows<Inner, Precision::kA14>(w, x, first_row, last_row, y, y_stride);
}

}  // namespace sutra::kernels::neon
