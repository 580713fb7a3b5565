// What every exported function gives back: one fixed struct that module_heap.ts reads from memory, good until the next call.
// Nothing is thrown across the boundary: an exception of JavaScript's would skip destructors here.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/error.h"

namespace sutra::wasm {

// Mirrored in bindings/js/module_heap.ts.
struct Reply {
  uint32_t code = 0;  // 0, or the ErrorCode
  uint32_t text = 0;  // address and bytes of UTF-8: the error's message, or the call's text
  uint32_t text_bytes = 0;
  uint32_t data = 0;  // address and bytes of numbers or a file
  uint32_t data_bytes = 0;
  uint32_t padding = 0;
  std::array<double, 10> values{};
};
static_assert(sizeof(void*) == 4 && sizeof(Reply) == 24 + 10 * 8);

class Outbox {
 public:
  const Reply* ok(std::initializer_list<double> values = {}, std::string text = {}) {
    SUTRA_ASSERT(values.size() <= reply_.values.size());
    reply_ = Reply{};
    std::copy(values.begin(), values.end(), reply_.values.begin());
    set_text(std::move(text));
    return &reply_;
  }

  // The bytes are kept for the caller to copy.
  const Reply* ok(std::vector<std::byte> data) {
    data_ = std::move(data);
    return view(std::span<const std::byte>(data_));
  }

  // The numbers stay where they are: they must outlive the reply.
  template <class T>
  const Reply* view(std::span<const T> numbers, std::initializer_list<double> values = {}, std::string text = {}) {
    const std::span<const std::byte> bytes = std::as_bytes(numbers);
    ok(values, std::move(text));
    reply_.data = address(bytes.data());
    reply_.data_bytes = static_cast<uint32_t>(bytes.size());
    return &reply_;
  }

  const Reply* failed(Error error) {
    reply_ = Reply{};
    reply_.code = static_cast<uint32_t>(error.code);
    set_text(std::move(error.message));
    return &reply_;
  }

  const Reply* of(Status status) { return status ? ok() : failed(std::move(status).error()); }

 private:
  static uint32_t address(const void* pointer) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pointer)); }
  void set_text(std::string text) {
    text_ = std::move(text);
    reply_.text = address(text_.data());
    reply_.text_bytes = static_cast<uint32_t>(text_.size());
  }

  Reply reply_;
  std::string text_;
  std::vector<std::byte> data_;
};

}  // namespace sutra::wasm
