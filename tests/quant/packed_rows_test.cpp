// The row-by-row layouts, written here as their makers describe them, against the kernels' own packing of the same
// integers.
#include "quant/packed_rows.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "base/checked.h"
#include "kernels/q4_data.h"
#include "support/golden.h"

namespace sutra {
namespace {

using test::require_ok;
using test::value_of;

test::Q4Matrix random_matrix(size_t n_out, size_t n_in, size_t group_size) {
  test::Random random(n_out * 1000 + n_in);
  test::Q4Matrix m = test::random_q4(random, n_out, n_in, group_size);
  for (uint8_t& zero : m.zeros) zero = std::min<uint8_t>(zero, 15);
  test::repack(m);
  return m;
}

bool is_packed_like(const Q4Matrix& matrix, const test::Q4Matrix& expected) {
  const std::span<const std::byte> bytes(matrix.view().data, matrix.size_bytes());
  return matrix.group_size() == expected.group_size && std::ranges::equal(bytes, expected.packed.bytes());
}

Tensor words(size_t n_rows, size_t n_cols) { return value_of(Tensor::create(Dtype::kI32, {n_rows, n_cols})); }

void set_nibble(Tensor& tensor, size_t word, size_t index, uint32_t value) {
  tensor.as<uint32_t>()[word] |= value << (4 * index);
}

Tensor packed_rows(const test::Q4Matrix& m) {
  Tensor out = words(m.n_rows, div_up(m.n_cols, 8));
  for (size_t n = 0; n < m.n_rows; ++n) {
    for (size_t k = 0; k < m.n_cols; ++k) {
      set_nibble(out, n * div_up(m.n_cols, 8) + k / 8, k % 8, m.nibbles[n * m.n_cols + k]);
    }
  }
  return out;
}

WeightMap gemv(const test::Q4Matrix& m, size_t zeros_width) {
  Tensor qzeros = words(m.n_rows, zeros_width);
  Tensor scales = value_of(Tensor::create(Dtype::kF16, {m.n_rows, zeros_width * 8}));
  const size_t n_groups = m.n_groups();
  for (size_t n = 0; n < m.n_rows; ++n) {
    for (size_t g = 0; g < n_groups; ++g) {
      set_nibble(qzeros, n * zeros_width + g / 8, g % 8, m.zeros[n * n_groups + g]);
      scales.as<uint16_t>()[n * zeros_width * 8 + g] = m.scales[n * n_groups + g];
    }
  }
  WeightMap weights;
  require_ok(weights.insert("x.qweight", packed_rows(m)));
  require_ok(weights.insert("x.qzeros", std::move(qzeros)));
  require_ok(weights.insert("x.scales", std::move(scales)));
  return weights;
}

enum class Zeros : uint8_t { kPacked, kBytes, kNone };

WeightMap pack_quantized(const test::Q4Matrix& m, Zeros kind, Dtype scale_dtype) {
  const size_t n_groups = m.n_groups();
  WeightMap weights;
  require_ok(weights.insert("x.weight_packed", packed_rows(m)));
  Tensor shape = value_of(Tensor::create(Dtype::kI64, {2}));
  shape.as<int64_t>()[0] = static_cast<int64_t>(m.n_rows);
  shape.as<int64_t>()[1] = static_cast<int64_t>(m.n_cols);
  require_ok(weights.insert("x.weight_shape", std::move(shape)));
  Tensor scales = value_of(Tensor::create(scale_dtype, {m.n_rows, n_groups}));
  for (size_t i = 0; i < m.scales.size(); ++i) {
    if (scale_dtype == Dtype::kF32) scales.as<float>()[i] = f16_to_f32(m.scales[i]);
    if (scale_dtype == Dtype::kF16) scales.as<uint16_t>()[i] = m.scales[i];
  }
  require_ok(weights.insert("x.weight_scale", std::move(scales)));
  if (kind == Zeros::kNone) return weights;
  Tensor zeros = kind == Zeros::kPacked ? words(div_up(m.n_rows, 8), n_groups)
                                        : value_of(Tensor::create(Dtype::kI8, {m.n_rows, n_groups}));
  for (size_t n = 0; n < m.n_rows; ++n) {
    for (size_t g = 0; g < n_groups; ++g) {
      const uint8_t zero = m.zeros[n * n_groups + g];
      if (kind == Zeros::kPacked) set_nibble(zeros, n / 8 * n_groups + g, n % 8, zero);
      if (kind == Zeros::kBytes) zeros.as<int8_t>()[n * n_groups + g] = static_cast<int8_t>(zero - 8);
    }
  }
  require_ok(weights.insert("x.weight_zero_point", std::move(zeros)));
  return weights;
}

}  // namespace

TEST_CASE("a matrix in AutoAWQ's gemv layout is repacked, at every group size") {
  struct Case {
    size_t n_out, n_in, group_size, zeros_width;
  };
  // The widths are those of AutoAWQ's own rule for these sizes.
  for (const auto& [n_out, n_in, group_size, zeros_width] :
       {Case{16, 128, 128, 1}, {40, 512, 64, 2}, {24, 320, 32, 4}, {8, 1152, 128, 2}, {17, 1280, 64, 4}}) {
    CAPTURE(n_out, n_in, group_size);
    const test::Q4Matrix m = random_matrix(n_out, n_in, group_size);
    WeightMap weights = gemv(m, zeros_width);
    CHECK(is_packed_like(value_of(take_gemv(weights, "x", n_out, n_in, group_size)), m));
    CHECK(weights.names().empty());
  }
}

TEST_CASE("a matrix of compressed-tensors is repacked, with every kind of zero points and at ragged edges") {
  for (const Zeros kind : {Zeros::kPacked, Zeros::kBytes, Zeros::kNone}) {
    for (const Dtype dtype : {Dtype::kF16, Dtype::kF32}) {
      for (const auto& [n_out, n_in, group_size] :
           {std::tuple{16, 128, 128}, std::tuple{40, 200, 64}, std::tuple{21, 61, 32}}) {
        CAPTURE(static_cast<int>(kind), n_out, n_in, group_size);
        test::Q4Matrix m =
            random_matrix(static_cast<size_t>(n_out), static_cast<size_t>(n_in), static_cast<size_t>(group_size));
        if (kind == Zeros::kNone) std::ranges::fill(m.zeros, uint8_t{8});
        test::repack(m);
        WeightMap weights = pack_quantized(m, kind, dtype);
        CHECK(is_packed_like(value_of(take_pack_quantized(weights, "x", m.n_rows, m.n_cols, m.group_size)), m));
        CHECK(weights.names().empty());
      }
    }
  }
}

TEST_CASE("larger groups of a file, or one a row, become several of the kernels'") {
  test::Q4Matrix m = random_matrix(16, 384, 128);
  for (size_t n = 0; n < 16; ++n) {
    for (size_t g = 1; g < 3; ++g) {
      m.scales[n * 3 + g] = m.scales[n * 3];
      m.zeros[n * 3 + g] = m.zeros[n * 3];
    }
  }
  test::repack(m);
  test::Q4Matrix wide{16, 384, 384, m.nibbles, {}, {}, {}, {}};
  for (size_t n = 0; n < 16; ++n) {
    wide.scales.push_back(m.scales[n * 3]);
    wide.zeros.push_back(m.zeros[n * 3]);
  }
  for (const size_t group_size : {size_t{384}, size_t{0}}) {
    WeightMap weights = pack_quantized(wide, Zeros::kPacked, Dtype::kF16);
    CHECK(is_packed_like(value_of(take_pack_quantized(weights, "x", 16, 384, group_size)), m));
  }
}

TEST_CASE("parts that do not fit the stated matrix are named") {
  const test::Q4Matrix m = random_matrix(16, 128, 64);
  const auto check = [](const Result<Q4Matrix>& result, ErrorCode code, std::string_view name) {
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == code);
    CHECK(result.error().message.find(name) != std::string::npos);
  };
  WeightMap rows = gemv(m, 2);
  check(take_gemv(rows, "x", 32, 128, 64), ErrorCode::kShapeMismatch, "x.qweight");
  check(take_gemv(rows, "y", 16, 128, 64), ErrorCode::kNotFound, "y.qweight");
  check(take_gemv(rows, "x", 16, 130, 64), ErrorCode::kShapeMismatch, "130 inputs");
  WeightMap packed = pack_quantized(m, Zeros::kPacked, Dtype::kF16);
  check(take_pack_quantized(packed, "x", 16, 64, 64), ErrorCode::kShapeMismatch, "x.weight_shape");
  WeightMap huge = pack_quantized(m, Zeros::kNone, Dtype::kF32);
  Tensor scales = value_of(huge.take("x.weight_scale"));
  scales.as<float>()[3] = 1e6f;
  require_ok(huge.insert("x.weight_scale", std::move(scales)));
  check(take_pack_quantized(huge, "x", 16, 128, 64), ErrorCode::kNonFinite, "x.weight_scale");
  WeightMap odd = pack_quantized(m, Zeros::kNone, Dtype::kF16);
  check(take_pack_quantized(odd, "x", 16, 128, 48), ErrorCode::kShapeMismatch, "x.weight_scale");
  CHECK(kernel_group_size(48, 128).error().code == ErrorCode::kUnsupported);
}

}  // namespace sutra
