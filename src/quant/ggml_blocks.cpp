#include "quant/ggml_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "base/half.h"
#include "tensor/finite.h"

namespace sutra {
namespace {

uint32_t byte_at(const std::byte* bytes, size_t i) { return std::to_integer<uint32_t>(bytes[i]); }

float half_at(const std::byte* bytes) {
  uint16_t half = 0;
  std::memcpy(&half, bytes, sizeof half);
  return f16_to_f32(half);
}

float int8_at(const std::byte* bytes, size_t i) { return static_cast<float>(static_cast<int8_t>(byte_at(bytes, i))); }

// Q4_0 to Q5_1: scale, offset, and the integers' fifth bits where there are any.
struct Plain {
  bool has_min, has_fifth_bit;
};

template <Plain kForm>
void dequantize_plain(const std::byte* block, float* out) {
  const float d = half_at(block);
  block += sizeof(uint16_t);
  float m = 0;
  if constexpr (kForm.has_min) {
    m = half_at(block);
    block += sizeof(uint16_t);
  }
  uint32_t high = 0;
  if constexpr (kForm.has_fifth_bit) {
    std::memcpy(&high, block, sizeof high);
    block += sizeof high;
  }
  constexpr int kZero = kForm.has_min ? 0 : kForm.has_fifth_bit ? 16 : 8;
  for (size_t i = 0; i < 32; ++i) {
    const uint32_t low = i < 16 ? byte_at(block, i) & 15u : byte_at(block, i - 16) >> 4u;
    const int q = static_cast<int>(low | (high >> i & 1u) << 4u) - kZero;
    out[i] = kForm.has_min ? static_cast<float>(q) * d + m : static_cast<float>(q) * d;
  }
}

void dequantize_q8_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (size_t i = 0; i < 32; ++i) out[i] = int8_at(block + sizeof(uint16_t), i) * d;
}

// s_j and t_j of Q4_K and Q5_K.
struct ScaleMin {
  float scale, min;
};
ScaleMin scale_min(const std::byte* bytes, size_t j) {
  if (j < 4) return {static_cast<float>(byte_at(bytes, j) & 63u), static_cast<float>(byte_at(bytes, j + 4) & 63u)};
  const uint32_t scale = (byte_at(bytes, j + 4) & 15u) | (byte_at(bytes, j - 4) >> 6u) << 4u;
  const uint32_t min = (byte_at(bytes, j + 4) >> 4u) | (byte_at(bytes, j) >> 6u) << 4u;
  return {static_cast<float>(scale), static_cast<float>(min)};
}

template <bool kHasFifthBit>
void dequantize_q45_k(const std::byte* block, float* out) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const std::byte* const scales = block + 4;
  const std::byte* const high = block + 16;
  const std::byte* const low = high + (kHasFifthBit ? 32 : 0);
  for (size_t j = 0; j < 8; ++j) {
    const ScaleMin run = scale_min(scales, j);
    const float scale = d * run.scale, min = dmin * run.min;
    for (size_t i = 0; i < 32; ++i) {
      const uint32_t both = byte_at(low, j / 2 * 32 + i);
      uint32_t q = j % 2 == 0 ? both & 15u : both >> 4u;
      if constexpr (kHasFifthBit) q |= (byte_at(high, i) >> j & 1u) << 4u;
      out[j * 32 + i] = scale * static_cast<float>(q) - min;
    }
  }
}

void dequantize_q6_k(const std::byte* block, float* out) {
  const std::byte* const scales = block + 192;
  const float d = half_at(block + 208);
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128, c = i % 128 / 32, place = i % 32;
    const uint32_t both = byte_at(block, half * 64 + c % 2 * 32 + place);
    const uint32_t low = c < 2 ? both & 15u : both >> 4u;
    const uint32_t high = byte_at(block + 128, half * 32 + place) >> (2 * c) & 3u;
    const float scale = d * int8_at(scales, i / 16);
    out[i] = scale * static_cast<float>(static_cast<int>(low | high << 4u) - 32);
  }
}

using Dequantize = void (*)(const std::byte* block, float* out);

Dequantize function_for(Dtype dtype) {
  switch (dtype) {
    case Dtype::kQ4_0: return dequantize_plain<Plain{false, false}>;
    case Dtype::kQ4_1: return dequantize_plain<Plain{true, false}>;
    case Dtype::kQ5_0: return dequantize_plain<Plain{false, true}>;
    case Dtype::kQ5_1: return dequantize_plain<Plain{true, true}>;
    case Dtype::kQ8_0: return dequantize_q8_0;
    case Dtype::kQ4_K: return dequantize_q45_k<false>;
    case Dtype::kQ5_K: return dequantize_q45_k<true>;
    case Dtype::kQ6_K: return dequantize_q6_k;
    default: return nullptr;
  }
}

// Stores d and returns 1 / d, or 0 where that may be infinite.
float put_scale(float d, std::byte* block) {
  const uint16_t half = f32_to_f16(d);
  std::memcpy(block, &half, sizeof half);
  return std::fabs(d) >= std::numeric_limits<float>::min() ? 1.0f / d : 0.0f;
}

float largest_of(const float* values) {
  return *std::max_element(values, values + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

void quantize_q8_0(const float* values, std::byte* block) {
  const float inverse = put_scale(std::fabs(largest_of(values)) / 127.0f, block);
  for (size_t i = 0; i < 32; ++i) {
    block[sizeof(uint16_t) + i] = static_cast<std::byte>(static_cast<int8_t>(std::round(values[i] * inverse)));
  }
}

void quantize_q4_0(const float* values, std::byte* block) {
  const float inverse = put_scale(largest_of(values) / -8.0f, block);
  const auto nibble = [&](float value) {
    return std::min(static_cast<unsigned>(value * inverse + 8.5f), 15u);  // −8…8, half up
  };
  for (size_t i = 0; i < 16; ++i) {
    block[sizeof(uint16_t) + i] = static_cast<std::byte>(nibble(values[i]) | nibble(values[i + 16]) << 4u);
  }
}

// Where the binary16 scales of a block are: its first bytes, or the last two.
std::span<std::byte> scales_of(Dtype dtype, std::span<std::byte> block) {
  switch (dtype) {
    case Dtype::kQ4_1:
    case Dtype::kQ5_1:
    case Dtype::kQ4_K:
    case Dtype::kQ5_K: return block.first(2 * sizeof(uint16_t));
    case Dtype::kQ6_K: return block.last(sizeof(uint16_t));
    default: return block.first(sizeof(uint16_t));
  }
}

// Elements of T.
template <class T, class Widen, class Narrow>
Status scale_elements(std::span<std::byte> bytes, int exponent, const Widen& to_float, const Narrow& from_float) {
  for (; !bytes.empty(); bytes = bytes.subspan(sizeof(T))) {
    T stored{};
    std::memcpy(&stored, bytes.data(), sizeof(T));
    const auto before = to_float(stored);
    stored = from_float(std::ldexp(before, exponent));
    if (std::isfinite(before) && !std::isfinite(to_float(stored))) {
      return fail(ErrorCode::kNonFinite, static_cast<double>(before), " times 2^", exponent, " is too large");
    }
    std::memcpy(bytes.data(), &stored, sizeof(T));
  }
  return {};
}

Status scale_halves(std::span<std::byte> bytes, int exponent) {
  return scale_elements<uint16_t>(bytes, exponent, f16_to_f32, f32_to_f16);
}

}  // namespace

void dequantize_blocks(Dtype dtype, std::span<const std::byte> blocks, std::span<float> out) {
  const Dequantize dequantize = function_for(dtype);
  const BlockSize size = block_size(dtype);
  SUTRA_ASSERT(dequantize != nullptr && out.size() % size.n_elements == 0);
  SUTRA_ASSERT(blocks.size() == out.size() / size.n_elements * size.n_bytes);
  for (size_t i = 0; i < out.size() / size.n_elements; ++i) {
    dequantize(blocks.data() + i * size.n_bytes, out.data() + i * size.n_elements);
  }
}

void quantize_blocks(Dtype dtype, std::span<const float> values, std::span<std::byte> out) {
  const BlockSize size = block_size(dtype);
  SUTRA_ASSERT(can_quantize_blocks(dtype) && values.size() % size.n_elements == 0);
  SUTRA_ASSERT(out.size() == values.size() / size.n_elements * size.n_bytes);
  for (size_t i = 0; i < values.size() / size.n_elements; ++i) {
    const float* const from = values.data() + i * size.n_elements;
    std::byte* const to = out.data() + i * size.n_bytes;
    dtype == Dtype::kQ8_0 ? quantize_q8_0(from, to) : quantize_q4_0(from, to);
  }
}

Q4KRun q4_k_run(const std::byte* block, size_t run) {
  const ScaleMin integers = scale_min(block + 4, run);
  return {half_at(block) * integers.scale, half_at(block + 2) * integers.min, block + 16 + run / 2 * 32};
}

Result<Tensor> widen(const TensorView& source) {
  if (!is_block(source.dtype)) return to_f32(source);
  SUTRA_ASSIGN(Tensor wide, Tensor::create(Dtype::kF32, source.shape, Contents::kUndefined));
  dequantize_blocks(source.dtype, source.bytes, wide.as<float>());
  if (const auto element = first_non_finite(wide.view())) {
    return fail(ErrorCode::kNonFinite, "a ", dtype_name(source.dtype), " tensor of shape ", source.shape.to_string(),
                " has NaN or infinity at element ", *element);
  }
  return wide;
}

Status scale_by_power_of_2(Tensor& tensor, int exponent) {
  const auto same = [](auto value) { return value; };
  switch (tensor.dtype()) {
    case Dtype::kF64: return scale_elements<double>(tensor.bytes(), exponent, same, same);
    case Dtype::kF32: return scale_elements<float>(tensor.bytes(), exponent, same, same);
    case Dtype::kF16: return scale_halves(tensor.bytes(), exponent);
    case Dtype::kBF16: return scale_elements<uint16_t>(tensor.bytes(), exponent, bf16_to_f32, f32_to_bf16);
    default: break;
  }
  if (!is_block(tensor.dtype())) {
    return fail(ErrorCode::kDtypeMismatch, dtype_name(tensor.dtype()), " values are not scaled");
  }
  const size_t block_bytes = block_size(tensor.dtype()).n_bytes;
  for (size_t at = 0; at < tensor.bytes().size(); at += block_bytes) {
    SUTRA_TRY(scale_halves(scales_of(tensor.dtype(), tensor.bytes().subspan(at, block_bytes)), exponent));
  }
  return {};
}

}  // namespace sutra
