// Files that tests read: small copies in tests/golden/, and the larger shared set when it is there.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sutra::test {

inline std::string golden_path(std::string_view name) {
  return std::string(SUTRA_PROJECT_DIR) + "/tests/golden/" + std::string(name);
}

// A path in the shared data ($SUTRA_SHARED, else ../shared beside the project); nothing when it is not there.
inline std::optional<std::string> shared_path(std::string_view name) {
  const char* const from_environment = std::getenv("SUTRA_SHARED");
  const std::string root = from_environment != nullptr ? from_environment : SUTRA_PROJECT_DIR "/../shared";
  std::string path = root + "/" + std::string(name);
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path;
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::vector<std::byte> read_bytes(const std::string& path) {
  const std::string text = read_text(path);
  const auto* const first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

}  // namespace sutra::test
