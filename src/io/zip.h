// The directory of a ZIP archive whose members are stored without compression: what torch.save writes.
//
// Files are untrusted. Refused: compressed or encrypted members, archives in several parts, names twice, members that
// reach into each other or into the directory, a local header that disagrees with the directory. The end record must
// end the file. Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16, 4.5.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/tensor_reader.h"

namespace sutra {

// A file's last bytes that hold both end records, or all of a shorter file.
inline constexpr uint64_t kZipTailBytes = 65536 + 22 + 20 + 56;
inline constexpr uint64_t kMaxZipDirectoryBytes = uint64_t{1} << 26;
// A local header with the longest name and extra field.
inline constexpr uint64_t kMaxZipLocalHeaderBytes = 30 + 2 * 65535;

struct ZipMember {
  std::string name;
  uint32_t crc32 = 0;
  uint64_t size = 0;
  uint64_t header_offset = 0;
};

// Where the central directory lies. `tail` are the last min(file_size, kZipTailBytes) bytes of the file. kMalformed,
// kUnsupported (several parts), kTooLarge.
Result<ByteRange> find_zip_directory(std::span<const std::byte> tail, uint64_t file_size);

// The members, in the order of their bytes. `directory` are the bytes of that range.
Result<std::vector<ZipMember>> parse_zip_directory(std::span<const std::byte> directory, uint64_t directory_offset);

// Where a member's data begins. `header` are the bytes from member.header_offset on, as many as the file has up to
// kMaxZipLocalHeaderBytes; `directory_offset` is where its data must end at the latest.
Result<uint64_t> zip_data_offset(const ZipMember& member, std::span<const std::byte> header, uint64_t directory_offset);

// CRC-32 of more bytes after those that gave `crc` (0 for none). Polynomial 0xEDB88320, APPNOTE 4.4.7.
uint32_t crc32(uint32_t crc, std::span<const std::byte> bytes);

}  // namespace sutra
