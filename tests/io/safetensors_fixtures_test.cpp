// The conformance set: 52 small files, each breaking one rule, copied to tests/golden/io/safetensors (made for this
// project from the format's text); and, where the shared data is present, that whole set and files of other writers.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/aligned_buffer.h"
#include "io/hash.h"
#include "io/safetensors_support.h"
#include "support/files.h"

namespace sutra {
namespace {

using test::Bytes;
using test::load;

struct Fixture {
  std::string file, rule, expect;
  Bytes bytes;
};

std::vector<Fixture> read_fixtures() {
  std::vector<Fixture> fixtures;
  for (const auto& folder :
       {std::optional(test::golden_path("io/safetensors/")), test::shared_path("conformance/safetensors/malformed/")}) {
    if (!folder) continue;
    const auto index = nlohmann::json::parse(test::read_text(*folder + "index.json"));
    for (const auto& item : index.at("files")) {
      const std::string file = item.at("file");
      Bytes bytes = test::read_bytes(*folder + file);
      const bool is_known = std::ranges::any_of(
          fixtures, [&](const Fixture& known) { return known.file == file && known.bytes == bytes; });
      if (!is_known) fixtures.push_back({file, item.at("rule"), item.at("expect"), std::move(bytes)});
    }
  }
  return fixtures;
}

// Our code for every file that is refused for another reason than kMalformed.
ErrorCode expected_code(const std::string& file) {
  static const std::map<std::string, ErrorCode> kOthers = {
      {"len_empty_file", ErrorCode::kTruncated},
      {"len_beyond_end_of_file", ErrorCode::kTruncated},
      {"len_above_100_million", ErrorCode::kTooLarge},
      {"len_u64_max", ErrorCode::kTooLarge},
      {"len_plus_8_wraps_to_zero", ErrorCode::kTooLarge},
      {"len_high_32_bits_set", ErrorCode::kTooLarge},
      {"shape_product_wraps_64_bit", ErrorCode::kTooLarge},
      {"shape_bytes_wrap_64_bit", ErrorCode::kTooLarge},
      {"offsets_beyond_file", ErrorCode::kTruncated},
      {"offsets_high_32_bits_set", ErrorCode::kTruncated},
  };
  const auto found = kOthers.find(file.substr(0, file.find('.')));
  return found == kOthers.end() ? ErrorCode::kMalformed : found->second;
}

// What must hold of anything that is accepted, however it was damaged: the tensors are the data section, in order.
bool is_consistent(const Bytes& file, const TensorMap& tensors, const SafetensorsHeader& header) {
  uint64_t at = header.data_offset;
  if (tensors.size() != header.tensors.size()) return false;
  for (const TensorEntry& entry : header.tensors) {
    const Tensor* const tensor = tensors.find(entry.name);
    if (tensor == nullptr || tensor->bytes().size() != tensor->shape().n_elements() * dtype_bytes(tensor->dtype())) {
      return false;
    }
    if (!std::ranges::equal(tensor->bytes(), std::span(file).subspan(at, tensor->bytes().size()))) return false;
    at += tensor->bytes().size();
  }
  return at == file.size();
}

// Loads with and without the finite check off; true for an error with a message, or a consistent load.
bool is_error_or_consistent(const Bytes& file) {
  TensorMap tensors;
  TensorMapSink sink(tensors, {.check_finite = false});
  SafetensorsStream stream("f", file.size(), sink);
  Status status = stream.feed(file);
  if (status) status = stream.finish();
  if (!status) return !status.error().message.empty();
  return is_consistent(file, tensors, *stream.header());
}

}  // namespace

TEST_CASE("safetensors fixtures: each broken rule gives its error, each control loads") {
  const auto fixtures = read_fixtures();
  REQUIRE(fixtures.size() >= 52);
  for (const Fixture& fixture : fixtures) {
    CAPTURE(fixture.file, fixture.rule);
    for (const size_t chunk : {size_t{1}, size_t{7}, size_t{64}, fixture.bytes.size() + 1}) {
      reset_peak_memory();
      const uint64_t before = memory_use().current_bytes;
      const std::clock_t start = std::clock();
      const auto tensors = load(fixture.bytes, chunk, fixture.bytes.size());
      const std::clock_t elapsed = std::clock() - start;  // processor time: other programs do not count
      if (chunk > fixture.bytes.size()) CHECK(elapsed < CLOCKS_PER_SEC / 10);
      CHECK(memory_use().peak_bytes - before <= fixture.bytes.size());
      if (fixture.expect == "accept") {
        CHECK(tensors.has_value());
      } else if (fixture.expect == "reject") {
        REQUIRE_FALSE(tensors.has_value());
        CAPTURE(tensors.error().message);
        CHECK(tensors.error().code == expected_code(fixture.file));
      }
    }
  }
}

TEST_CASE("safetensors fixtures: the controls hold the values that their bytes spell") {
  const auto folder = test::golden_path("io/safetensors/");
  const auto escaped = load(test::read_bytes(folder + "valid_escaped_name_and_metadata.safetensors"));
  REQUIRE(escaped.has_value());
  CHECK(escaped->names() == std::vector<std::string>{"blocks.0.\xe5\xb1\x82"});

  const auto reordered = load(test::read_bytes(folder + "valid_header_order_differs_from_data_order.safetensors"));
  REQUIRE(reordered.has_value());
  CHECK(reordered->find("a")->bytes()[0] == std::byte{0});
  CHECK(reordered->find("b")->bytes()[0] == std::byte{15});

  const auto scalar = load(test::read_bytes(folder + "valid_scalar_shape_empty.safetensors"));
  REQUIRE(scalar.has_value());
  CHECK(scalar->find("a")->shape() == Shape{});
  CHECK(scalar->find("a")->bytes().size() == 4);

  const auto empty = load(test::read_bytes(folder + "valid_zero_size_tensor.safetensors"));
  REQUIRE(empty.has_value());
  CHECK(empty->find("a")->bytes().empty());
}

TEST_CASE("safetensors fixtures: every truncated prefix is an error or consistent") {
  for (const Fixture& fixture : read_fixtures()) {
    if (fixture.bytes.size() > 1000) continue;
    CAPTURE(fixture.file);
    for (size_t n = 0; n < fixture.bytes.size(); ++n) {
      CAPTURE(n);
      const Bytes prefix(fixture.bytes.begin(), fixture.bytes.begin() + static_cast<ptrdiff_t>(n));
      REQUIRE(is_error_or_consistent(prefix));
      if (fixture.expect == "accept") REQUIRE_FALSE(load(prefix).has_value());
    }
  }
}

TEST_CASE("safetensors fixtures: every change of a single header byte is an error or consistent") {
  for (Fixture& fixture : read_fixtures()) {
    if (fixture.bytes.size() > 1000) continue;
    CAPTURE(fixture.file);
    for (size_t i = 0; i < fixture.bytes.size(); ++i) {
      const std::byte original = fixture.bytes[i];
      // All 255 other values in the controls, the eight single bits elsewhere.
      for (unsigned change = 1; change < 256; ++change) {
        if (fixture.expect != "accept" && (change & (change - 1)) != 0) continue;
        fixture.bytes[i] = original ^ static_cast<std::byte>(change);
        if (!is_error_or_consistent(fixture.bytes)) {
          CAPTURE(i, change);
          FAIL("a damaged file was read as something that it does not hold");
        }
      }
      fixture.bytes[i] = original;
    }
  }
}

TEST_CASE("safetensors fixtures: files of other writers load with the recorded values") {
  const auto folder = test::shared_path("conformance/safetensors/fixtures/");
  if (!folder) SKIP("the shared data is not present");
  const auto expected = nlohmann::json::parse(test::read_text(*folder + "expected.json"));
  REQUIRE(expected.size() >= 4);
  for (const auto& [file, item] : expected.items()) {
    CAPTURE(file);
    const Bytes bytes = test::read_bytes(*folder + file);
    for (const size_t chunk : {size_t{1}, size_t{7}, size_t{64}, bytes.size()}) {
      const auto tensors = load(bytes, chunk, bytes.size());
      REQUIRE(tensors.has_value() == (item.at("outcome") == "load"));
      if (!tensors) {
        CHECK(tensors.error().code == ErrorCode::kTruncated);
        continue;
      }
      CHECK(tensors->size() == item.at("tensors").size());
      for (const auto& row : item.at("tensors")) {
        const Tensor* const tensor = tensors->find(row.at("name").get<std::string>());
        REQUIRE(tensor != nullptr);
        CHECK(dtype_name(tensor->dtype()) == row.at("dtype").get<std::string>());
        CHECK(std::ranges::equal(tensor->shape().dims(), row.at("shape").get<std::vector<uint64_t>>()));
        CHECK(to_hex(sha256(tensor->bytes())) == row.at("sha256_le_row_major").get<std::string>());
      }
    }
  }
}

TEST_CASE("safetensors refuses 100,000 nested arrays in bounded time and stack") {
  const std::string json = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  const auto tensors = load(test::safetensors_bytes(json, 0));
  REQUIRE_FALSE(tensors.has_value());
  CHECK(tensors.error().code == ErrorCode::kMalformed);
}

}  // namespace sutra
