// Python pickles read as data: nothing is imported, called or executed.
//
// The program of a pickle builds values on a stack. Here it builds a tree of plain values; a name of Python's (GLOBAL)
// must be on the caller's list, and a call (REDUCE) is recorded as the name and its arguments, for the caller to
// understand. Objects' own state (BUILD) is dropped. Source: Python's pickletools, protocols 0 to 5.
//
// Files are untrusted. kUnsupported: an opcode that is not listed in pickle.cpp, a name that is not allowed, a call of
// something else. kMalformed: a program that breaks its own stack. kTooLarge: over a limit below. kTruncated: the bytes
// end before STOP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace sutra {

inline constexpr size_t kMaxPickleBytes = size_t{1} << 30;  // offsets of texts are kept in 32 bits
inline constexpr size_t kMaxPickleOpcodes = size_t{1} << 20;
inline constexpr size_t kMaxPickleMemo = size_t{1} << 20;
inline constexpr size_t kMaxPickleDepth = 64;
inline constexpr size_t kMaxPickleTextBytes = size_t{1} << 16;  // one text

class Pickle {
 public:
  // Index of a value. Values may be shared, and a container may hold itself: who walks them bounds the walk.
  using Id = uint32_t;
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kLong,  // an integer beyond 64 bits: text() is its bytes, little-endian, two's complement
    kFloat,
    kText,
    kBytes,
    kName,        // text(): "module.name"
    kTuple,       // items()
    kList,        // items()
    kDict,        // items(): key, value, key, value, …
    kCall,        // items(): a kName, and the tuple of arguments
    kPersistent,  // items(): what the program calls a persistent id
  };

  // Reads one pickle from the beginning of `bytes`; more may follow it. `allowed` are the names it may use, as
  // "module.name"; collections.OrderedDict() is a kDict and need not be among them.
  static Result<Pickle> parse(std::span<const std::byte> bytes, std::span<const std::string_view> allowed);

  [[nodiscard]] Id root() const { return root_; }
  [[nodiscard]] size_t n_bytes() const { return n_bytes_; }  // of the pickle, STOP included
  [[nodiscard]] Kind kind(Id id) const { return values_[id].kind; }
  [[nodiscard]] bool boolean(Id id) const { return values_[id].bits != 0; }
  [[nodiscard]] int64_t integer(Id id) const { return static_cast<int64_t>(values_[id].bits); }
  [[nodiscard]] double number(Id id) const;
  [[nodiscard]] std::string_view text(Id id) const;
  [[nodiscard]] std::span<const Id> items(Id id) const { return containers_[static_cast<size_t>(values_[id].bits)]; }

 private:
  friend class PickleMachine;
  struct Value {
    Kind kind = Kind::kNone;
    uint64_t bits = 0;  // the value; for texts offset << 32 | length; for containers an index
  };

  std::vector<Value> values_;
  std::vector<std::vector<Id>> containers_;
  std::string texts_;
  Id root_ = 0;
  size_t n_bytes_ = 0;
};

}  // namespace sutra
