// Where the characters of a rewritten text come from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace sutra::text {

// Maps bytes of a rewritten text to bytes of its source. Stretches that were copied cost one entry, each
// character that was written costs one.
class Alignment {
 public:
  // The next `length` bytes equal the source from `source` on.
  void copied(size_t length, size_t source) {
    if (length > 0) parts_.push_back({size_, source, source, true});
    size_ += length;
  }
  // The next `length` bytes are one character that stands for source bytes [source, source_end).
  void written(size_t length, Offset source) {
    parts_.push_back({size_, source.begin, source.end, false});
    size_ += length;
  }

  // The source of bytes [begin, end) that start and end between characters. Precondition: begin < end.
  [[nodiscard]] Offset source_of(Offset bytes) const;

 private:
  struct Part {
    size_t begin;   // in the rewritten text
    size_t source;  // first byte of the source
    size_t source_end;
    bool copied;  // source_end unused: each byte has its own source
  };
  [[nodiscard]] const Part& part_at(size_t byte) const;

  std::vector<Part> parts_;
  size_t size_ = 0;
};

struct Rewritten {
  std::string text;
  Alignment alignment;
};

}  // namespace sutra::text
