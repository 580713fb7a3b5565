// SHA-256 (FIPS 180-4), streaming: the model hash in saved states, and downloads against catalog.json.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sutra {

using Sha256Digest = std::array<std::byte, 32>;

class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  // The digest of all bytes so far; the object must not be used afterwards.
  Sha256Digest finish();

 private:
  void compress(const std::byte* block);

  std::array<uint32_t, 8> state_;
  std::array<std::byte, 64> block_{};
  size_t block_filled_ = 0;
  uint64_t n_bytes_ = 0;
};

Sha256Digest sha256(std::span<const std::byte> bytes);
// 64 lower-case hexadecimal digits.
std::string to_hex(const Sha256Digest& digest);

}  // namespace sutra
