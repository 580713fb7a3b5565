// Tokenizer goldens: JSON lines beside a tokenizer.json.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/files.h"
#include "text/tokenizer.h"

namespace sutra::text {

inline std::vector<nlohmann::json> read_json_lines(const std::string& path) {
  std::vector<nlohmann::json> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) out.push_back(nlohmann::json::parse(line));
  }
  REQUIRE(!out.empty());
  return out;
}

inline Tokenizer load_tokenizer_or_fail(const std::string& path) {
  auto tokenizer = Tokenizer::from_json(test::read_bytes(path));
  INFO(path << ": " << (tokenizer ? "" : tokenizer.error().message));
  REQUIRE(tokenizer.has_value());
  return *std::move(tokenizer);
}

inline Result<Tokenizer> parse_tokenizer(std::string_view json) {
  return Tokenizer::from_json(std::as_bytes(std::span(json)));
}

inline std::string from_hex(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

inline std::vector<std::vector<size_t>> pairs_of(const std::vector<Offset>& offsets) {
  std::vector<std::vector<size_t>> out;
  for (const Offset& offset : offsets) out.push_back({offset.begin, offset.end});
  return out;
}

}  // namespace sutra::text
