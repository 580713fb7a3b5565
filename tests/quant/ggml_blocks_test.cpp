// GGUF's block types against gguf-py (tests/golden/gguf/README.md), and packed into the kernels' layouts.
#include "quant/ggml_blocks.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/half.h"
#include "io/gguf_support.h"
#include "quant/block_packer.h"
#include "quant/weight_map.h"
#include "support/golden.h"
#include "support/random.h"

namespace sutra {
namespace {

using test::require_ok;
using test::value_of;

constexpr Dtype kBlockTypes[] = {Dtype::kQ4_0, Dtype::kQ4_1, Dtype::kQ5_0, Dtype::kQ5_1,
                                 Dtype::kQ8_0, Dtype::kQ4_K, Dtype::kQ5_K, Dtype::kQ6_K};

TensorMap golden_blocks() { return value_of(test::load_gguf(test::read_bytes(test::golden_path("gguf/blocks.gguf")))); }

// The rows of the golden file again and again.
Tensor many_rows(const Tensor& blocks, size_t n_rows) {
  Tensor out = value_of(Tensor::create(blocks.dtype(), {n_rows, blocks.shape()[1]}));
  for (size_t i = 0; i < out.bytes().size(); ++i) out.bytes()[i] = blocks.bytes()[i % blocks.bytes().size()];
  return out;
}

std::vector<float> row_of(const BlockPacker::Matrix& matrix, size_t row) {
  std::vector<float> out(std::visit([](const auto& m) { return m.n_cols(); }, matrix));
  if (const auto* const q4 = std::get_if<Q4Matrix>(&matrix)) {
    kernels::unpack_row_q4(q4->view(), row, out.data());
  } else {
    kernels::unpack_row_q8(std::get<Q8Matrix>(matrix).view(), row, out.data());
  }
  return out;
}

Status feed(WeightSink& sink, const std::string& name, const Tensor& tensor, size_t chunk_bytes) {
  std::span<const std::byte> bytes = tensor.bytes();
  const TensorEntry entry{name, tensor.dtype(), tensor.shape(), 0, bytes.size()};
  SUTRA_TRY(sink.begin(entry));
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), chunk_bytes));
    SUTRA_TRY(sink.write(piece));
    bytes = bytes.subspan(piece.size());
  }
  return sink.end(entry);
}

}  // namespace

TEST_CASE("every block type gives gguf-py's values, bit for bit") {
  const TensorMap golden = golden_blocks();
  for (const Dtype dtype : kBlockTypes) {
    CAPTURE(dtype_name(dtype));
    const Tensor* const blocks = golden.find(std::string(dtype_name(dtype)));
    const Tensor* const expected = golden.find(concat(dtype_name(dtype), ".f32"));
    REQUIRE(blocks != nullptr);
    REQUIRE(expected != nullptr);
    CHECK(blocks->dtype() == dtype);
    CHECK(blocks->shape() == Shape{3, 512});
    const Tensor wide = value_of(widen(blocks->view()));
    CHECK(wide.shape() == blocks->shape());
    CHECK(std::ranges::equal(wide.bytes(), expected->bytes()));
  }
}

TEST_CASE("blocks and floats are scaled by powers of 2 without any other change") {
  const TensorMap golden = golden_blocks();
  for (const Dtype dtype : kBlockTypes) {
    CAPTURE(dtype_name(dtype));
    const Tensor& blocks = *golden.find(std::string(dtype_name(dtype)));
    Tensor scaled = many_rows(blocks, static_cast<size_t>(blocks.shape()[0]));
    require_ok(scale_by_power_of_2(scaled, 3));
    const Tensor before = value_of(widen(blocks.view())), after = value_of(widen(scaled.view()));
    CHECK(std::ranges::equal(before.as<float>(), after.as<float>(), [](float a, float b) { return 8 * a == b; }));
  }
  const std::vector<float> values = {0.0f, -0.75f, 1.5f, 1000.0f};
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kF16, Dtype::kBF16}) {
    CAPTURE(dtype_name(dtype));
    Tensor tensor = value_of(Tensor::create(dtype, {values.size()}));
    for (size_t i = 0; i < values.size(); ++i) {
      if (dtype == Dtype::kF64) tensor.as<double>()[i] = static_cast<double>(values[i]);
      if (dtype == Dtype::kF32) tensor.as<float>()[i] = values[i];
      if (dtype == Dtype::kF16) tensor.as<uint16_t>()[i] = f32_to_f16(values[i]);
      if (dtype == Dtype::kBF16) tensor.as<uint16_t>()[i] = f32_to_bf16(values[i]);
    }
    require_ok(scale_by_power_of_2(tensor, 6));
    const Tensor wide = value_of(widen(tensor.view()));
    const auto expected = [&](size_t i) {
      return 64 * (dtype == Dtype::kBF16 ? bf16_to_f32(f32_to_bf16(values[i])) : values[i]);
    };
    for (size_t i = 0; i < values.size(); ++i) CHECK(wide.as<float>()[i] == expected(i));
    if (dtype != Dtype::kF16) continue;
    const Status status = scale_by_power_of_2(tensor, 1);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().code == ErrorCode::kNonFinite);
  }
  Tensor integers = value_of(Tensor::create(Dtype::kI32, {4}));
  CHECK(scale_by_power_of_2(integers, 1).error().code == ErrorCode::kDtypeMismatch);
}

TEST_CASE("values become gguf-py's blocks, bit for bit") {
  const TensorMap golden = value_of(test::load_gguf(test::read_bytes(test::golden_path("gguf/quantized.gguf"))));
  const auto values = golden.find("values")->as<float>();
  for (const Dtype dtype : {Dtype::kQ4_0, Dtype::kQ8_0}) {
    CAPTURE(dtype_name(dtype));
    const Tensor& expected = *golden.find(dtype_name(dtype));
    std::vector<std::byte> blocks(expected.bytes().size());
    quantize_blocks(dtype, values, blocks);
    size_t n_different = 0;
    for (size_t i = 0; i < blocks.size(); ++i) n_different += size_t{blocks[i] != expected.bytes()[i]};
    CHECK(n_different == 0);
  }
}

// How far a packed weight may be from the block's own, where `largest` is the largest magnitude of its 128 columns: half a
// step of 8 bits, or, for Q4_K, what rounding the scale and the offset to binary16 makes of at most 15 steps and one.
float allowed_error(Dtype dtype, float largest) {
  switch (dtype) {
    case Dtype::kQ4_0:
    case Dtype::kQ4_1: return 0;
    case Dtype::kQ4_K: return 3 * largest * 0x1p-11f;
    default: return largest / 127 * 0.501f;
  }
}

TEST_CASE("Q4_0 and Q4_1 are packed exactly, every other block type within its bound, in pieces of any size") {
  const TensorMap golden = golden_blocks();
  for (const Dtype dtype : kBlockTypes) {
    for (const size_t n_rows : {size_t{16}, size_t{37}}) {
      const Tensor blocks = many_rows(*golden.find(std::string(dtype_name(dtype))), n_rows);
      const auto expected = golden.find(concat(dtype_name(dtype), ".f32"))->as<float>();
      for (const size_t chunk : {size_t{1}, size_t{1000}, blocks.bytes().size()}) {
        CAPTURE(dtype_name(dtype), n_rows, chunk);
        BlockPacker packer = value_of(BlockPacker::create(dtype, n_rows, 512));
        for (size_t at = 0; at < blocks.bytes().size(); at += chunk) {
          require_ok(packer.write(blocks.bytes().subspan(at, std::min(chunk, blocks.bytes().size() - at))));
        }
        const BlockPacker::Matrix matrix = packer.finish();
        CHECK(std::holds_alternative<Q4Matrix>(matrix) ==
              (dtype == Dtype::kQ4_0 || dtype == Dtype::kQ4_1 || dtype == Dtype::kQ4_K));
        float excess = 0;  // over what is allowed
        for (size_t row = 0; row < n_rows; ++row) {
          const std::vector<float> got = row_of(matrix, row);
          const auto want = expected.subspan(row % 3 * 512, 512);
          for (size_t first = 0; first < 512; first += 128) {
            float largest = 0;
            for (size_t k = first; k < first + 128; ++k) largest = std::max(largest, std::abs(want[k]));
            const float allowed = allowed_error(dtype, largest);
            for (size_t k = first; k < first + 128; ++k) {
              excess = std::max(excess, std::abs(got[k] - want[k]) - allowed);
            }
          }
        }
        CHECK(excess <= 0);
      }
    }
  }
}

TEST_CASE("rows past a Q4_0 matrix's last one are zero in the kernels' layout") {
  const TensorMap golden = golden_blocks();
  const Tensor blocks = many_rows(*golden.find("Q4_0"), 19);
  const auto matrix = value_of(pack_blocks(blocks.view()));
  const auto& q4 = std::get<Q4Matrix>(matrix);
  const auto as_rows = kernels::Q4View{q4.view().data, 32, 512, 32};
  for (size_t row = 19; row < 32; ++row) {
    std::vector<float> got(512, NAN);
    kernels::unpack_row_q4(as_rows, row, got.data());
    CHECK(std::ranges::all_of(got, [](float value) { return value == 0; }));
  }
}

TEST_CASE("blocks with a scale of NaN or infinity are refused, packed and widened") {
  for (const Dtype dtype : kBlockTypes) {
    CAPTURE(dtype_name(dtype));
    Tensor blocks = value_of(Tensor::create(dtype, {16, 256}));
    const size_t scale_at = dtype == Dtype::kQ6_K ? 208 : 0;
    const uint16_t infinity = 0x7c00;
    std::memset(blocks.bytes().data(), 1, blocks.bytes().size());
    std::memcpy(blocks.bytes().data() + blocks.bytes().size() / 16 * 5 + scale_at, &infinity, sizeof infinity);
    CHECK(widen(blocks.view()).error().code == ErrorCode::kNonFinite);
    CHECK(pack_blocks(blocks.view()).error().message == "row 5 has NaN or infinity");
  }
}

TEST_CASE("a weight map packs blocks while they come, and floats beside them when they are taken") {
  const TensorMap golden = golden_blocks();
  test::Random random(3);
  Tensor floats = value_of(Tensor::create(Dtype::kF32, {24, 64}));
  for (float& value : floats.as<float>()) value = random.normal();
  for (const size_t chunk : {size_t{77}, size_t{1} << 20}) {
    WeightMap weights;
    WeightSink sink(weights, std::nullopt);
    require_ok(feed(sink, "q4", many_rows(*golden.find("Q4_0"), 32), chunk));
    require_ok(feed(sink, "q5", many_rows(*golden.find("Q5_K"), 32), chunk));
    require_ok(feed(sink, "few_rows", *golden.find("Q5_K"), chunk));
    require_ok(feed(sink, "floats", floats, chunk));
    CHECK(weights.names() == std::vector<std::string>{"few_rows", "floats", "q4", "q5"});
    CHECK(weights.contains("q4"));
    CHECK(weights.find("q4") == nullptr);
    CHECK(weights.find("few_rows") != nullptr);  // would grow
    CHECK(weights.take("q5", kAnyFloat, {32, 512}).error().code == ErrorCode::kDtypeMismatch);
    CHECK(weights.take_matrix("q5", 16, 512, false).error().code == ErrorCode::kShapeMismatch);
    require_ok(weights.rename("q5", "renamed"));
    CHECK(weights.rename("q4", "renamed").error().code == ErrorCode::kMalformed);
    CHECK(std::holds_alternative<Q4Matrix>(value_of(weights.take_matrix("q4", 32, 512, false))));
    CHECK(std::holds_alternative<Q8Matrix>(value_of(weights.take_matrix("renamed", 32, 512, false))));
    CHECK(std::holds_alternative<Q8Matrix>(value_of(weights.take_matrix("few_rows", 3, 512, false))));
    CHECK(std::holds_alternative<Q8Matrix>(value_of(weights.take_matrix("floats", 24, 64, false))));
    CHECK(weights.names().empty());
  }
}

TEST_CASE("a matrix of blocks is never in memory as floats: a tile of rows beside the packed one") {
  const TensorMap golden = golden_blocks();
  for (const char* type : {"Q4_0", "Q4_K", "Q5_K", "Q6_K"}) {
    CAPTURE(type);
    const Tensor blocks = many_rows(*golden.find(type), 1024);
    WeightMap weights;
    WeightSink sink(weights, std::nullopt);
    const uint64_t before = memory_use().current_bytes;
    reset_peak_memory();
    require_ok(feed(sink, "w", blocks, 5000));
    const uint64_t packed = value_of(BlockPacker::packed_bytes(blocks.dtype(), 1024, 512));
    CHECK(memory_use().peak_bytes - before <= packed + 16 * 512 * (sizeof(float) + 1) + 4096);
  }
}

TEST_CASE("a weight map gives exact values of blocks, and floats as they are without blocks") {
  const TensorMap golden = golden_blocks();
  WeightMap weights;
  WeightSink sink(weights, std::nullopt, false);
  require_ok(feed(sink, "q4", many_rows(*golden.find("Q4_0"), 3), 1000));
  const WeightMatrix exact = value_of(weights.take_matrix("q4", 3, 512, true));
  CHECK(std::ranges::equal(std::get<Tensor>(exact).bytes(), golden.find("Q4_0.f32")->bytes()));

  WeightMap plain;
  WeightSink plain_sink(plain, std::nullopt);
  require_ok(feed(plain_sink, "w", value_of(Tensor::create(Dtype::kF16, {8, 8})), 1000));
  CHECK(std::get<Tensor>(value_of(plain.take_matrix("w", 8, 8, false))).dtype() == Dtype::kF16);
}

}  // namespace sutra
