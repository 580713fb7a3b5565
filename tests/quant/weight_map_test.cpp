// AWQ matrices packed while they are read, against the kernels' own packing of the same integers.
#include "quant/weight_map.h"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "base/aligned_buffer.h"
#include "kernels/q4_data.h"
#include "quant/awq_format.h"
#include "support/golden.h"

namespace sutra {
namespace {

using test::require_ok;
using test::value_of;

struct Part {
  std::string name;
  Tensor tensor;
};

test::Q4Matrix random_matrix(size_t n_out, size_t n_in, size_t group_size) {
  test::Random random(n_out * 1000 + n_in);
  test::Q4Matrix m = test::random_q4(random, n_out, n_in, group_size);
  for (uint8_t& zero : m.zeros) zero = std::min<uint8_t>(zero, 15);
  test::repack(m);
  return m;
}

// x.qweight, x.qzeros and x.scales of the matrix.
std::array<Part, 3> parts_of(const test::Q4Matrix& m) {
  const Q4Integers integers{m.n_rows, m.n_cols, m.group_size, m.nibbles, m.zeros, m.scales};
  AwqTensors parts = value_of(to_awq(integers));
  return {Part{"x.qweight", std::move(parts.qweight)}, Part{"x.qzeros", std::move(parts.qzeros)},
          Part{"x.scales", std::move(parts.scales)}};
}

Status feed(WeightSink& sink, const Part& part, size_t chunk_bytes = std::numeric_limits<size_t>::max()) {
  std::span<const std::byte> bytes = part.tensor.bytes();
  const TensorEntry entry{part.name, part.tensor.dtype(), part.tensor.shape(), 0, bytes.size()};
  SUTRA_TRY(sink.begin(entry));
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), chunk_bytes));
    SUTRA_TRY(sink.write(piece));
    bytes = bytes.subspan(piece.size());
  }
  return sink.end(entry);
}

bool is_packed_like(const Q4Matrix& matrix, const test::Q4Matrix& expected) {
  const std::span<const std::byte> bytes(matrix.view().data, matrix.size_bytes());
  return std::ranges::equal(bytes, expected.packed.bytes());
}

void check_error(const Result<Q4Matrix>& result, ErrorCode code, std::string_view message) {
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == code);
  CHECK(result.error().message == message);
}

constexpr std::array<uint64_t, 2> kNoOutputs = {64, 0};
const std::vector<std::string> kAllParts = {"x.qweight", "x.qzeros", "x.scales"};

}  // namespace

TEST_CASE("a matrix is packed the same from pieces of any size, at every edge of the layout") {
  struct Case {
    size_t n_out, n_in, group_size;
  };
  // Outputs that leave half a tile or less than eight tiles, inputs that leave part of a block or of a group.
  for (const auto& [n_out, n_in, group_size] :
       {Case{16, 8, 32}, {16, 32, 32}, {40, 61, 32}, {152, 200, 64}, {272, 136, 128}}) {
    const test::Q4Matrix m = random_matrix(n_out, n_in, group_size);
    const auto parts = parts_of(m);
    const size_t row_bytes = n_out / 2;
    for (const size_t chunk : {size_t{1}, size_t{7}, row_bytes, 8 * row_bytes, 19 * row_bytes + 3, n_in * row_bytes}) {
      CAPTURE(n_out, n_in, group_size, chunk);
      WeightMap weights;
      WeightSink sink(weights, PackedConfig{.group_size = group_size});
      for (const Part& part : parts) require_ok(feed(sink, part, chunk));
      CHECK(weights.names() == kAllParts);
      CHECK(is_packed_like(value_of(weights.take_awq("x", n_out, n_in, group_size)), m));
      CHECK(weights.names().empty());
    }
  }
}

TEST_CASE("a matrix may have groups of its own") {
  const test::Q4Matrix m = random_matrix(48, 160, 32);
  WeightMap weights;
  WeightSink sink(weights, PackedConfig{.group_size = 128, .other_group_sizes = {{"x", 32}}});
  for (const Part& part : parts_of(m)) require_ok(feed(sink, part));
  CHECK(is_packed_like(value_of(weights.take_awq("x", 48, 160, 128)), m));
  // Not packed on its way in: the scales' shape says it.
  WeightMap plain;
  WeightSink plain_sink(plain, std::nullopt);
  for (const Part& part : parts_of(m)) require_ok(feed(plain_sink, part));
  CHECK(is_packed_like(value_of(plain.take_awq("x", 48, 160, 128)), m));
}

TEST_CASE("the parts of a matrix may come in any order") {
  const test::Q4Matrix m = random_matrix(48, 100, 32);
  const auto parts = parts_of(m);
  std::array<size_t, 3> order = {0, 1, 2};
  do {
    CAPTURE(order);
    WeightMap weights;
    WeightSink sink(weights, PackedConfig{.group_size = 32});
    for (const size_t i : order) {
      CHECK_FALSE(sink.contains(parts[i].name));
      require_ok(feed(sink, parts[i]));
      CHECK(sink.contains(parts[i].name));
    }
    CHECK(weights.names() == kAllParts);
    CHECK(is_packed_like(value_of(weights.take_awq("x", 48, 100, 32)), m));
  } while (std::ranges::next_permutation(order).found);
}

TEST_CASE("packing on the way in holds the matrix, eight rows and the small parts, never the source") {
  const test::Q4Matrix m = random_matrix(512, 1024, 128);
  const auto parts = parts_of(m);
  reset_peak_memory();
  const uint64_t before = memory_use().current_bytes;
  WeightMap weights;
  WeightSink sink(weights, PackedConfig{.group_size = 128});
  for (const Part& part : parts) require_ok(feed(sink, part, 1000));
  CHECK(memory_use().current_bytes - before == m.packed.size());
  const size_t small_parts = parts[1].tensor.bytes().size() + parts[2].tensor.bytes().size();
  CHECK(memory_use().peak_bytes - before <= m.packed.size() + std::max<size_t>(small_parts, 8 * 512 / 2));
}

TEST_CASE("a matrix too thin to pack without growing is packed when it is taken") {
  const test::Q4Matrix m = random_matrix(8, 3, 32);
  WeightMap weights;
  WeightSink sink(weights, PackedConfig{.group_size = 32});
  for (const Part& part : parts_of(m)) require_ok(feed(sink, part));
  CHECK(weights.names() == kAllParts);
  CHECK(is_packed_like(value_of(weights.take_awq("x", 8, 3, 32)), m));
}

TEST_CASE("without AWQ in the configuration the parts are tensors like others") {
  WeightMap weights;
  WeightSink sink(weights, std::nullopt);
  for (const Part& part : parts_of(random_matrix(16, 32, 32))) require_ok(feed(sink, part));
  CHECK(weights.names() == kAllParts);
  CHECK(weights.take("x.qweight", {Dtype::kI32}, {32, 2}).has_value());
}

TEST_CASE("a matrix is had by stating its shape, and a missing part is named") {
  const test::Q4Matrix m = random_matrix(32, 64, 32);
  const auto parts = parts_of(m);
  const auto take_of = [&](std::vector<size_t> which, size_t n_out, size_t n_in) {
    WeightMap weights;
    WeightSink sink(weights, PackedConfig{.group_size = 32});
    for (const size_t i : which) require_ok(feed(sink, parts[i]));
    return weights.take_awq("x", n_out, n_in, 32);
  };
  check_error(take_of({0, 1, 2}, 64, 32), ErrorCode::kShapeMismatch,
              "tensor 'x.qweight': expected shape [32, 8], found [64, 4]");
  check_error(take_of({0, 1, 2}, 36, 64), ErrorCode::kShapeMismatch,
              "matrix 'x' has 36 outputs; the AWQ layout needs a multiple of 8");
  check_error(take_of({1, 2}, 32, 64), ErrorCode::kNotFound, "tensor 'x.qweight' is missing");
  check_error(take_of({2, 0}, 32, 64), ErrorCode::kNotFound, "tensor 'x.qzeros' is missing");
  check_error(take_of({0, 1}, 32, 64), ErrorCode::kNotFound, "tensor 'x.scales' is missing");
}

TEST_CASE("parts of the wrong shape or dtype are named when the matrix is taken, and else only unused") {
  const test::Q4Matrix m = random_matrix(32, 64, 32);
  const auto take_with = [&](size_t which, Dtype dtype, const Shape& shape) {
    auto parts = parts_of(m);
    parts[which].tensor = value_of(Tensor::create(dtype, shape));
    WeightMap weights;
    WeightSink sink(weights, PackedConfig{.group_size = 32});
    for (const Part& part : parts) require_ok(feed(sink, part));
    CHECK(weights.names() == kAllParts);
    return weights.take_awq("x", 32, 64, 32);
  };
  check_error(take_with(0, Dtype::kF32, {64, 4}), ErrorCode::kDtypeMismatch,
              "tensor 'x.qweight': expected I32, found F32");
  check_error(take_with(0, Dtype::kI32, {64, 4, 1}), ErrorCode::kShapeMismatch,
              "tensor 'x.qweight': expected shape [64, 4], found [64, 4, 1]");
  check_error(take_with(0, Dtype::kI32, value_of(Shape::from_dims(kNoOutputs, ZeroDims::kAllow))),
              ErrorCode::kShapeMismatch, "tensor 'x.qweight': expected shape [64, 4], found [64, 0]");
  check_error(take_with(0, Dtype::kI32, {32, 4}), ErrorCode::kShapeMismatch,
              "tensor 'x.qweight': expected shape [64, 4], found [32, 4]");
  check_error(take_with(1, Dtype::kI32, {4, 4}), ErrorCode::kShapeMismatch,
              "tensor 'x.qzeros': expected shape [2, 4], found [4, 4]");
  check_error(take_with(1, Dtype::kF16, {2, 4}), ErrorCode::kDtypeMismatch,
              "tensor 'x.qzeros': expected I32, found F16");
  check_error(take_with(2, Dtype::kF16, {32, 2}), ErrorCode::kShapeMismatch,
              "tensor 'x.scales': expected shape [2, 32], found [32, 2]");
  check_error(take_with(2, Dtype::kF32, {2, 32}), ErrorCode::kDtypeMismatch,
              "tensor 'x.scales': expected F16, found F32");
}

TEST_CASE("a scale that is not finite ends the load by name") {
  for (const size_t last : {size_t{0}, size_t{1}, size_t{2}}) {
    CAPTURE(last);
    auto parts = parts_of(random_matrix(16, 64, 32));
    parts[2].tensor.as<uint16_t>()[18] = 0xfc00;
    std::swap(parts[last], parts[2]);
    WeightMap weights;
    WeightSink sink(weights, PackedConfig{.group_size = 32});
    Status status;
    for (const Part& part : parts) {
      if (status) status = feed(sink, part);
    }
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().code == ErrorCode::kNonFinite);
    CHECK(status.error().message == "tensor 'x.scales', F16 [2, 16], has NaN or infinity at element 18");
  }
}

TEST_CASE("a matrix that was left in its file is renamed and dropped, and taken by nobody") {
  WeightMap weights;
  const auto insert_left = [&] {
    require_ok(weights.insert("x.weight", value_of(Tensor::elsewhere(Dtype::kF16, {16, 64}, 3))));
  };
  insert_left();
  require_ok(weights.rename("x.weight", "y.weight"));
  REQUIRE(weights.find("y.weight") != nullptr);
  CHECK(weights.find("y.weight")->place() == 3);
  const auto taken = weights.take("y.weight");
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().code == ErrorCode::kUnsupported);
  CHECK(taken.error().message == "tensor 'y.weight' was left in its file");
  insert_left();
  weights.drop("x.weight");
  weights.drop("x.weight");
  CHECK_FALSE(weights.contains("x.weight"));
}

}  // namespace sutra
