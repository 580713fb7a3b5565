// Against the logits processors of transformers 5.12.1.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sample/sampler.h"
#include "support/files.h"

namespace sutra::sample {
namespace {

using nlohmann::json;

// The reference's own tolerance (case.json), for cases whose decisions are not closer than that.
constexpr double kTolerance = 1e-5;

// Cases with settings that this sampler has, and whose kept set does not depend on a sort's stability.
size_t check_folder(const std::string& folder) {
  std::vector<std::vector<float>> vectors;
  for (const json& vector : json::parse(test::read_text(folder + "/logits.json"))) {
    auto& logits = vectors.emplace_back();
    for (const json& value : vector) {
      logits.push_back(value.is_null() ? -std::numeric_limits<float>::infinity() : value.get<float>());
    }
  }
  size_t n_checked = 0;
  std::ifstream file(folder + "/cases.jsonl");
  for (std::string line; std::getline(file, line);) {
    const json one = json::parse(line);
    Options options;
    bool is_known = true;
    for (const auto& [name, value] : one["settings"].items()) {
      if (name == "temperature") {
        options.temperature = value;
      } else if (name == "top_k") {
        options.top_k = value;
      } else if (name == "top_p") {
        options.top_p = value;
      } else if (name == "min_p") {
        options.min_p = value;
      } else if (name == "repetition_penalty") {
        options.repetition_penalty = value;
      } else {
        is_known = false;
      }
    }
    const bool is_tied = one["ties"].get<bool>() && options.top_p < 1;
    const json& margin = one["decision_margin"];
    if (!is_known || is_tied || (!margin.is_null() && margin.get<double>() <= kTolerance)) continue;
    INFO("case " << one["id"] << " vector " << one["vec"] << " " << one["settings"].dump());
    const auto& logits = vectors[one["vec"].get<size_t>()];
    REQUIRE(validated(options).has_value());
    Sampler sampler(options, logits.size());
    for (const json& id : one["previous_tokens"]) sampler.accept(id.get<int32_t>());
    std::vector<float> got(logits.size());
    REQUIRE(sampler.probabilities(logits, got).has_value());
    REQUIRE(one["probs"].size() == got.size());
    double worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::fabs(static_cast<double>(got[i]) - one["probs"][i].get<double>()));
    }
    CHECK(worst <= kTolerance);
    ++n_checked;
  }
  return n_checked;
}

TEST_CASE("the sampler's probabilities are those of transformers' processors") {
  CHECK(check_folder(test::golden_path("sample")) > 30);
}

TEST_CASE("the sampler's probabilities are those of the shared sampling goldens") {
  if (const auto folder = test::shared_path("golden/sampling/transformers")) CHECK(check_folder(*folder) > 200);
}

}  // namespace
}  // namespace sutra::sample
