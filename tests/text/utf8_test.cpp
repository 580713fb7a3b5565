#include "text/utf8.h"

#include "text/golden_support.h"

namespace sutra::text {
namespace {

std::string repaired(std::string_view bytes) {
  Utf8Repair repair;
  std::string out;
  repair.append(bytes, out);
  repair.finish(out);
  return out;
}

TEST_CASE("each maximal ill-formed part becomes one replacement character") {
  // Unicode 15.0, section 3.9, tables 3-8 to 3-11.
  const std::string r = "\xef\xbf\xbd";
  CHECK(repaired("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64") ==
        "a" + r + r + r + "b" + r + "c" + r + r + "d");
  CHECK(repaired("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(repaired("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(repaired("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42") == r + r + r + r + r + "A" + r + r + "B");
  CHECK(repaired("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41") == r + r + r + r + "A");
}

TEST_CASE("well-formed text passes repair unchanged, NUL and the last code point too") {
  const std::string text("a\0\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                         24);
  CHECK(valid_utf8_prefix(text) == text.size());
  CHECK(repaired(text) == text);
}

TEST_CASE("every scalar value is written and read back") {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c == 0xd800) c = 0xe000;
    std::string bytes;
    append_utf8(bytes, c);
    const CodePoint read = decode_utf8(bytes, 0);
    if (read.value != c || !read.well_formed || read.length != bytes.size()) FAIL("U+" << std::hex << uint32_t{c});
  }
}

TEST_CASE("repair gives the same text however the bytes are cut") {
  const std::string bytes = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x82\x28\xf0\x9f\x98\xff\xc3";
  const std::string whole = repaired(bytes);
  for (size_t first = 0; first <= bytes.size(); ++first) {
    for (size_t second = first; second <= bytes.size(); ++second) {
      Utf8Repair repair;
      std::string out;
      repair.append(std::string_view(bytes).substr(0, first), out);
      repair.append(std::string_view(bytes).substr(first, second - first), out);
      repair.append(std::string_view(bytes).substr(second), out);
      repair.finish(out);
      CHECK(out == whole);
    }
  }
}

TEST_CASE("repair agrees with the shared UTF-8 cases") {
  const auto path = test::shared_path("conformance/utf8/cases.jsonl");
  if (!path) return;
  for (const auto& one : read_json_lines(*path)) {
    INFO(one.dump());
    const std::string bytes = from_hex(one["hex"]);
    CHECK((valid_utf8_prefix(bytes) == bytes.size()) == one["valid"].get<bool>());
    CHECK(repaired(bytes) == (one["valid"].get<bool>() ? bytes : from_hex(one["replace_hex"])));
  }
}

}  // namespace
}  // namespace sutra::text
