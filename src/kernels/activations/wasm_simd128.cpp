#include <wasm_simd128.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/activations/variants.h"

namespace sutra::kernels::simd128 {
namespace {

constexpr float kShift = 0x1.8p23f;  // adding it rounds |v| < 2^22 to an integer, half to even

v128_t max_bits(v128_t max, const float* x) {
  return wasm_i32x4_max(max, wasm_v128_and(wasm_v128_load(x), wasm_i32x4_const_splat(0x7fffffff)));
}

v128_t round4(const float* x, v128_t scale) {
  const v128_t shifted = wasm_f32x4_add(wasm_f32x4_div(wasm_v128_load(x), scale), wasm_f32x4_const_splat(kShift));
  return wasm_i32x4_sub(shifted, wasm_i32x4_splat(std::bit_cast<int32_t>(kShift)));
}

float group_scale(const float* x, size_t n, float levels) {
  v128_t max = wasm_i32x4_const_splat(0);
  size_t k = 0;
  for (; k + 4 <= n; k += 4) max = max_bits(max, x + k);
  if (k < n) {
    float rest[4] = {};
    std::memcpy(rest, x + k, (n - k) * sizeof(float));
    max = max_bits(max, rest);
  }
  max = wasm_i32x4_max(max, wasm_i32x4_shuffle(max, max, 2, 3, 0, 1));
  max = wasm_i32x4_max(max, wasm_i32x4_shuffle(max, max, 1, 0, 3, 2));
  const float magnitude = wasm_f32x4_extract_lane(max, 0);
  if (!(magnitude <= std::numeric_limits<float>::max())) return std::numeric_limits<float>::quiet_NaN();
  const float scale = magnitude / levels;
  return scale < std::numeric_limits<float>::min() ? 0.0f : scale;
}

// Eight columns as pairs and bytes; returns their pair sums.
template <Precision P>
v128_t store8(v128_t xq, int16_t* pairs, int8_t* bytes) {
  if constexpr (P == Precision::kA14) {
    const v128_t shifted = wasm_i16x8_add(xq, wasm_i16x8_const_splat(kA14Offset));
    const v128_t high_part = wasm_u16x8_shr(shifted, 7);
    const v128_t low_part = wasm_v128_and(shifted, wasm_i16x8_const_splat(127));
    wasm_v128_store(pairs, xq);
    wasm_v128_store(bytes, wasm_i8x16_narrow_i16x8(high_part, low_part));
    return wasm_i32x4_dot_i16x8(xq, wasm_i16x8_const_splat(1));
  }
  wasm_v128_store(pairs, wasm_i16x8_shuffle(xq, xq, 0, 2, 4, 6, 1, 3, 5, 7));
  if constexpr (P == Precision::kA15) {
    const v128_t high_part = wasm_i16x8_shr(wasm_i16x8_add(xq, wasm_i16x8_const_splat(64)), 7);
    const v128_t low_part = wasm_i16x8_sub(xq, wasm_i16x8_shl(high_part, 7));
    wasm_v128_store(bytes, wasm_i8x16_narrow_i16x8(high_part, low_part));
  } else {
    wasm_v128_store64_lane(bytes, wasm_i8x16_narrow_i16x8(xq, xq), 0);
  }
  return wasm_i32x4_dot_i16x8(xq, wasm_i16x8_const_splat(1));
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
    v128_t sum = wasm_i32x4_const_splat(0);
    if (scale > 0.0f) {
      const v128_t scales = wasm_f32x4_splat(scale);
      size_t k = first;
      for (; k + 8 <= last; k += 8) {
        const v128_t xq = wasm_i16x8_narrow_i32x4(round4(x + k, scales), round4(x + k + 4, scales));
        sum = wasm_i32x4_add(sum, store8<P>(xq, pairs + k, bytes + k * kPlanes));
      }
      if (k < last) {
        float rest[8] = {};
        std::memcpy(rest, x + k, (last - k) * sizeof(float));
        const v128_t xq = wasm_i16x8_narrow_i32x4(round4(rest, scales), round4(rest + 4, scales));
        sum = wasm_i32x4_add(sum, store8<P>(xq, pairs + k, bytes + k * kPlanes));
      }
    } else {
      for (size_t k = first; k < last; k += 8) store8<P>(sum, pairs + k, bytes + k * kPlanes);
    }
    sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 0, 1));
    sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 1, 0, 3, 2));
    out.scales(token)[group] = scale;
    out.sums(token)[group] = wasm_i32x4_extract_lane(sum, 0);
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

}  // namespace sutra::kernels::simd128
