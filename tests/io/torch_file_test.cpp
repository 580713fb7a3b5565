#include "io/torch_file.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/aligned_buffer.h"
#include "io/hash.h"
#include "io/safetensors_support.h"
#include "io/tensor_map.h"
#include "support/files.h"

namespace sutra {
namespace {

using test::Bytes;

// Gives the reader what it asks for until it has everything.
Status drive(TensorReader& reader, std::span<const std::byte> file) {
  for (ByteRange range = reader.wanted(); range.size > 0; range = reader.wanted()) {
    REQUIRE(range.offset <= file.size());
    REQUIRE(range.size <= file.size() - range.offset);
    SUTRA_TRY(reader.give(file.subspan(static_cast<size_t>(range.offset), static_cast<size_t>(range.size))));
  }
  return reader.finish();
}

Result<TensorMap> load_torch(std::span<const std::byte> file) {
  TensorMap tensors;
  TensorMapSink sink(tensors, {.check_finite = false});
  TorchReader reader(file.size(), &sink);
  SUTRA_TRY(drive(reader, file));
  return tensors;
}

void check_equal(const TensorMap& found, const TensorMap& expected) {
  CHECK(found.names() == expected.names());
  for (const std::string& name : expected.names()) {
    CAPTURE(name);
    const Tensor* const tensor = found.find(name);
    REQUIRE(tensor != nullptr);
    CHECK(tensor->dtype() == expected.find(name)->dtype());
    CHECK(tensor->shape() == expected.find(name)->shape());
    CHECK(std::ranges::equal(tensor->bytes(), expected.find(name)->bytes()));
  }
}

std::string hex_of(std::span<const std::byte> bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::byte b : bytes) {
    out += kDigits[std::to_integer<size_t>(b >> 4)];
    out += kDigits[std::to_integer<size_t>(b & std::byte{15})];
  }
  return out;
}

// The path of expected.json as the reader names it.
std::string path_of(const nlohmann::json& path) {
  std::string name;
  for (const auto& part : path) {
    if (!name.empty()) name += '.';
    name += part.is_string() ? part.get<std::string>() : part.dump();
  }
  return name;
}

Dtype dtype_of(const std::string& torch_name) {
  static const std::map<std::string, Dtype> kNames = {
      {"float64", Dtype::kF64}, {"float32", Dtype::kF32}, {"float16", Dtype::kF16}, {"bfloat16", Dtype::kBF16},
      {"int64", Dtype::kI64},   {"int32", Dtype::kI32},   {"int16", Dtype::kI16},   {"int8", Dtype::kI8},
      {"uint8", Dtype::kU8},    {"bool", Dtype::kBool}};
  return kNames.at(torch_name);
}

const std::vector<std::string> kGoldens = {"legacy",         "zip-dtypes",     "zip-nested",       "zip-ordereddict",
                                           "zip-parameters", "zip-state-dict", "zip-unicode-names"};

Bytes golden(const std::string& name) { return test::read_bytes(test::golden_path("io/torch/" + name)); }

// A pickle of protocol 2 around `program`, in a legacy file whose other parts are right.
Bytes legacy_file(std::string_view program, std::string_view keys = "]", std::string_view storages = "") {
  Bytes file;
  const auto add = [&](std::string_view text) {
    for (const char c : text) file.push_back(static_cast<std::byte>(c));
  };
  using namespace std::string_view_literals;
  add("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv);
  add("\x80\x02M\xe9\x03."sv);
  add("\x80\x02}X\x0d\x00\x00\x00little_endian\x88s."sv);
  add("\x80\x02"sv);
  add(program);
  add("."sv);
  add("\x80\x02"sv);
  add(keys);
  add("."sv);
  add(storages);
  return file;
}

ErrorCode code_of(std::span<const std::byte> file) {
  const auto loaded = load_torch(file);
  REQUIRE_FALSE(loaded.has_value());
  return loaded.error().code;
}

}  // namespace

TEST_CASE("torch files give every tensor of the reference, bit for bit") {
  for (const std::string& name : kGoldens) {
    CAPTURE(name);
    const auto expected = test::load(golden(name + "/expected.safetensors"), size_t{1} << 20,
                                     golden(name + "/expected.safetensors").size(), {.check_finite = false});
    REQUIRE(expected.has_value());
    const auto found = load_torch(golden(name + "/model.pth"));
    REQUIRE(found.has_value());
    check_equal(*found, *expected);
  }
}

TEST_CASE("torch files of every protocol, container and dtype in the shared set give every value") {
  size_t n_files = 0;
  for (const std::string folder : {"gopickle", "generated"}) {
    const auto root = test::shared_path("conformance/torch_files/" + folder + "/");
    if (!root) SKIP("the shared conformance data is not there");
    const auto index = nlohmann::json::parse(test::read_text(*root + "expected.json"));
    for (const auto& [name, expected] : index.items()) {
      CAPTURE(name);
      const auto loaded = load_torch(test::read_bytes(*root + name));
      REQUIRE(loaded.has_value());
      CHECK(loaded->size() == expected.at("tensors").size());
      for (const auto& item : expected.at("tensors")) {
        const Tensor* const tensor = loaded->find(path_of(item.at("path")));
        REQUIRE(tensor != nullptr);
        CHECK(tensor->dtype() == dtype_of(item.at("dtype")));
        const auto dims = item.at("shape").get<std::vector<uint64_t>>();
        CHECK(std::ranges::equal(tensor->shape().dims(), dims));
        CHECK(to_hex(sha256(tensor->bytes())) == item.at("sha256_le_row_major"));
        if (item.contains("hex_le_row_major")) CHECK(hex_of(tensor->bytes()) == item.at("hex_le_row_major"));
      }
      ++n_files;
    }
  }
  CHECK(n_files == 119);
}

TEST_CASE("a torch file whose pickle wants to call something is refused, and so is what is no such file") {
  CHECK(code_of(golden("refuse/model.pth")) == ErrorCode::kUnsupported);
  CHECK(code_of(golden("refuse/truncated.pth")) == ErrorCode::kMalformed);
  CHECK_FALSE(load_torch(golden("refuse/not_a_pth.pth")).has_value());
  CHECK(code_of({}) == ErrorCode::kTruncated);
}

TEST_CASE("the table of a torch file needs no tensor data") {
  const Bytes file = golden("zip-dtypes/model.pth");
  TorchReader reader(file.size(), nullptr);
  REQUIRE(drive(reader, file).has_value());
  REQUIRE(reader.tensors() != nullptr);
  const auto& entries = *reader.tensors();
  const auto transposed = std::ranges::find(entries, "transposed", &TensorEntry::name);
  REQUIRE(transposed != entries.end());
  CHECK(transposed->shape == Shape{10, 6});
  CHECK(transposed->end - transposed->begin == 240);
}

TEST_CASE("every prefix of a torch file is an error") {
  for (const std::string name : {"legacy", "zip-nested"}) {
    CAPTURE(name);
    const Bytes file = golden(name + "/model.pth");
    for (size_t n = 0; n < file.size(); ++n) {
      CAPTURE(n);
      CHECK_FALSE(load_torch(std::span(file).first(n)).has_value());
    }
  }
}

TEST_CASE("a torch archive with any byte changed is refused or has the same tensors") {
  const Bytes original = golden("zip-nested/model.pth");
  const auto expected = load_torch(original);
  REQUIRE(expected.has_value());
  size_t n_refused = 0;
  for (size_t at = 0; at < original.size(); ++at) {
    CAPTURE(at);
    Bytes file = original;
    file[at] ^= std::byte{0x41};
    const auto found = load_torch(file);
    if (!found) {
      ++n_refused;
      continue;
    }
    check_equal(*found, *expected);  // a byte of padding, a date or a member that is not read
  }
  CHECK(n_refused > original.size() / 4);
}

TEST_CASE("a legacy torch file with any byte changed is refused or harmless") {
  const Bytes original = golden("legacy/model.pth");
  for (size_t at = 0; at < original.size(); ++at) {
    Bytes file = original;
    file[at] ^= std::byte{0x41};
    load_torch(file);  // without a checksum data may change; the sanitizers watch
  }
}

TEST_CASE("pickles that nest, copy or share without end are refused at once") {
  using namespace std::string_view_literals;
  // Lists in lists: 60 levels of two references to the level below are 2^60 ways to a value.
  std::string shared = "]q\x00";
  shared.resize(3);
  for (int level = 0; level < 60; ++level)
    shared += std::string(
        "]q\x01(h\x00h\x00"
        "eh\x01q\x00"
        "0"sv);
  CHECK(code_of(legacy_file(shared)) == ErrorCode::kTooLarge);
  // A list that holds itself.
  CHECK(code_of(legacy_file("]q\x00h\x00"
                            "a"sv)) == ErrorCode::kTooLarge);
  CHECK(code_of(legacy_file(std::string(100, '('))) == ErrorCode::kTooLarge);
  CHECK(code_of(legacy_file("r\xff\xff\xff\x7f"sv)) == ErrorCode::kTooLarge);
  CHECK(code_of(legacy_file("X\xff\xff\xff\xff"sv)) == ErrorCode::kTooLarge);
  CHECK(code_of(legacy_file("0"sv)) == ErrorCode::kMalformed);
  CHECK(code_of(legacy_file("h\x05"sv)) == ErrorCode::kMalformed);
  CHECK(code_of(legacy_file("cos\nsystem\n"sv)) == ErrorCode::kUnsupported);
  CHECK(code_of(legacy_file("V\n"sv)) == ErrorCode::kUnsupported);
}

TEST_CASE("a torch view that reaches out of its storage, or is much larger than the file, is refused") {
  using namespace std::string_view_literals;
  const auto tensor = [](std::string_view offset_shape_strides) {
    return legacy_file(std::string("ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
                                   "X\x01\x00\x00\x00"
                                   "0X\x03\x00\x00\x00"
                                   "cpuK\x04tQ"sv) +
                           std::string(offset_shape_strides) + "\x89}tR",
                       "]X\x01\x00\x00\x00"
                       "0a"sv,
                       "\x04\x00\x00\x00\x00\x00\x00\x00"
                       "0123456789abcdef"sv);
  };
  CHECK(load_torch(tensor("K\x00K\x04\x85K\x01\x85"sv)).has_value());
  CHECK(load_torch(tensor("K\x03K\x02K\x03\x86K\x00K\x00\x86"sv)).has_value());
  CHECK(code_of(tensor("K\x01K\x04\x85K\x01\x85"sv)) == ErrorCode::kMalformed);
  CHECK(code_of(tensor("K\x00K\x02\x85K\x04\x85"sv)) == ErrorCode::kMalformed);
  CHECK(code_of(tensor("K\x00K\x04\x85)"sv)) == ErrorCode::kMalformed);
  CHECK(code_of(tensor("K\x00J\xff\xff\xff\xff\x85K\x01\x85"sv)) == ErrorCode::kMalformed);
  // One element, a billion times.
  CHECK(code_of(tensor("K\x00J\x00\x00\x00\x40\x85K\x00\x85"sv)) == ErrorCode::kTooLarge);
}

TEST_CASE("reading a torch file reports memory that is refused, for every allocation") {
  const Bytes file = golden("zip-dtypes/model.pth");
  int64_t n = 0;
  for (bool failed = true; failed; ++n) {
    fail_allocation_after(n);
    const auto loaded = load_torch(file);
    fail_allocation_after(-1);
    failed = !loaded.has_value();
    if (failed) CHECK(loaded.error().code == ErrorCode::kOutOfMemory);
  }
  CHECK(n > 10);
}

}  // namespace sutra
