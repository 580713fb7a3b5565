#include "io/safetensors_writer.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>

#include "io/safetensors_support.h"

namespace sutra {
namespace {

Tensor counted(Dtype dtype, const Shape& shape) {
  auto tensor = Tensor::create(dtype, shape);
  REQUIRE(tensor.has_value());
  for (size_t i = 0; i < tensor->bytes().size(); ++i) tensor->bytes()[i] = static_cast<std::byte>(i % 64);
  return std::move(*tensor);
}

ErrorCode create_error(const std::vector<TensorSpec>& specs, const SafetensorsWriter::Metadata& metadata = {}) {
  MemorySink sink;
  const auto writer = SafetensorsWriter::create(sink, specs, metadata);
  CHECK(sink.bytes().empty());
  return writer ? ErrorCode{} : writer.error().code;
}

class FullSink final : public ByteSink {
 public:
  explicit FullSink(size_t writes) : writes_(writes) {}
  Status write(std::span<const std::byte>) override {
    if (writes_ == 0) return fail(ErrorCode::kIo, "no space left");
    --writes_;
    return {};
  }

 private:
  size_t writes_;
};

}  // namespace

TEST_CASE("safetensors writer writes these very bytes") {
  MemorySink sink;
  auto writer =
      SafetensorsWriter::create(sink, {{"w\"", Dtype::kI32, {2}}, {"b", Dtype::kF16, {1, 3}}, {"s", Dtype::kU8, {}}});
  REQUIRE(writer.has_value());
  REQUIRE(writer->write("w\"", counted(Dtype::kI32, {2}).view()).has_value());
  REQUIRE(writer->write("b", counted(Dtype::kF16, {1, 3}).view()).has_value());
  REQUIRE(writer->write("s", counted(Dtype::kU8, {}).view()).has_value());
  REQUIRE(writer->finish().has_value());

  std::string json =
      R"({"__metadata__":{"format":"pt"},"w\"":{"dtype":"I32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"F16","shape":[1,3],"data_offsets":[8,14]},"s":{"dtype":"U8","shape":[],"data_offsets":[14,15]}})";
  while (json.size() % 8 != 0) json += ' ';
  test::Bytes expected = test::safetensors_bytes(json, 0);
  for (const size_t n : {size_t{8}, size_t{6}, size_t{1}}) {
    for (size_t i = 0; i < n; ++i) expected.push_back(static_cast<std::byte>(i));
  }
  CHECK(std::ranges::equal(sink.bytes(), expected));
  CHECK(writer->file_bytes() == expected.size());
}

TEST_CASE("safetensors writer and reader agree") {
  const std::vector<TensorSpec> specs = {{"a.\xe5\xb1\x82", Dtype::kF64, {3, 2}},
                                         {"b \\ /", Dtype::kF32, {5}},
                                         {"c", Dtype::kBF16, {1, 1, 7}},
                                         {"d", Dtype::kBool, {3}}};
  MemorySink sink;
  auto writer = SafetensorsWriter::create(sink, specs, {{"key \x01", "value\n"}, {"format", "pt"}});
  REQUIRE(writer.has_value());
  for (const TensorSpec& spec : specs) {
    REQUIRE(writer->write(spec.name, counted(spec.dtype, spec.shape).view()).has_value());
  }
  REQUIRE(writer->finish().has_value());
  const auto tensors = test::load(sink.bytes());
  REQUIRE(tensors.has_value());
  CHECK(tensors->size() == specs.size());
  for (const TensorSpec& spec : specs) {
    const Tensor* const tensor = tensors->find(spec.name);
    REQUIRE(tensor != nullptr);
    CHECK(tensor->dtype() == spec.dtype);
    CHECK(tensor->shape() == spec.shape);
    CHECK(std::ranges::equal(tensor->bytes(), counted(spec.dtype, spec.shape).bytes()));
  }
}

TEST_CASE("safetensors writer aligns the data section to 8 whatever the names are") {
  for (size_t n = 1; n <= 16; ++n) {
    MemorySink sink;
    const auto writer = SafetensorsWriter::create(sink, {{std::string(n, 'x'), Dtype::kU8, {1}}});
    REQUIRE(writer.has_value());
    CHECK((writer->file_bytes() - 1) % 8 == 0);
    CHECK(sink.bytes().size() == writer->file_bytes() - 1);
  }
}

TEST_CASE("safetensors writer writes a file without tensors") {
  MemorySink sink;
  auto writer = SafetensorsWriter::create(sink, {}, {});
  REQUIRE(writer.has_value());
  REQUIRE(writer->finish().has_value());
  const auto tensors = test::load(sink.bytes());
  REQUIRE(tensors.has_value());
  CHECK(tensors->size() == 0);
}

TEST_CASE("safetensors writer refuses an order that misaligns a tensor; order_for_alignment mends it") {
  std::vector<TensorSpec> specs = {{"a", Dtype::kU8, {3}},  {"b", Dtype::kF16, {3}}, {"c", Dtype::kF32, {1}},
                                   {"d", Dtype::kF16, {4}}, {"e", Dtype::kU8, {1}},  {"g", Dtype::kF64, {1}},
                                   {"h", Dtype::kU8, {16}}};
  CHECK(create_error(specs) == ErrorCode::kInvalidArgument);
  order_for_alignment(specs);
  // What fills whole units of 8 bytes is in nobody's way.
  std::string names;
  for (const TensorSpec& spec : specs) names += spec.name;
  CHECK(names == "dghcbae");
  MemorySink sink;
  CHECK(SafetensorsWriter::create(sink, specs).has_value());
}

TEST_CASE("safetensors writer refuses names that the reader would refuse or read differently") {
  CHECK(create_error({{"", Dtype::kU8, {1}}}) == ErrorCode::kInvalidArgument);
  CHECK(create_error({{"__metadata__", Dtype::kU8, {1}}}) == ErrorCode::kInvalidArgument);
  CHECK(create_error({{"a", Dtype::kU8, {1}}, {"a", Dtype::kU8, {1}}}) == ErrorCode::kInvalidArgument);
  CHECK(create_error({{"a\n", Dtype::kU8, {1}}}) == ErrorCode::kInvalidArgument);
  CHECK(create_error({{"a\xff", Dtype::kU8, {1}}}) == ErrorCode::kInvalidArgument);
  CHECK(create_error({}, {{"k", "1"}, {"k", "2"}}) == ErrorCode::kInvalidArgument);
  CHECK(create_error({{"a", Dtype::kU8, {uint64_t{1} << 63}}, {"b", Dtype::kU8, {uint64_t{1} << 63}}}) ==
        ErrorCode::kTooLarge);
}

TEST_CASE("safetensors writer refuses tensors other than the announced ones") {
  MemorySink sink;
  auto writer = SafetensorsWriter::create(sink, {{"a", Dtype::kF32, {2}}});
  REQUIRE(writer.has_value());
  CHECK(writer->write("b", counted(Dtype::kF32, {2}).view()).error().code == ErrorCode::kInvalidArgument);
  CHECK(writer->write("a", counted(Dtype::kI32, {2}).view()).error().code == ErrorCode::kInvalidArgument);
  CHECK(writer->write("a", counted(Dtype::kF32, {1, 2}).view()).error().code == ErrorCode::kInvalidArgument);
  const Tensor tensor = counted(Dtype::kF32, {2});
  CHECK(writer->write("a", {Dtype::kF32, {2}, tensor.bytes().first(4)}).error().code == ErrorCode::kInvalidArgument);
  CHECK(writer->finish().error().message == "tensor 'a' was announced and not written");
  REQUIRE(writer->write("a", tensor.view()).has_value());
  CHECK(writer->finish().has_value());
  CHECK(writer->write("a", tensor.view()).error().message == "tensor 'a' was not announced");
}

TEST_CASE("safetensors writer passes on what the sink refuses") {
  const Tensor tensor = counted(Dtype::kF32, {2});
  for (size_t n = 0; n < 3; ++n) {
    FullSink sink(n);
    auto writer = SafetensorsWriter::create(sink, {{"a", Dtype::kF32, {2}}});
    if (n < 2) {
      REQUIRE_FALSE(writer.has_value());
      CHECK(writer.error().code == ErrorCode::kIo);
    } else {
      CHECK(writer->write("a", tensor.view()).error().code == ErrorCode::kIo);
    }
  }
}

}  // namespace sutra
