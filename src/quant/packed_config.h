// How a file says that its matrices are packed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sutra {

// The Hugging Face AWQ layout (awq_format.h), and the two of packed_rows.h.
enum class PackedLayout : uint8_t { kAwqGemm, kAwqGemv, kPackQuantized };

struct PackedConfig {
  PackedLayout layout = PackedLayout::kAwqGemm;
  size_t group_size = 128;  // 0: one group a row
  int bits = 4;             // 8: of kAwqGemm
  // Of matrices whose groups are of another size, by the name before .qweight. Of kAwqGemm.
  std::vector<std::pair<std::string, size_t>> other_group_sizes = {};
};

}  // namespace sutra
