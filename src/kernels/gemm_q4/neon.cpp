// AArch64 with the dot-product instructions (sdot): weights 0…15 are signed bytes as well as unsigned ones.
#include <arm_neon.h>

#include "kernels/gemm_q4/variants.h"
#include "kernels/tile_loop.h"

namespace sutra::kernels::neon {
namespace {

int8x16_t load_packed(const std::byte* at) {
  return vreinterpretq_s8_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(at)));
}

float32x4_t widen_halves(const std::byte* at) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const uint16_t*>(at))));
}

struct Inner {
  template <Precision P>
  static constexpr size_t kTokenTile = 4;

  static const std::byte* unpack(const std::byte* blocks, size_t, std::byte*) { return blocks; }

  template <Precision P, size_t kTokens>
  static void group(const GroupArgs<Q4View, kTokens>& args, float* out) {
    constexpr size_t kPlanes = P == Precision::kA15 ? 2 : 1;
    // Row vectors in one pass: at most 16 accumulators of the 32 registers.
    constexpr size_t kVectors = 16 / (kTokens * kPlanes) < 4 ? 16 / (kTokens * kPlanes) : 4;
    const std::byte* tail = args.tail;
    const std::byte* second = tail + kQ4ScaleBytes;
    const bool has_zeros = args.w.form == Q4Form::kZeros;
    for (size_t v0 = 0; v0 < 4; v0 += kVectors) {
      int32x4_t sum[kTokens][kPlanes][kVectors] = {};
      for (size_t block = 0; block < args.n_blocks; ++block) {
        const size_t k = args.first + block * kQ4BlockColumns;
        int8x16_t even[kVectors];
        int8x16_t odd[kVectors];
        for (size_t v = 0; v < kVectors; ++v) {
          const int8x16_t packed = load_packed(args.blocks + block * kQ4BlockBytes + (v0 + v) * 16);
          even[v] = vandq_s8(packed, vdupq_n_s8(15));
          odd[v] = vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(packed), 4));
        }
        for (size_t t = 0; t < kTokens; ++t) {
          for (size_t p = 0; p < kPlanes; ++p) {
            const int8x8_t x = vld1_s8(args.x.bytes[t] + k * kPlanes + p * 8);
            for (size_t v = 0; v < kVectors; ++v) {
              sum[t][p][v] = vdotq_lane_s32(vdotq_lane_s32(sum[t][p][v], even[v], x, 0), odd[v], x, 1);
            }
          }
        }
      }
      for (size_t v = 0; v < kVectors; ++v) {
        const float32x4_t scales = widen_halves(tail + (v0 + v) * 8);
        const float32x4_t offsets = has_zeros ? vdupq_n_f32(0) : widen_halves(second + (v0 + v) * 8);
        uint32_t zero_bytes = 0;
        if (has_zeros) std::memcpy(&zero_bytes, second + (v0 + v) * 4, sizeof zero_bytes);
        const uint16x8_t zeros_16 = vmovl_u8(vcreate_u8(zero_bytes));
        const int32x4_t zeros = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(zeros_16)));
        for (size_t t = 0; t < kTokens; ++t) {
          int32x4_t total = sum[t][0][v];
          if constexpr (kPlanes == 2) total = vaddq_s32(vshlq_n_s32(total, 7), sum[t][1][v]);
          const int32x4_t integer = vmlsq_n_s32(total, zeros, args.x.sums[t][args.group]);
          const float x_scale = args.x.scales[t][args.group];
          // Two roundings, never vmlaq: fused forms give other bits.
          float* y = out + t * kQ4TileRows + (v0 + v) * 4;
          float32x4_t result = vaddq_f32(vld1q_f32(y), vmulq_f32(vcvtq_f32_s32(integer), vmulq_n_f32(scales, x_scale)));
          if (!has_zeros) {
            const float x_total = static_cast<float>(args.x.sums[t][args.group]) * x_scale;
            result = vaddq_f32(result, vmulq_n_f32(offsets, x_total));
          }
          vst1q_f32(y, result);
        }
      }
    }
  }
};

}  // namespace

void gemm_q4(const Q4View& w, const Activations& x, size_t first_row, size_t last_row, float* y, size_t y_stride) {
  if (x.precision == Precision::kA15) {
    multiply_rows<Inner, Precision::kA15>(w, x, first_row, last_row, y, y_stride);
  } else {
    multiply_rows<Inner, Precision::kA8>(w, x, first_row, last_row, y, y_stride);
  }
}

}  // namespace sutra::kernels::neon
