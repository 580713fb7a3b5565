// Files of the operating system (POSIX). Native builds only: in wasm bytes come from JavaScript.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/byte_sink.h"

namespace sutra {

inline constexpr size_t kFileChunkBytes = size_t{1} << 20;

class InputFile {
 public:
  // kNotFound: no such file; kIo: anything else, folders and devices included.
  static Result<InputFile> open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  ~InputFile();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] uint64_t size() const { return size_; }
  // Fills `out` from `offset`; returns fewer bytes only at the end of the file.
  Result<size_t> read_at(uint64_t offset, std::span<std::byte> out) const;

 private:
  InputFile(std::string path, int descriptor, uint64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}
  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// The whole of a small text file; kTooLarge over max_bytes, before anything is read.
Result<std::string> read_text_file(const std::string& path, uint64_t max_bytes);

// Plain names of the regular files in a folder, sorted.
Result<std::vector<std::string>> list_folder(const std::string& path);
[[nodiscard]] bool is_folder(const std::string& path);
// Creates the folder and its parents; fine when it is there.
Status create_folders(const std::string& path);

// A file that appears under its name complete or not at all: written to a temporary file beside it, synced, and
// renamed by commit(). Without commit() the destructor removes the temporary file and the old one is untouched.
class AtomicFile final : public ByteSink {
 public:
  static Result<AtomicFile> create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile() override;

  Status write(std::span<const std::byte> bytes) override;
  Status commit();

 private:
  AtomicFile(std::string path, std::string temporary, int descriptor)
      : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}
  std::string path_;
  std::string temporary_;  // empty once committed
  int descriptor_ = -1;
};

Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes);

}  // namespace sutra
