// Any bytes as a config.json, as an override, and as a shard index. Promises: no crash; an error has a message; a file
// name that is accepted cannot leave its folder; whatever is in an object can be asked for by every getter.
#include <string>
#include <string_view>

#include "fuzz.h"
#include "io/config.h"
#include "io/model_files.h"

namespace {

using namespace sutra;

template <class T>
void check(const Result<T>& result) {
  FUZZ_CHECK(result.has_value() || !result.error().message.empty());
}

void read_everything(const JsonObject& json, int depth) {
  for (const std::string& key : json.keys()) {
    const auto number = json.optional_uint(key, 3, 2, 9);
    check(number);
    FUZZ_CHECK(!number || (*number >= 2 && *number <= 9));
    const auto fraction = json.optional_float(key, 0.5);
    check(fraction);
    FUZZ_CHECK(!fraction || *fraction == *fraction);
    check(json.optional_bool(key, true));
    check(json.optional_string(key, "x"));
    check(json.optional_uints(key));
    check(json.optional_floats(key));
    check(json.optional_strings(key));
    const auto nested = json.optional_object(key);
    check(nested);
    if (depth < 3 && nested && *nested) read_everything(**nested, depth + 1);
  }
  FUZZ_CHECK(json.refuse_unread_overrides().has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  auto json = sutra::JsonObject::parse(text, "config.json");
  check(json);
  if (json) read_everything(*json, 0);

  auto overridden = sutra::JsonObject::parse("{\"a\": 1}", "config.json");
  FUZZ_CHECK(overridden.has_value());
  if (overridden->override_value(text)) read_everything(*overridden, 0);

  const auto index = sutra::parse_shard_index(text, "index");
  check(index);
  if (index) {
    FUZZ_CHECK(!index->files.empty());
    for (const std::string& file : index->files) {
      FUZZ_CHECK(!file.empty() && file != "." && file != "..");
      FUZZ_CHECK(file.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos);
    }
  }
  return 0;
}
