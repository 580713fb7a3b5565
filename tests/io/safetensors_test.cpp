#include "io/safetensors.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "io/safetensors_support.h"

namespace sutra {
namespace {

using test::parse;

std::string record(std::string_view name, std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return concat("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":[", shape, "],\"data_offsets\":[", offsets, "]}");
}

void refuses(std::string_view json, size_t n_data, ErrorCode code, std::string_view part_of_message) {
  CAPTURE(json);
  const auto header = parse(json, n_data);
  REQUIRE_FALSE(header.has_value());
  CAPTURE(header.error().message);
  CHECK(header.error().code == code);
  CHECK(header.error().message.find(part_of_message) != std::string::npos);
}

}  // namespace

TEST_CASE("safetensors reads names, dtypes, shapes, offsets and metadata") {
  const std::string json = "{\"__metadata__\":{\"format\":\"pt\",\"k\":\"a\\nb\"}," +
                           record("w", "BF16", "2,3", "8,20") + "," + record("b", "F32", "2", "0,8") + "," +
                           record("scalar", "I64", "", "20,28") + "}   ";
  const auto header = parse(json, 28);
  REQUIRE(header.has_value());
  CHECK(header->data_offset == 8 + json.size());
  CHECK(header->metadata == std::vector<std::pair<std::string, std::string>>{{"format", "pt"}, {"k", "a\nb"}});
  REQUIRE(header->tensors.size() == 3);
  const auto& [b, w, scalar] = std::tie(header->tensors[0], header->tensors[1], header->tensors[2]);
  CHECK((b.name == "b" && b.dtype == Dtype::kF32 && b.shape == Shape{2} && b.begin == 0 && b.end == 8));
  CHECK((w.name == "w" && w.dtype == Dtype::kBF16 && w.shape == Shape{2, 3} && w.begin == 8 && w.end == 20));
  CHECK((scalar.name == "scalar" && scalar.dtype == Dtype::kI64 && scalar.shape == Shape{} && scalar.end == 28));
}

TEST_CASE("safetensors knows every dtype of the library by its name and size") {
  const std::pair<std::string_view, size_t> kDtypes[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4},  {"I16", 2},
      {"I8", 1},  {"U64", 8}, {"U32", 4}, {"U16", 2},  {"U8", 1},  {"BOOL", 1},
  };
  for (const auto& [name, bytes] : kDtypes) {
    CAPTURE(name);
    const auto header = parse("{" + record("a", name, "3", concat("0,", 3 * bytes)) + "}", 3 * bytes);
    REQUIRE(header.has_value());
    CHECK(dtype_name(header->tensors[0].dtype) == name);
  }
}

TEST_CASE("safetensors refuses dtypes that nothing here computes with as unsupported, others as malformed") {
  refuses("{" + record("a", "F8_E4M3", "4", "0,4") + "}", 4, ErrorCode::kUnsupported, "'F8_E4M3'");
  refuses("{" + record("a", "f32", "1", "0,4") + "}", 4, ErrorCode::kMalformed, "'f32'");
  refuses("{" + record("a", "", "1", "0,4") + "}", 4, ErrorCode::kMalformed, "tensor 'a'");
}

TEST_CASE("safetensors accepts eight dimensions and refuses nine") {
  CHECK(parse("{" + record("a", "U8", "1,1,1,1,1,1,1,2", "0,2") + "}", 2).has_value());
  refuses("{" + record("a", "U8", "1,1,1,1,1,1,1,1,2", "0,2") + "}", 2, ErrorCode::kMalformed,
          "more than 8 dimensions");
}

TEST_CASE("safetensors gives a zero dimension no bytes and checks the other dimensions all the same") {
  const auto header = parse("{" + record("a", "F32", "2,0", "0,0") + "}", 0);
  REQUIRE(header.has_value());
  CHECK(header->tensors[0].shape.n_elements() == 0);
  refuses("{" + record("a", "F32", "2,0", "0,4") + "}", 4, ErrorCode::kMalformed, "expected 0 bytes, found 4");
  const std::string_view wraps = "0,4294967296,4294967296";
  refuses("{" + record("a", "F32", wraps, "0,0") + "}", 0, ErrorCode::kTooLarge, "exceeds 64 bits");
}

TEST_CASE("safetensors refuses unknown and repeated fields") {
  refuses(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1, ErrorCode::kMalformed, "found 'x'");
  refuses(R"({"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", 1, ErrorCode::kMalformed, "twice");
  refuses(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1]}})", 1, ErrorCode::kMalformed,
          "twice");
  refuses(R"({"a":{"dtype":"U8","shape":[1]}})", 1, ErrorCode::kMalformed, "no 'data_offsets'");
}

TEST_CASE("safetensors refuses values of the wrong kind wherever they stand") {
  const std::string_view kWrong[] = {"null", "true", "1", "-1", "1.5", "\"x\"", "[]", "[1]", "{}"};
  for (const std::string_view value : kWrong) {
    if (!value.starts_with('{')) {
      refuses(concat("{\"a\":", value, "}"), 0, ErrorCode::kMalformed, "expected 'a' to be a JSON object");
      refuses(concat("{\"__metadata__\":", value, "}"), 0, ErrorCode::kMalformed, "'__metadata__'");
    }
    if (value != "\"x\"") {
      refuses(concat("{\"__metadata__\":{\"k\":", value, "}}"), 0, ErrorCode::kMalformed, "expected '__metadata__'");
      refuses(concat("{\"a\":{\"dtype\":", value, "}}"), 0, ErrorCode::kMalformed, "expected dtype");
    }
    if (!value.starts_with('[')) {
      refuses(concat("{\"a\":{\"shape\":", value, "}}"), 0, ErrorCode::kMalformed, "expected shape");
      refuses(concat("{\"a\":{\"data_offsets\":", value, "}}"), 0, ErrorCode::kMalformed, "expected data_offsets");
    }
    if (value != "1") {
      refuses(concat("{\"a\":{\"shape\":[", value, "]}}"), 0, ErrorCode::kMalformed, "expected shape");
      refuses(concat("{\"a\":{\"data_offsets\":[0,", value, "]}}"), 0, ErrorCode::kMalformed, "expected data_offsets");
    }
  }
}

TEST_CASE("safetensors refuses integers written as anything but plain digits") {
  for (const std::string_view number : {"-0", "1e0", "1.0", "18446744073709551616", "+1", "01", "0x1"}) {
    CAPTURE(number);
    const auto header = parse("{" + record("a", "U8", number, "0,1") + "}", 1);
    REQUIRE_FALSE(header.has_value());
    CHECK(header.error().code == ErrorCode::kMalformed);
  }
}

TEST_CASE("safetensors refuses control characters in tensor names and takes any other script") {
  for (const std::string_view name : {"a\\u0000", "a\\nb", "\\u001b[2J", "a\\u007f", "\\u0085", "a\xc2\x9b"}) {
    refuses("{" + record(name, "U8", "1", "0,1") + "}", 1, ErrorCode::kMalformed, "control character");
  }
  const auto header = parse("{" + record("\xe5\xb1\x82.\xc2\xa0", "U8", "1", "0,1") + "}", 1);
  REQUIRE(header.has_value());
  CHECK(header->tensors[0].name == "\xe5\xb1\x82.\xc2\xa0");
}

TEST_CASE("safetensors refuses repeated metadata") {
  refuses(R"({"__metadata__":{"k":"1","\u006b":"2"}})", 0, ErrorCode::kMalformed, "metadata key 'k' is there twice");
  refuses(R"({"__metadata__":{},"__metadata__":{}})", 0, ErrorCode::kMalformed, "twice");
}

TEST_CASE("safetensors names the tensor, the expected and the found value") {
  refuses("{" + record("blocks.0.w", "F16", "4,2", "0,8") + "}", 8, ErrorCode::kMalformed,
          "tensor 'blocks.0.w', F16 [4, 2]: expected 16 bytes, found 8");
  refuses("{" + record("a", "U8", "2", "0,2") + "," + record("b", "U8", "2", "1,3") + "}", 3, ErrorCode::kMalformed,
          "tensor 'b' begins at byte 1 of the data; expected 2 (tensors overlap)");
  refuses("{" + record("a", "U8", "2", "0,2") + "}", 1, ErrorCode::kTruncated,
          "tensor 'a' ends at byte 2 of the data, which has 1 bytes");
}

TEST_CASE("safetensors refuses a zero-size tensor that begins inside another one") {
  refuses("{" + record("a", "U8", "4", "0,4") + "," + record("z", "U8", "0", "2,2") + "}", 4, ErrorCode::kMalformed,
          "begins at byte 2");
  CHECK(parse("{" + record("a", "U8", "4", "0,4") + "," + record("z", "U8", "0", "4,4") + "}", 4).has_value());
}

TEST_CASE("safetensors limits the number of tensors and of metadata entries, and the bytes of text") {
  std::string many = "{";
  for (size_t i = 0; i <= kMaxTensorsPerFile; ++i) many += record(concat(i), "U8", "0", "0,0") + ",";
  many.back() = '}';
  refuses(many, 0, ErrorCode::kTooLarge, "more than 131072 tensors");

  std::string entries = "{\"__metadata__\":{";
  for (size_t i = 0; i <= kMaxMetadataEntries; ++i) entries += concat('"', i, "\":\"\",");
  entries.back() = '}';
  refuses(entries + "}", 0, ErrorCode::kTooLarge, "more than 65536 entries");

  refuses("{}" + std::string(kMaxSafetensorsTokenBytes + 1, ' '), 0, ErrorCode::kTooLarge, "gap of more than");

  const std::string long_name(kMaxSafetensorsTokenBytes + 1, 'n');
  refuses("{" + record(long_name, "U8", "0", "0,0") + "}", 0, ErrorCode::kTooLarge, "of more than 4194304 bytes");

  std::string metadata = "{\"__metadata__\":{";
  for (const char key : {'a', 'b', 'c', 'd', 'e'}) {
    metadata += concat('"', key, "\":\"", std::string(kMaxSafetensorsTextBytes / 4 - 8, 'v'), "\",");
  }
  metadata.back() = '}';
  refuses(metadata + "}", 0, ErrorCode::kTooLarge, "names and metadata");
}

TEST_CASE("safetensors rejects a header longer than the file") {
  const auto length_field = [](uint64_t length) {
    test::Bytes bytes;
    for (size_t i = 0; i < 8; ++i) bytes.push_back(static_cast<std::byte>(length >> (8 * i) & 0xff));
    return bytes;
  };
  const auto code = [&](uint64_t length, uint64_t file_size) {
    const auto result = safetensors_header_bytes(length_field(length), file_size);
    return result ? ErrorCode{} : result.error().code;
  };
  CHECK(safetensors_header_bytes(length_field(92), 100) == 92u);
  CHECK(code(93, 100) == ErrorCode::kTruncated);
  CHECK(code(0, 100) == ErrorCode::kMalformed);
  CHECK(code(kMaxSafetensorsHeaderBytes, 8 + kMaxSafetensorsHeaderBytes) == ErrorCode{});
  CHECK(code(kMaxSafetensorsHeaderBytes + 1, UINT64_MAX) == ErrorCode::kTooLarge);
  CHECK(code(UINT64_MAX, UINT64_MAX) == ErrorCode::kTooLarge);
  CHECK(code(UINT64_MAX - 7, 100) == ErrorCode::kTooLarge);
  CHECK(code(1, 7) == ErrorCode::kTruncated);
  CHECK(safetensors_header_bytes(test::Bytes(7), 100).error().code == ErrorCode::kTruncated);
}

}  // namespace sutra
