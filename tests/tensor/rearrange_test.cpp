#include "tensor/rearrange.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <numeric>

#include "support/golden.h"

namespace sutra {
namespace {

using test::value_of;

// 0, 1, 2, … in a dtype of two bytes.
Tensor counted(const Shape& shape) {
  Tensor tensor = value_of(Tensor::create(Dtype::kF16, shape));
  std::iota(tensor.as<uint16_t>().begin(), tensor.as<uint16_t>().end(), uint16_t{0});
  return tensor;
}

std::vector<int> elements(const Tensor& tensor) {
  const auto values = tensor.as<uint16_t>();
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("transposing exchanges the last two dimensions of every plane") {
  const Tensor matrix = value_of(transpose(counted({2, 3}).view()));
  CHECK(matrix.shape() == Shape{3, 2});
  CHECK(elements(matrix) == std::vector<int>{0, 3, 1, 4, 2, 5});
  const Tensor planes = value_of(transpose(counted({2, 2, 2}).view()));
  CHECK(planes.shape() == Shape{2, 2, 2});
  CHECK(elements(planes) == std::vector<int>{0, 2, 1, 3, 4, 6, 5, 7});
}

TEST_CASE("rows are gathered in the order asked for, of matrices, vectors and blocks") {
  const std::vector<uint64_t> rows = {2, 0, 0};
  const Tensor matrix = value_of(gather_rows(counted({3, 2}).view(), rows));
  CHECK(matrix.shape() == Shape{3, 2});
  CHECK(elements(matrix) == std::vector<int>{4, 5, 0, 1, 0, 1});
  CHECK(elements(value_of(gather_rows(counted({3}).view(), rows))) == std::vector<int>{2, 0, 0});

  Tensor blocks = value_of(Tensor::create(Dtype::kQ4_0, {3, 64}));
  for (size_t i = 0; i < blocks.bytes().size(); ++i) blocks.bytes()[i] = static_cast<std::byte>(i);
  const Tensor gathered = value_of(gather_rows(blocks.view(), rows));
  const size_t row_bytes = blocks.bytes().size() / 3;
  CHECK(std::ranges::equal(gathered.bytes().first(row_bytes), blocks.bytes().last(row_bytes)));
  CHECK(std::ranges::equal(gathered.bytes().last(row_bytes), blocks.bytes().first(row_bytes)));
}

TEST_CASE("a part of a tensor gets the shape that is asked for") {
  const Tensor part = value_of(part_of(counted({3, 2}).view(), 1, {1, 1, 2}));
  CHECK(part.shape() == Shape{1, 1, 2});
  CHECK(elements(part) == std::vector<int>{2, 3});
  CHECK(elements(value_of(part_of(counted({6}).view(), 1, {3}))) == std::vector<int>{3, 4, 5});
}

TEST_CASE("matrices are stacked when only their numbers of rows differ") {
  const Tensor stacked = value_of(stack_rows(counted({1, 2}).view(), counted({2, 2}).view()));
  CHECK(stacked.shape() == Shape{3, 2});
  CHECK(elements(stacked) == std::vector<int>{0, 1, 0, 1, 2, 3});
  CHECK(stack_rows(counted({1, 2}).view(), counted({1, 3}).view()).error().code == ErrorCode::kShapeMismatch);
  const Tensor floats = value_of(Tensor::create(Dtype::kF32, {1, 2}));
  CHECK(stack_rows(counted({1, 2}).view(), floats.view()).error().code == ErrorCode::kDtypeMismatch);
}

}  // namespace sutra
