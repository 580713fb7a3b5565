#include "base/json.h"

#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

namespace sutra {
namespace {

// Writes the events down.
class Recorder final : public JsonHandler {
 public:
  Status scalar(JsonScalar value) override {
    log += json_kind(value);
    log += ' ';
    return {};
  }
  Status key(std::string name) override {
    if (name == "stop") return fail(ErrorCode::kCancelled, "the handler stops");
    log += name + ":";
    return {};
  }
  Status start_object() override { return add("{ "); }
  Status end_object() override { return add("} "); }
  Status start_array() override { return add("[ "); }
  Status end_array() override { return add("] "); }

  std::string log;

 private:
  Status add(std::string_view text) {
    log += text;
    return {};
  }
};

ErrorCode error_of(std::string_view text, const JsonLimits& limits = {}) {
  Recorder recorder;
  const auto status = read_json(text, recorder, limits);
  return status ? ErrorCode{} : status.error().code;
}

}  // namespace

TEST_CASE("json events tell the kinds of numbers apart") {
  Recorder recorder;
  REQUIRE(
      read_json(R"( {"a": [1, -1, -0, 1.0, 18446744073709551615, 18446744073709551616, true, null, "s"], "b": {}} )",
                recorder)
          .has_value());
  CHECK(recorder.log ==
        "{ a:[ an integer a negative integer a negative integer a number an integer a number a boolean null a string ] "
        "b:{ } } ");
}

TEST_CASE("json refuses what RFC 8259 does not allow") {
  for (const std::string_view text : {"",
                                      " ",
                                      "{",
                                      "}",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "{'a':1}",
                                      "{a:1}",
                                      "[1 2]",
                                      "[] []",
                                      "nul",
                                      "[01]",
                                      "[.5]",
                                      "[1.]",
                                      "[+1]",
                                      "[NaN]",
                                      "[Infinity]",
                                      "[\"\\x\"]",
                                      "[\"\\ud800\"]",
                                      "[\"\\udc00\\ud800\"]",
                                      "[\"a\nb\"]",
                                      "// c\n[]",
                                      "[\"\xc0\x80\"]",
                                      "[\"\xed\xa0\x80\"]",
                                      "[\"\xf4\x90\x80\x80\"]",
                                      "[\"\xe2\x82\"]",
                                      "\xef\xbb\xbf[]",
                                      "[1e999]"}) {
    CAPTURE(text);
    CHECK(error_of(text) == ErrorCode::kMalformed);
  }
  CHECK(error_of(std::string_view("[]\0", 3)) == ErrorCode::kMalformed);
  CHECK(error_of(std::string_view("[]\0{", 4)) == ErrorCode::kMalformed);
  CHECK(error_of("[\"\\") == ErrorCode::kMalformed);
}

TEST_CASE("json limits depth and the length of one token") {
  const JsonLimits limits{.max_depth = 3, .max_token_bytes = 4};
  CHECK(error_of("[[[]]]", limits) == ErrorCode{});
  CHECK(error_of("[[[[]]]]", limits) == ErrorCode::kTooLarge);
  CHECK(error_of("[{\"a\":{}}]", limits) == ErrorCode{});
  CHECK(error_of("[{\"a\":{\"b\":[]}}]", limits) == ErrorCode::kTooLarge);
  CHECK(error_of("[\"abcd\",\"\\\"\\\"\"]", limits) == ErrorCode{});
  CHECK(error_of("[\"abcde\"]", limits) == ErrorCode::kTooLarge);
  CHECK(error_of("{\"abcde\":1}", limits) == ErrorCode::kTooLarge);
  CHECK(error_of("[1234,   1]", limits) == ErrorCode{});
  CHECK(error_of("[12345]", limits) == ErrorCode::kTooLarge);
  CHECK(error_of("[     1]", limits) == ErrorCode::kTooLarge);
  CHECK(error_of("[]     ", limits) == ErrorCode::kTooLarge);
  // Siblings do not add up.
  CHECK(error_of("[[],[],[[]],[[]]]", limits) == ErrorCode{});
}

TEST_CASE("json passes the handler's error on and stops there") {
  Recorder recorder;
  const auto status = read_json(R"({"a":1,"stop":2,"b":3)", recorder);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == ErrorCode::kCancelled);
  CHECK(recorder.log == "{ a:an integer ");
}

TEST_CASE("json quotes any bytes as a literal") {
  CHECK(json_quote("a\"\\\n\x01/") == "\"a\\\"\\\\\\n\\u0001/\"");
  CHECK(json_quote("\xe5\xb1\x82") == "\"\xe5\xb1\x82\"");
  CHECK(json_quote("a\xff") == "\"a\xef\xbf\xbd\"");
  CHECK(json_quote("") == "\"\"");
}

}  // namespace sutra
