// Small text helpers; std::format is not in g++ 12.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace sutra {

inline void append_part(std::string& out, std::string_view part) { out += part; }
inline void append_part(std::string& out, char part) { out += part; }
template <std::integral T>
requires(!std::same_as<T, char> && !std::same_as<T, bool>) void append_part(std::string& out, T part) {
  out += std::to_string(part);
}
// Doubles keep six significant digits: messages are for people.
void append_part(std::string& out, double part);

// Strings, characters, integers and doubles, one after the other.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::string out;
  (append_part(out, parts), ...);
  return out;
}

// Bytes from a file as printable ASCII of at most 80 characters, for error messages.
std::string printable(std::string_view bytes);

}  // namespace sutra
