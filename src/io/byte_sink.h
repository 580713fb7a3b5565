// Where written bytes go: a file (io/file.h), memory, or whatever a binding offers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/error.h"

namespace sutra {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Appends all of `bytes`; after an error the sink is of no further use.
  virtual Status write(std::span<const std::byte> bytes) = 0;
};

class MemorySink final : public ByteSink {
 public:
  Status write(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return {};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace sutra
