// Objects that JavaScript names by number. A number is never used twice, so a stale one finds nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace sutra::wasm {

template <class T>
class Slots {
 public:
  uint32_t add(T value) {
    objects_.emplace(++last_, std::make_unique<T>(std::move(value)));
    return last_;
  }
  // Its address stays until remove(); null for a number that is not in use.
  [[nodiscard]] T* find(uint32_t number) const {
    const auto found = objects_.find(number);
    return found == objects_.end() ? nullptr : found->second.get();
  }
  void remove(uint32_t number) { objects_.erase(number); }

 private:
  std::map<uint32_t, std::unique_ptr<T>> objects_;
  uint32_t last_ = 0;
};

}  // namespace sutra::wasm
