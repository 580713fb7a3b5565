#include "io/safetensors_stream.h"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <ctime>
#include <limits>
#include <string>

#include "base/aligned_buffer.h"
#include "io/safetensors_support.h"

namespace sutra {
namespace {

using test::Bytes;
using test::load;
using test::safetensors_bytes;

// Three tensors out of header order, one of no bytes, 60 bytes of data at an odd offset.
Bytes three_tensors() {
  return safetensors_bytes(R"({"c":{"dtype":"I32","shape":[4],"data_offsets":[44,60]},)"
                           R"("a":{"dtype":"F32","shape":[2,5],"data_offsets":[0,40]},)"
                           R"("z":{"dtype":"F32","shape":[0],"data_offsets":[60,60]},)"
                           R"("b":{"dtype":"F16","shape":[2,1],"data_offsets":[40,44]}})",
                           60);
}

bool has_bytes(const TensorMap& tensors, std::string_view name, size_t begin, size_t end) {
  const Tensor* const tensor = tensors.find(name);
  if (tensor == nullptr || tensor->bytes().size() != end - begin) return false;
  for (size_t i = begin; i < end; ++i) {
    if (tensor->bytes()[i - begin] != static_cast<std::byte>(i % 64)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("safetensors stream gives the same tensors for every chunk size") {
  const Bytes file = three_tensors();
  for (const size_t chunk : {size_t{1}, size_t{7}, size_t{64}, file.size()}) {
    CAPTURE(chunk);
    const auto tensors = load(file, chunk, file.size());
    REQUIRE(tensors.has_value());
    CHECK(tensors->names() == std::vector<std::string>{"a", "b", "c", "z"});
    CHECK(has_bytes(*tensors, "a", 0, 40));
    CHECK(has_bytes(*tensors, "b", 40, 44));
    CHECK(has_bytes(*tensors, "c", 44, 60));
    CHECK(has_bytes(*tensors, "z", 60, 60));
    CHECK(tensors->find("a")->shape() == Shape{2, 5});
    CHECK(tensors->find("b")->dtype() == Dtype::kF16);
  }
}

TEST_CASE("safetensors stream takes empty chunks anywhere") {
  const Bytes file = three_tensors();
  TensorMap tensors;
  TensorMapSink sink(tensors);
  SafetensorsStream stream("f", file.size(), sink);
  for (size_t i = 0; i < file.size(); ++i) {
    REQUIRE(stream.feed({}).has_value());
    REQUIRE(stream.feed(std::span(file).subspan(i, 1)).has_value());
    CHECK(stream.position() == i + 1);
  }
  REQUIRE(stream.feed({}).has_value());
  REQUIRE(stream.finish().has_value());
  CHECK(tensors.size() == 4);
}

TEST_CASE("safetensors stream shows the header as soon as it is complete and allocates no tensor before its bytes") {
  const Bytes file = three_tensors();
  TensorMap tensors;
  TensorMapSink sink(tensors);
  SafetensorsStream stream("f", file.size(), sink);
  const size_t data_offset = file.size() - 60;
  REQUIRE(stream.feed(std::span(file).first(data_offset - 1)).has_value());
  CHECK(stream.header() == nullptr);
  const uint64_t before = memory_use().current_bytes;
  REQUIRE(stream.feed(std::span(file).subspan(data_offset - 1, 1)).has_value());
  REQUIRE(stream.header() != nullptr);
  CHECK(stream.header()->tensors.size() == 4);
  CHECK(memory_use().current_bytes < before);  // the header's JSON is freed, nothing else came
  CHECK(tensors.size() == 0);
}

TEST_CASE("safetensors stream refuses every truncation, whatever size was announced") {
  const Bytes file = three_tensors();
  for (size_t n = 0; n < file.size(); ++n) {
    CAPTURE(n);
    const auto prefix = std::span(file).first(n);
    const auto announced_whole = load(prefix, 16, file.size());
    REQUIRE_FALSE(announced_whole.has_value());
    CHECK(announced_whole.error().code == ErrorCode::kTruncated);
    const auto announced_prefix = load(prefix, 16, n);
    REQUIRE_FALSE(announced_prefix.has_value());
    CHECK(announced_prefix.error().code == ErrorCode::kTruncated);
  }
}

TEST_CASE("safetensors stream refuses more bytes than announced and keeps its first error") {
  const Bytes file = three_tensors();
  TensorMap tensors;
  TensorMapSink sink(tensors);
  SafetensorsStream stream("dir.safetensors", file.size(), sink);
  REQUIRE(stream.feed(file).has_value());
  const std::array<std::byte, 1> one_more{};
  const auto status = stream.feed(one_more);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == ErrorCode::kMalformed);
  CHECK(status.error().message.starts_with("dir.safetensors: more bytes came"));
  CHECK(stream.feed({}).error().message == status.error().message);
  CHECK(stream.finish().error().message == status.error().message);
}

TEST_CASE("safetensors stream needs no more memory than the tensors or the header") {
  std::string json = "{";
  for (size_t i = 0; i < 50; ++i) {
    json += concat(i > 0 ? "," : "", "\"t", i, "\":{\"dtype\":\"F32\",\"shape\":[1000],\"data_offsets\":[", 4000 * i,
                   ",", 4000 * (i + 1), "]}");
  }
  const Bytes file = safetensors_bytes(json + "}", 200'000);
  for (const size_t chunk : {size_t{100}, file.size()}) {
    reset_peak_memory();
    const uint64_t before = memory_use().current_bytes;
    {
      const auto tensors = load(file, chunk, file.size());
      REQUIRE(tensors.has_value());
      CHECK(memory_use().current_bytes - before == 200'000);
    }
    CHECK(memory_use().peak_bytes - before == 200'000);
    CHECK(memory_use().current_bytes == before);
  }
}

TEST_CASE("safetensors stream survives the failure of every single allocation and leaks nothing") {
  const Bytes file = three_tensors();
  const uint64_t before = memory_use().current_bytes;
  constexpr int64_t kAllocations = 4;  // the header and three tensors that have bytes
  for (int64_t n = 0; n <= kAllocations; ++n) {
    CAPTURE(n);
    fail_allocation_after(n);
    const auto tensors = load(file, 7, file.size());
    fail_allocation_after(-1);
    if (n == kAllocations) {
      CHECK(tensors.has_value());
    } else {
      REQUIRE_FALSE(tensors.has_value());
      CHECK(tensors.error().code == ErrorCode::kOutOfMemory);
    }
  }
  CHECK(memory_use().current_bytes == before);
}

TEST_CASE("safetensors stream refuses a 43-byte bomb without an allocation that it could have asked for") {
  const std::pair<std::string_view, uint64_t> kBombs[] = {
      // JSON of 35 bytes, and the length field
      {R"({"a":{"dtype":"U8","shape":[1,1,1,1)", 99'999'999}, {R"({"a":{"dtype":"U8","shape":[1,1,1,1)", UINT64_MAX},
      {R"({"a":{"shape":[4294967296,42949672)", 35},          {R"({"a":{"data_offsets":[0,1099511627)", 35},
      {R"([[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[)", 35},
  };
  for (const auto& [json, length] : kBombs) {
    CAPTURE(json, length);
    Bytes file = safetensors_bytes(json, 35 - json.size());
    std::memcpy(file.data(), &length, 8);
    REQUIRE(file.size() == 43);
    reset_peak_memory();
    const uint64_t before = memory_use().current_bytes;
    const std::clock_t start = std::clock();
    const auto tensors = load(file);
    const std::clock_t elapsed = std::clock() - start;  // processor time: other programs do not count
    CHECK_FALSE(tensors.has_value());
    CHECK(memory_use().peak_bytes - before <= file.size());
    CHECK(elapsed < CLOCKS_PER_SEC / 100);
  }
}

TEST_CASE("safetensors stream names the tensor and element that is not finite") {
  const auto with_value = [](auto value, std::string_view dtype) {
    Bytes file = safetensors_bytes(
        concat("{\"w\":{\"dtype\":\"", dtype, "\",\"shape\":[3],\"data_offsets\":[0,", 3 * sizeof value, "]}}"),
        3 * sizeof value);
    std::memcpy(file.data() + file.size() - sizeof value, &value, sizeof value);
    return file;
  };
  const Bytes kFiles[] = {
      with_value(std::numeric_limits<double>::quiet_NaN(), "F64"),
      with_value(-std::numeric_limits<float>::infinity(), "F32"),
      with_value(uint16_t{0x7c00}, "F16"),
      with_value(uint16_t{0xffc0}, "BF16"),
  };
  for (const Bytes& file : kFiles) {
    const auto tensors = load(file);
    REQUIRE_FALSE(tensors.has_value());
    CHECK(tensors.error().code == ErrorCode::kNonFinite);
    CHECK(tensors.error().message.find("tensor 'w'") != std::string::npos);
    CHECK(tensors.error().message.ends_with("at element 2"));
    CHECK(load(file, 5, file.size(), {.check_finite = false}).has_value());
  }
  CHECK(load(with_value(uint32_t{0x7f800000}, "I32")).has_value());
}

TEST_CASE("safetensors stream refuses a tensor that another shard brought, before it allocates anything") {
  const Bytes file = three_tensors();
  auto tensors = load(file);
  REQUIRE(tensors.has_value());
  const Bytes second = safetensors_bytes(R"({"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4);
  TensorMapSink sink(*tensors);
  SafetensorsStream stream("shard2", second.size(), sink);
  const auto status = stream.feed(second);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == ErrorCode::kMalformed);
  CHECK(status.error().message == "shard2: tensor 'b' came with another file already");
  CHECK(tensors->find("b")->dtype() == Dtype::kF16);
}

}  // namespace sutra
