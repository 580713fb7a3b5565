// The AWQ "gemm" layout against AutoAWQ's own packing (shared golden/awq, copied for g32).
#include "quant/awq_format.h"

#include <catch2/catch_test_macros.hpp>

#include "base/half.h"
#include "support/golden.h"

namespace sutra {
namespace {

using test::value_of;

// q [N, K], zeros and scales transposed from the golden's [G, N].
Q4Integers integers_of(const TensorMap& golden, size_t group_size) {
  const Tensor& q = *golden.find("q");
  Q4Integers m;
  m.n_rows = q.shape()[0];
  m.n_cols = q.shape()[1];
  m.group_size = group_size;
  for (const int32_t value : q.as<int32_t>()) m.nibbles.push_back(static_cast<uint8_t>(value));
  const auto zeros = golden.find("zeros")->as<int32_t>();
  const auto scales = golden.find("scales")->as<uint16_t>();
  for (size_t row = 0; row < m.n_rows; ++row) {
    for (size_t group = 0; group < m.n_groups(); ++group) {
      m.zeros.push_back(static_cast<uint8_t>(zeros[group * m.n_rows + row]));
      m.scales.push_back(scales[group * m.n_rows + row]);
    }
  }
  return m;
}

void check_pack(const std::string& path, size_t group_size) {
  TensorMap golden = test::load_tensors(path);
  const Q4Integers m = integers_of(golden, group_size);
  const AwqTensors packed = value_of(to_awq(m));
  CHECK(std::ranges::equal(packed.qweight.bytes(), golden.find("qweight")->bytes()));
  CHECK(std::ranges::equal(packed.qzeros.bytes(), golden.find("qzeros")->bytes()));
  CHECK(std::ranges::equal(packed.scales.bytes(), golden.find("scales")->bytes()));

  const Q4Matrix matrix = value_of(repack_awq(packed, m.n_rows, m.n_cols, group_size, "golden"));
  const auto dequant = golden.find("dequant")->as<float>();
  std::vector<float> row(m.n_cols);
  for (size_t r = 0; r < m.n_rows; ++r) {
    kernels::unpack_row_q4(matrix.view(), r, row.data());
    CHECK(std::ranges::equal(row, dequant.subspan(r * m.n_cols, m.n_cols)));
    m.dequantize_row(r, row.data());
    CHECK(std::ranges::equal(row, dequant.subspan(r * m.n_cols, m.n_cols)));
  }
}

}  // namespace

TEST_CASE("AWQ packing is AutoAWQ's, bit for bit, both ways") {
  check_pack(test::golden_path("awq-pack-g32/vectors.safetensors"), 32);
}

TEST_CASE("AWQ packing is AutoAWQ's for groups of 64 and 128 and at the edges (shared data)") {
  for (const auto& [name, group_size] : {std::pair{"pack-g64", 64}, {"pack-g128", 128}, {"pack-edge", 32}}) {
    CAPTURE(name);
    const auto path = test::shared_path(concat("golden/awq/", name, "/vectors.safetensors"));
    if (!path) SKIP("needs the shared golden data");
    check_pack(*path, static_cast<size_t>(group_size));
  }
}

TEST_CASE("8 bits lie in words as vLLM orders them, and the kernels hold them exactly") {
  // Outputs 0…7 of two inputs; the third byte of a word is output 1, the second output 2.
  Q4Integers m;
  m.n_rows = 8;
  m.n_cols = 2;
  m.group_size = 32;
  m.bits = 8;
  for (uint8_t row = 0; row < 8; ++row) {
    m.nibbles.push_back(static_cast<uint8_t>(16 * row + 1));
    m.nibbles.push_back(255);  // the largest, so that the kernels' scale is this one
    m.zeros.push_back(128);
    m.scales.push_back(f32_to_f16(0.5f));
  }
  const AwqTensors packed = value_of(to_awq(m));
  CHECK(packed.qweight.shape() == Shape{2, 2});
  CHECK(packed.qweight.as<uint32_t>()[0] == 0x31112101u);
  CHECK(packed.qweight.as<uint32_t>()[1] == 0x71516141u);
  CHECK(packed.qzeros.as<uint32_t>()[0] == 0x80808080u);
  const Tensor wide = value_of(widen_awq_bytes(packed, "x"));
  const Q8Matrix matrix = value_of(repack_awq_bytes(packed, "x"));
  for (size_t row = 0; row < 8; ++row) {
    std::array<float, 2> kernel{};
    kernels::unpack_row_q8(matrix.view(), row, kernel.data());
    for (const float* values : {wide.as<float>().data() + row * 2, static_cast<const float*>(kernel.data())}) {
      CHECK(values[0] == 0.5f * (16.0f * static_cast<float>(row) + 1 - 128));
      CHECK(values[1] == 63.5f);
    }
  }
}

TEST_CASE("AWQ packing refuses outputs that do not fill a word") {
  Q4Integers m;
  m.n_rows = 12;
  m.n_cols = 32;
  m.group_size = 32;
  m.nibbles.resize(12 * 32);
  m.zeros.resize(12);
  m.scales.resize(12);
  const auto packed = to_awq(m);
  REQUIRE_FALSE(packed);
  CHECK(packed.error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("a packed matrix with an infinite scale is refused by name") {
  AwqTensors tensors;
  tensors.qweight = value_of(Tensor::create(Dtype::kI32, awq_qweight_shape(8, 32)));
  tensors.qzeros = value_of(Tensor::create(Dtype::kI32, awq_qzeros_shape(8, 32, 32)));
  tensors.scales = value_of(Tensor::create(Dtype::kF16, awq_scales_shape(8, 32, 32)));
  tensors.scales.as<uint16_t>()[3] = 0x7c00;
  const auto matrix = repack_awq(tensors, 8, 32, 32, "attn.key");
  REQUIRE_FALSE(matrix);
  CHECK(matrix.error().code == ErrorCode::kNonFinite);
  CHECK(matrix.error().message.find("attn.key") != std::string::npos);
}

}  // namespace sutra
