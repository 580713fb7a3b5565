#include "base/text.h"

#include <cstdio>

namespace sutra {

void append_part(std::string& out, double part) {
  char buffer[32];
  const int length = std::snprintf(buffer, sizeof buffer, "%.6g", part);
  out.append(buffer, static_cast<size_t>(length));
}

std::string printable(std::string_view bytes) {
  constexpr size_t kMaxLength = 80;
  std::string out;
  for (const char byte : bytes) {
    if (out.size() >= kMaxLength) return out + "...";
    out += byte >= 0x20 && byte < 0x7f ? byte : '?';
  }
  return out;
}

}  // namespace sutra
