// GGUF containers: fields put together here, the conformance set (46 small files, each breaking one rule, copied to
// tests/golden/io/gguf), truncated and damaged files.
#include "io/gguf.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "io/gguf_support.h"
#include "io/hash.h"
#include "io/tensor_file.h"
#include "io/tensor_table.h"
#include "support/files.h"
#include "support/temporary_folder.h"

namespace sutra {
namespace {

using test::Bytes;
using test::drive;
using test::GgufBytes;
using test::load_gguf;
using test::parse_gguf_header;

constexpr uint32_t kF32 = 0, kQ4_0 = 2;

ErrorCode code_of(const Bytes& file) {
  const auto tensors = load_gguf(file);
  REQUIRE_FALSE(tensors.has_value());
  CHECK_FALSE(tensors.error().message.empty());
  return tensors.error().code;
}

struct Fixture {
  std::string name;
  nlohmann::json item;
  Bytes bytes;
};

std::vector<Fixture> read_fixtures() {
  const std::string folder = test::golden_path("io/gguf/");
  std::vector<Fixture> fixtures;
  const auto index = nlohmann::json::parse(test::read_text(folder + "index.json"));
  for (const auto& item : index.at("files")) {
    const std::string name = item.at("file");
    fixtures.push_back({name, item, test::read_bytes(folder + name)});
  }
  return fixtures;
}

// A 64-bit number is text in the index.
void check_scalar(const nlohmann::json& expected, const GgufValue& found) {
  if (const auto* const u = std::get_if<uint64_t>(&found.value)) {
    CHECK((expected.is_string() ? std::stoull(expected.get<std::string>()) : expected.get<uint64_t>()) == *u);
  } else if (const auto* const i = std::get_if<int64_t>(&found.value)) {
    CHECK((expected.is_string() ? std::stoll(expected.get<std::string>()) : expected.get<int64_t>()) == *i);
  } else if (const auto* const d = std::get_if<double>(&found.value)) {
    CHECK(expected.get<double>() == *d);
  } else if (const auto* const b = std::get_if<bool>(&found.value)) {
    CHECK(expected.get<bool>() == *b);
  } else {
    CHECK(expected.get<std::string>() == std::get<std::string>(found.value));
  }
}

// A file with two matrices and a vector, keys of several kinds, and vocabularies that do not fit one piece.
Bytes large_header() {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  for (size_t i = 0; i < 20000; ++i) {
    tokens.push_back(concat("token", i));
    types.push_back(static_cast<int32_t>(i % 6));
  }
  GgufBytes file;
  file.text("general.architecture", "mamba").texts("tokens", tokens).i32s("types", types);
  file.text("long", std::string(100'000, 'x')).boolean("yes", true);
  file.tensor("a", {32, 2}, kQ4_0, std::string(36, 'q')).tensor("b", {3}, kF32, std::string(12, 'b'));
  file.tensor("c", {5, 3}, kF32, std::string(60, 'c'));
  return file.build();
}

}  // namespace

TEST_CASE("gguf gives keys with their types and tensors with their bytes, dimensions outermost first") {
  const Bytes file = large_header();
  const auto header = parse_gguf_header(file);
  REQUIRE(header.has_value());
  const GgufMetadata& metadata = header->metadata;
  CHECK(metadata.entries().size() == 5);
  CHECK(metadata.required_string("general.architecture").value() == "mamba");
  CHECK(metadata.find_bool("yes").value() == true);
  CHECK(metadata.find_bool("no").value() == std::nullopt);
  const GgufArray* const tokens = metadata.find_array("tokens", GgufType::kString).value();
  REQUIRE(tokens->size() == 20000);
  CHECK(tokens->text(0) == "token0");
  CHECK(tokens->text(19999) == "token19999");
  CHECK(metadata.find_array("types", GgufType::kI32).value()->i32(19999) == 19999 % 6);

  const auto tensors = load_gguf(file);
  REQUIRE(tensors.has_value());
  CHECK(tensors->find("a")->shape() == Shape{2, 32});
  CHECK(tensors->find("a")->dtype() == Dtype::kQ4_0);
  CHECK(tensors->find("a")->bytes().size() == 36);
  CHECK(tensors->find("b")->shape() == Shape{3});
  CHECK(tensors->find("c")->shape() == Shape{3, 5});
  CHECK(tensors->find("c")->bytes()[59] == std::byte{'c'});
}

TEST_CASE("gguf in pieces of any size gives the same, from the first byte to the last") {
  const Bytes file = large_header();
  const auto expected = load_gguf(file);
  REQUIRE(expected.has_value());
  for (const size_t chunk : {size_t{1}, size_t{7}, size_t{4096}, size_t{70'000}}) {
    CAPTURE(chunk);
    TensorMap tensors;
    TensorMapSink sink(tensors);
    GgufReader reader(file.size(), &sink);
    uint64_t at = 0;
    for (ByteRange range = reader.wanted(); range.size > 0; range = reader.wanted()) {
      REQUIRE(range.offset == at);
      const size_t n = std::min<size_t>(range.size, chunk);
      REQUIRE(reader.give(std::span(file).subspan(at, n)).has_value());
      at += n;
    }
    CHECK(at == file.size());
    REQUIRE(reader.finish().has_value());
    for (const char* name : {"a", "b", "c"}) {
      CHECK(std::ranges::equal(tensors.find(name)->bytes(), expected->find(name)->bytes()));
    }
  }
}

TEST_CASE("gguf typed getters refuse keys and array elements of another type, and name them") {
  GgufBytes file;
  file.u32("u", 7).f32("f", 1.5f).text("s", "x").texts("t", {"a"}).i32s("i", {1});
  file.key("negative", GgufType::kI32, GgufBytes::raw(int32_t{-1}));
  const auto header = parse_gguf_header(file.build());
  REQUIRE(header.has_value());
  const GgufMetadata& metadata = header->metadata;
  CHECK(metadata.required_uint("u").value() == 7);
  CHECK(metadata.required_float("f").value() == 1.5);
  CHECK(metadata.required_uint("absent").error().code == ErrorCode::kNotFound);
  CHECK(metadata.required_float("u").error().message == "metadata 'u': expected f32 or f64, found u32");
  CHECK(metadata.required_uint("negative").error().message ==
        "metadata 'negative': expected an unsigned integer, found i32");
  CHECK(metadata.required_string("t").error().message == "metadata 't': expected string, found an array of string");
  CHECK(metadata.find_array("i", GgufType::kString).error().message ==
        "metadata 'i': expected an array of string, found an array of i32");
  CHECK(metadata.find_array("s", GgufType::kString).error().code == ErrorCode::kMalformed);
  CHECK(metadata.find_bool("u").error().code == ErrorCode::kMalformed);
}

TEST_CASE("gguf versions 2 and 3 are read; others and big-endian files are not supported") {
  GgufBytes file;
  file.tensor("w", {4}, kF32, std::string(16, '\0'));
  CHECK(load_gguf(file.build(2)).has_value());
  CHECK(load_gguf(file.build(3)).has_value());
  for (const uint32_t version : {0u, 1u, 4u, 3u << 24}) CHECK(code_of(file.build(version)) == ErrorCode::kUnsupported);
}

TEST_CASE("gguf refuses tensors that do not fit their file, their blocks or each other") {
  const std::string bytes(64, '\0');
  CHECK(code_of(GgufBytes().tensor("w", {4, 5}, kF32, bytes).build()) == ErrorCode::kTruncated);
  CHECK(code_of(GgufBytes().tensor("w", {16}, kQ4_0, bytes).build()) == ErrorCode::kMalformed);
  CHECK(code_of(GgufBytes().tensor("w", {4, 0}, kF32, bytes).build()) == ErrorCode::kMalformed);
  CHECK(code_of(GgufBytes().tensor("w", {}, kF32, bytes).build()) == ErrorCode::kMalformed);
  CHECK(code_of(GgufBytes().tensor("w", {1, 1, 1, 1, 1}, kF32, bytes).build()) == ErrorCode::kMalformed);
  CHECK(code_of(GgufBytes().tensor("w", {4}, 99, bytes).build()) == ErrorCode::kMalformed);
  CHECK(code_of(GgufBytes().tensor("w", {256}, 10, bytes).build()) == ErrorCode::kUnsupported);  // Q2_K
  CHECK(code_of(GgufBytes().tensor("", {4}, kF32, bytes).build()) == ErrorCode::kMalformed);
  CHECK(code_of(GgufBytes().tensor("w\n", {4}, kF32, bytes).build()) == ErrorCode::kMalformed);
  CHECK(code_of(GgufBytes().tensor("w", {16}, kF32, bytes).tensor_at("v", {4}, kF32, 32).build()) ==
        ErrorCode::kMalformed);
  CHECK(code_of(GgufBytes().u32("k", 1).u32("k", 2).build()) == ErrorCode::kMalformed);
  // The order of names need not be that of the bytes.
  GgufBytes file;
  file.tensor_at("v", {8}, kF32, 64).tensor("w", {8}, kF32, std::string(96, 'w'));
  CHECK(load_gguf(file.build()).has_value());
}

TEST_CASE("gguf refuses a tensor that came with another file") {
  TensorMap tensors;
  TensorMapSink sink(tensors);
  const Bytes file = GgufBytes().tensor("w", {4}, kF32, std::string(16, '\0')).build();
  GgufReader first(file.size(), &sink);
  REQUIRE(drive(first, file, SIZE_MAX).has_value());
  GgufReader second(file.size(), &sink);
  const Status status = drive(second, file, SIZE_MAX);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().message == "tensor 'w' came with another file already");
}

TEST_CASE("gguf fixtures: each rule of the container that is broken is an error, each control loads as recorded") {
  const auto fixtures = read_fixtures();
  REQUIRE(fixtures.size() >= 46);
  for (const Fixture& fixture : fixtures) {
    CAPTURE(fixture.name, fixture.item.at("rule").get<std::string>());
    for (const size_t chunk : {size_t{1}, size_t{7}, SIZE_MAX}) {
      const auto tensors = load_gguf(fixture.bytes, chunk);
      if (fixture.item.at("expect") == "accept") {
        CHECK(tensors.has_value());
      } else if (fixture.item.at("expect") == "reject" && fixture.item.at("stage") == "container") {
        REQUIRE_FALSE(tensors.has_value());
        CHECK_FALSE(tensors.error().message.empty());
      }
    }
    if (fixture.item.at("expect") != "accept") continue;
    const auto header = parse_gguf_header(fixture.bytes);
    REQUIRE(header.has_value());
    CHECK(header->metadata.entries().size() == fixture.item.at("metadata").size());
    for (const auto& [key, expected] : fixture.item.at("metadata").items()) {
      CAPTURE(key);
      const GgufValue* const found = header->metadata.find(key);
      REQUIRE(found != nullptr);
      CHECK(gguf_type_name(found->type) == expected.at("type").get<std::string>());
      if (found->type != GgufType::kArray) {
        check_scalar(expected.at("value"), *found);
        continue;
      }
      const auto& array = std::get<GgufArray>(found->value);
      const auto& values = expected.at("value").at("values");
      CHECK(gguf_type_name(array.type) == expected.at("value").at("element_type").get<std::string>());
      REQUIRE(array.size() == values.size());
      for (size_t i = 0; i < values.size(); ++i) {
        const std::string spelled = values[i].is_string()         ? values[i].get<std::string>()
                                    : values[i].is_number_float() ? concat(values[i].get<double>())
                                                                  : values[i].dump();
        CHECK(array.spell(i) == spelled);
      }
    }
    CHECK(header->tensors.size() == fixture.item.at("tensors").size());
    const auto tensors = load_gguf(fixture.bytes);
    for (const auto& expected : fixture.item.at("tensors")) {
      const Tensor* const tensor = tensors->find(expected.at("name").get<std::string>());
      REQUIRE(tensor != nullptr);
      CHECK(to_hex(sha256(tensor->bytes())) == expected.at("sha256").get<std::string>());
    }
  }
}

TEST_CASE("gguf fixtures: every truncated prefix of what loads is a typed error, whoever tells the format") {
  for (const Fixture& fixture : read_fixtures()) {
    if (fixture.item.at("expect") != "accept") continue;
    CAPTURE(fixture.name);
    const auto header = parse_gguf_header(fixture.bytes);
    REQUIRE(header.has_value());
    const uint64_t end_of_tensors = header->tensors.empty() ? 0 : header->data_offset + header->tensors.back().end;
    for (size_t n = 0; n < fixture.bytes.size(); ++n) {
      CAPTURE(n);
      const auto prefix = std::span(fixture.bytes).first(n);
      const auto tensors = load_gguf(prefix);
      // Where nothing but the last tensor's padding is gone, and all of it, the file is whole: some writers leave it out.
      if (tensors && n == end_of_tensors) continue;
      REQUIRE_FALSE(tensors.has_value());
      REQUIRE(tensors.error().code == ErrorCode::kTruncated);
      TensorMap by_content;
      TensorMapSink sink(by_content);
      TensorFile file("f", n, sink);
      REQUIRE_FALSE(drive(file, prefix, 16).has_value());
    }
  }
}

TEST_CASE("gguf fixtures: every change of a single byte is an error, or tensors within the file") {
  for (Fixture& fixture : read_fixtures()) {
    CAPTURE(fixture.name);
    for (size_t i = 0; i < fixture.bytes.size(); ++i) {
      const std::byte original = fixture.bytes[i];
      for (unsigned change = 1; change < 256; ++change) {
        if (fixture.item.at("expect") != "accept" && (change & (change - 1)) != 0) continue;
        fixture.bytes[i] = original ^ static_cast<std::byte>(change);
        const auto tensors = load_gguf(fixture.bytes);
        const bool is_fine = tensors ? tensors->n_bytes() <= fixture.bytes.size() : !tensors.error().message.empty();
        if (!is_fine) {
          CAPTURE(i, change);
          FAIL("a damaged file was read as something that it does not hold");
        }
      }
      fixture.bytes[i] = original;
    }
  }
}

TEST_CASE("gguf is told by its content, and its table is read from the header alone") {
  test::TemporaryFolder folder;
  const Bytes file = large_header();
  const std::string path = folder.file("model.bin");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  const auto table = read_tensor_table(path);
  REQUIRE(table.has_value());
  CHECK(table->format == "gguf");
  CHECK(table->file_bytes == file.size());
  REQUIRE(table->tensors.size() == 3);
  CHECK(table->tensors[0].name == "a");
  REQUIRE(table->metadata.size() == 5);
  CHECK(std::get<std::string>(table->metadata[0].second) == "mamba");
  CHECK(std::get<std::string>(table->metadata[1].second) ==
        "string[20000]: token0, token1, token2, token3, token4, token5, token6, token7, ...");
  CHECK(std::get<std::string>(table->metadata[2].second) == "i32[20000]: 0, 1, 2, 3, 4, 5, 0, 1, ...");
  CHECK(std::get<bool>(table->metadata[4].second));

  GgufReader reader(uint64_t{1} << 40, nullptr);
  Bytes announced = GgufBytes().u32("k", 1).tensor("w", {4}, kF32, std::string(16, '\0')).build();
  announced.resize(reader.wanted().size);
  REQUIRE(reader.give(announced).has_value());
  CHECK(reader.wanted().size == 0);  // of a file of a terabyte
  CHECK(reader.finish().has_value());
}

}  // namespace sutra
