#include "io/config.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <string>

namespace sutra {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

JsonObject object(std::string_view text) {
  auto result = JsonObject::parse(text, "config.json");
  CAPTURE(text);
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}

template <class T>
void fails(const Result<T>& result, ErrorCode code, std::string_view message) {
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == code);
  CHECK(result.error().message == message);
}

}  // namespace

TEST_CASE("config reads each type") {
  const JsonObject json = object(R"({"n": 7, "x": 1e-5, "b": true, "s": "silu", "i": [1, 2], "f": [0.5, 1],
                                     "t": ["A", "B"], "o": {"bits": 4}, "nothing": null, "minus": -3})");
  CHECK(json.required_uint("n", 1, 7) == 7u);
  CHECK(json.required_float("x") == 1e-5);
  CHECK(json.required_float("n") == 7.0);
  CHECK(json.required_float("minus") == -3.0);
  CHECK(json.required_bool("b") == true);
  CHECK(json.required_string("s") == "silu");
  CHECK(json.optional_uints("i") == std::vector<uint64_t>{1, 2});
  CHECK(json.optional_floats("f") == std::vector<double>{0.5, 1.0});
  CHECK(json.optional_strings("t") == std::vector<std::string>{"A", "B"});
  const auto nested = json.optional_object("o");
  REQUIRE((nested.has_value() && nested->has_value()));
  CHECK((*nested)->required_uint("bits", 2, 8) == 4u);
  CHECK(json.keys() == std::vector<std::string>{"b", "f", "i", "minus", "n", "nothing", "o", "s", "t", "x"});
}

TEST_CASE("config takes an absent key and null for absent") {
  const JsonObject json = object(R"({"null": null})");
  for (const std::string_view key : {"null", "absent"}) {
    CHECK_FALSE(json.has(key));
    CHECK(json.optional_uint(key, 9, 1, 5) == 9u);
    CHECK(json.optional_float(key, 0.5) == 0.5);
    CHECK(json.optional_bool(key, true) == true);
    CHECK(json.optional_string(key, "x") == "x");
    CHECK(json.optional_uints(key).value().empty());
    CHECK_FALSE(json.optional_object(key)->has_value());
    fails(json.required_uint(key, 0, 1), ErrorCode::kNotFound, concat("config.json: '", key, "' is missing"));
  }
}

TEST_CASE("config names file, key, expected and found in every type error") {
  const JsonObject json = object(R"({"n": "7", "x": [1], "b": 1, "s": true, "i": [1, -2], "o": 3, "u": 2.0})");
  constexpr auto kMalformed = ErrorCode::kMalformed;
  fails(json.required_uint("n", 0, 9), kMalformed, "config.json: expected 'n' to be an integer >= 0, found a string");
  fails(json.required_uint("u", 0, 9), kMalformed, "config.json: expected 'u' to be an integer >= 0, found a number");
  fails(json.required_float("x"), kMalformed, "config.json: expected 'x' to be a number, found an array");
  fails(json.required_bool("b"), kMalformed, "config.json: expected 'b' to be a boolean, found an integer");
  fails(json.required_string("s"), kMalformed, "config.json: expected 's' to be a string, found a boolean");
  fails(json.optional_uints("i"), kMalformed,
        "config.json: expected 'i[1]' to be an array of integers >= 0, found a negative integer");
  fails(json.optional_object("o"), kMalformed, "config.json: expected 'o' to be an object, found an integer");
  // A present key of a wrong type is never silently replaced by the fallback.
  fails(json.optional_uint("n", 1, 0, 9), kMalformed,
        "config.json: expected 'n' to be an integer >= 0, found a string");
}

TEST_CASE("config checks ranges and refuses NaN in every range") {
  const JsonObject json = object(R"({"n": 7, "x": 2.5, "nan": NaN, "o": {"bits": 3}})");
  fails(json.required_uint("n", 8, 16), ErrorCode::kMalformed, "config.json: expected 'n' to be from 8 to 16, found 7");
  fails(json.required_float("x", 0.0, 1.0), ErrorCode::kMalformed,
        "config.json: expected 'x' to be from 0 to 1, found 2.5");
  fails(json.required_float("nan"), ErrorCode::kMalformed,
        "config.json: expected 'nan' to be from -inf to inf, found nan");
  fails(json.optional_object("o").value()->required_uint("bits", 4, 8), ErrorCode::kMalformed,
        "config.json: o: expected 'bits' to be from 4 to 8, found 3");
}

TEST_CASE("config reads infinity in both spellings of transformers") {
  const JsonObject json = object(
      R"({"bare": [0.0, Infinity, -Infinity], "object": [0.0, {"__float__": "Infinity"}, {"__float__": "-Infinity"}],
          "text": "a \" Infinity", "word": Infinity})");
  CHECK(json.optional_floats("bare") == std::vector<double>{0.0, kInfinity, -kInfinity});
  CHECK(json.optional_floats("object") == std::vector<double>{0.0, kInfinity, -kInfinity});
  CHECK(json.required_string("text") == "a \" Infinity");
  CHECK(json.required_float("word") == kInfinity);
  for (const std::string_view text : {R"({"a": Infinit})", R"({"a": Infinityx})", R"({"a": xInfinity})",
                                      R"({"a": --Infinity})", R"({Infinity: 1})", R"({"a": 1Infinity})"}) {
    CAPTURE(text);
    CHECK_FALSE(JsonObject::parse(text, "c").has_value());
  }
  fails(object(R"({"a": {"__float__": "huge"}})").required_float("a"), ErrorCode::kMalformed,
        "config.json: expected 'a' to be a number, found an object");
}

TEST_CASE("config refuses texts that are not one object with distinct keys") {
  const std::pair<std::string_view, ErrorCode> kTexts[] = {
      {"", ErrorCode::kMalformed},
      {"[]", ErrorCode::kMalformed},
      {"{", ErrorCode::kMalformed},
      {"{} x", ErrorCode::kMalformed},
      {"null", ErrorCode::kMalformed},
      {R"({"a":1,})", ErrorCode::kMalformed},
      {R"({"a":1,"\u0061":2})", ErrorCode::kMalformed},
      {R"({"o":{"a":1,"a":2}})", ErrorCode::kMalformed},
      {"\xef\xbb\xbf{}", ErrorCode::kMalformed},
      {R"({"a":1e999})", ErrorCode::kMalformed},
      {"{\"a\":\"\xff\"}", ErrorCode::kMalformed},
  };
  for (const auto& [text, code] : kTexts) {
    CAPTURE(text);
    const auto json = JsonObject::parse(text, "config.json");
    REQUIRE_FALSE(json.has_value());
    CHECK(json.error().code == code);
    CHECK(json.error().message.starts_with("config.json: "));
  }
  CHECK(JsonObject::parse(std::string(1000, '['), "c").error().code == ErrorCode::kTooLarge);
  CHECK(JsonObject::parse(std::string(kMaxConfigBytes + 1, ' '), "c").error().code == ErrorCode::kTooLarge);
  CHECK(JsonObject::parse(std::string("{}\0", 3), "c").error().code == ErrorCode::kMalformed);
}

TEST_CASE("config override replaces a value, adds a key, and is refused when nobody reads it") {
  JsonObject json = object(R"({"eps": 1e-5, "act": "silu", "n": 3})");
  REQUIRE(json.override_value("eps=64e-5").has_value());
  REQUIRE(json.override_value("act=gelu=new").has_value());
  REQUIRE(json.override_value("added=[1,2]").has_value());
  REQUIRE(json.override_value("n=null").has_value());
  CHECK(json.required_float("eps") == 64e-5);
  CHECK(json.required_string("act") == "gelu=new");
  CHECK(json.optional_uint("n", 8, 0, 9) == 8u);
  const auto unread = json.refuse_unread_overrides();
  REQUIRE_FALSE(unread.has_value());
  CHECK(unread.error().code == ErrorCode::kInvalidArgument);
  CHECK(unread.error().message == "config.json: the override 'added' is not a key that this model reads");
  CHECK(json.optional_uints("added") == std::vector<uint64_t>{1, 2});
  CHECK(json.refuse_unread_overrides().has_value());
  CHECK(json.override_value("no-equals").error().code == ErrorCode::kInvalidArgument);
  CHECK(json.override_value("=1").error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("config text keeps every value, and spells infinities as every version of transformers reads them") {
  JsonObject json = object(
      "{\"eps\": 1e-5, \"third\": 0.3333333333333333, \"ratio\": 4.0, \"n\": 18446744073709551615, \"minus\": -3, "
      "\"limit\": [0.0, Infinity], \"new\": {\"__float__\": \"-Infinity\"}, \"said\": \"{\\\"__float__\\\": "
      "\\\"NaN\\\"}\", "
      "\"none\": null, \"yes\": true, \"gone\": {\"a\": []}}");
  REQUIRE(json.override_value("n=7").has_value());
  json.remove("gone");
  CHECK(json.text() == R"({
  "eps": 1e-05,
  "third": 0.3333333333333333,
  "ratio": 4.0,
  "n": 7,
  "minus": -3,
  "limit": [0.0, Infinity],
  "new": -Infinity,
  "said": "{\"__float__\": \"NaN\"}",
  "none": null,
  "yes": true
}
)");
  CHECK(object(json.text()).text() == json.text());
  CHECK(object("{}").text() == "{\n}\n");
  CHECK(object(R"({"a": {"__float__": "NaN", "b": 1}, "c": {"__float__": "inf"}})").text() ==
        "{\n  \"a\": {\"__float__\": \"NaN\", \"b\": 1},\n  \"c\": {\"__float__\": \"inf\"}\n}\n");
}

TEST_CASE("config override of the wrong type is refused where it is read") {
  JsonObject json = object(R"({"n": 3})");
  REQUIRE(json.override_value("n=many").has_value());
  fails(json.required_uint("n", 0, 9), ErrorCode::kMalformed,
        "config.json: expected 'n' to be an integer >= 0, found a string");
}

}  // namespace sutra
