#include "io/file.h"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>

#include "base/aligned_buffer.h"
#include "io/safetensors_file.h"
#include "io/safetensors_support.h"
#include "support/files.h"
#include "support/temporary_folder.h"

namespace sutra {
namespace {

using test::TemporaryFolder;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

TEST_CASE("file reads parts and stops at the end") {
  const TemporaryFolder folder;
  REQUIRE(write_file_atomically(folder.file("f"), bytes_of("0123456789")).has_value());
  const auto file = InputFile::open(folder.file("f"));
  REQUIRE(file.has_value());
  CHECK(file->size() == 10);
  std::string part(4, '.');
  CHECK(file->read_at(3, std::as_writable_bytes(std::span(part))) == 4u);
  CHECK(part == "3456");
  CHECK(file->read_at(8, std::as_writable_bytes(std::span(part))) == 2u);
  CHECK(part == "8956");
  CHECK(file->read_at(10, std::as_writable_bytes(std::span(part))) == 0u);
}

TEST_CASE("file says what cannot be opened and why") {
  const TemporaryFolder folder;
  const auto missing = InputFile::open(folder.file("none"));
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == ErrorCode::kNotFound);
  CHECK(missing.error().message.find("none") != std::string::npos);
  CHECK(InputFile::open(folder.path()).error().code == ErrorCode::kIo);
  CHECK(list_folder(folder.file("none")).error().code == ErrorCode::kNotFound);
  CHECK(AtomicFile::create(folder.file("none/f")).error().code == ErrorCode::kNotFound);
}

TEST_CASE("file reads a text up to its limit") {
  const TemporaryFolder folder;
  REQUIRE(write_file_atomically(folder.file("f"), bytes_of("hello")).has_value());
  CHECK(read_text_file(folder.file("f"), 5) == "hello");
  CHECK(read_text_file(folder.file("f"), 4).error().code == ErrorCode::kTooLarge);
}

TEST_CASE("atomic file: the old content stays until commit, and without it nothing is left behind") {
  const TemporaryFolder folder;
  const std::string path = folder.file("f");
  REQUIRE(write_file_atomically(path, bytes_of("old")).has_value());
  {
    auto file = AtomicFile::create(path);
    REQUIRE(file.has_value());
    REQUIRE(file->write(bytes_of("new")).has_value());
    CHECK(read_text_file(path, 10) == "old");
    CHECK(folder.names().size() == 2);
  }
  CHECK(folder.names() == std::vector<std::string>{"f"});
  CHECK(read_text_file(path, 10) == "old");
  {
    auto file = AtomicFile::create(path);
    REQUIRE(file.has_value());
    REQUIRE(file->write(bytes_of("n")).has_value());
    REQUIRE(file->write(bytes_of("ew")).has_value());
    REQUIRE(file->commit().has_value());
  }
  CHECK(folder.names() == std::vector<std::string>{"f"});
  CHECK(read_text_file(path, 10) == "new");
}

TEST_CASE("atomic file: two writers of one file do not mix") {
  const TemporaryFolder folder;
  auto first = AtomicFile::create(folder.file("f"));
  auto second = AtomicFile::create(folder.file("f"));
  REQUIRE((first.has_value() && second.has_value()));
  REQUIRE(first->write(bytes_of("first")).has_value());
  REQUIRE(second->write(bytes_of("second")).has_value());
  REQUIRE(second->commit().has_value());
  REQUIRE(first->commit().has_value());
  CHECK(read_text_file(folder.file("f"), 10) == "first");
}

TEST_CASE("atomic file: a target that cannot be replaced is an error and leaves no temporary file") {
  const TemporaryFolder folder;
  REQUIRE(create_folders(folder.file("sub/inner")).has_value());
  CHECK(is_folder(folder.file("sub/inner")));
  CHECK(write_file_atomically(folder.file("sub"), bytes_of("x")).error().code == ErrorCode::kIo);
  CHECK(folder.names().empty());  // list_folder shows files only
}

TEST_CASE("safetensors file loads through 1 MiB chunks with that much extra memory") {
  const TemporaryFolder folder;
  constexpr size_t kData = 5'000'000;
  const auto bytes =
      test::safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]},)"
                              R"("b":{"dtype":"U8","shape":[1000000],"data_offsets":[4000000,5000000]}})",
                              kData);
  REQUIRE(write_file_atomically(folder.file("m.safetensors"), bytes).has_value());
  reset_peak_memory();
  const uint64_t before = memory_use().current_bytes;
  TensorMap tensors;
  REQUIRE(load_safetensors_file(folder.file("m.safetensors"), tensors).has_value());
  CHECK(memory_use().peak_bytes - before <= kData + kFileChunkBytes);
  REQUIRE(tensors.size() == 2);
  CHECK(std::ranges::equal(tensors.find("a")->bytes(), std::span(bytes).last(kData).first(4'000'000)));
  CHECK(std::ranges::equal(tensors.find("b")->bytes(), std::span(bytes).last(1'000'000)));

  const auto header = read_safetensors_header(folder.file("m.safetensors"));
  REQUIRE(header.has_value());
  CHECK(header->tensors.size() == 2);
  CHECK(header->data_offset == bytes.size() - kData);
}

TEST_CASE("safetensors file: errors name the file") {
  const TemporaryFolder folder;
  REQUIRE(write_file_atomically(folder.file("m.safetensors"), bytes_of("short")).has_value());
  TensorMap tensors;
  const auto status = load_safetensors_file(folder.file("m.safetensors"), tensors);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == ErrorCode::kTruncated);
  CHECK(status.error().message.starts_with("m.safetensors: "));
  CHECK(read_safetensors_header(folder.file("m.safetensors")).error().message.starts_with("m.safetensors: "));
  REQUIRE(write_file_atomically(folder.file("empty.safetensors"), {}).has_value());
  CHECK(load_safetensors_file(folder.file("empty.safetensors"), tensors).error().code == ErrorCode::kTruncated);
  CHECK(load_safetensors_file(folder.file("none"), tensors).error().code == ErrorCode::kNotFound);
}

}  // namespace sutra
