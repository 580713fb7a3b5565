#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace sutra {
namespace {

std::unexpected<Error> system_error(std::string_view doing, std::string_view path, int code) {
  return fail(code == ENOENT || code == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo, "cannot ", doing, " '",
              printable(path), "': ", std::strerror(code));
}

}  // namespace

Result<InputFile> InputFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return system_error("open", path, errno);
  InputFile file(path, descriptor, 0);
  struct stat info;
  if (::fstat(descriptor, &info) != 0) return system_error("examine", path, errno);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::kIo, "'", printable(path), "' is not a regular file");
  file.size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<size_t> InputFile::read_at(uint64_t offset, std::span<std::byte> out) const {
  size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t n =
        ::pread(descriptor_, out.data() + filled, out.size() - filled, static_cast<off_t>(offset + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read", path_, errno);
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  return filled;
}

Result<std::string> read_text_file(const std::string& path, uint64_t max_bytes) {
  SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
  if (file.size() > max_bytes) {
    return fail(ErrorCode::kTooLarge, "'", printable(path), "' has ", file.size(), " bytes; at most ", max_bytes,
                " are allowed");
  }
  std::string text(static_cast<size_t>(file.size()), '\0');
  SUTRA_ASSIGN(const size_t n, file.read_at(0, std::as_writable_bytes(std::span(text))));
  text.resize(n);
  return text;
}

Result<std::vector<std::string>> list_folder(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator entry(path, error);
  while (!error && entry != std::filesystem::directory_iterator()) {
    std::error_code is_not_readable;
    if (entry->is_regular_file(is_not_readable)) names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  if (error) return system_error("list", path, error.value());
  std::ranges::sort(names);
  return names;
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

Status create_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return system_error("create", path, error.value());
  return {};
}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  static std::atomic<unsigned> g_counter{0};
  constexpr int kAttempts = 100;  // a name can be left from a killed process with the same id
  int code = EEXIST;
  for (int attempt = 0; attempt < kAttempts && code == EEXIST; ++attempt) {
    std::string temporary = concat(path, ".part-", ::getpid(), "-", g_counter.fetch_add(1));
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) return AtomicFile(path, std::move(temporary), descriptor);
    code = errno;
  }
  return system_error("create", path, code);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("write", path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Status AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) return system_error("write", path_, errno);
  // Network file systems report a lost write at close, so the rename waits for it.
  if (::close(std::exchange(descriptor_, -1)) != 0) return system_error("write", path_, errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return system_error("replace", path_, errno);
  temporary_.clear();
  return {};
}

Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  SUTRA_ASSIGN(AtomicFile file, AtomicFile::create(path));
  SUTRA_TRY(file.write(bytes));
  return file.commit();
}

}  // namespace sutra
