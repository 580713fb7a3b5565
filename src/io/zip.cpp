#include "io/zip.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "base/checked.h"

namespace sutra {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kDirectoryHeader = 0x02014b50;
constexpr uint32_t kEndRecord = 0x06054b50;
constexpr uint32_t kEndRecord64 = 0x06064b50;
constexpr uint32_t kEndLocator64 = 0x07064b50;
constexpr size_t kEndRecordBytes = 22;
constexpr size_t kEndRecord64Bytes = 56;
constexpr size_t kEndLocator64Bytes = 20;
constexpr size_t kDirectoryHeaderBytes = 46;
constexpr size_t kLocalHeaderBytes = 30;
constexpr uint16_t kExtra64 = 0x0001;
constexpr uint16_t kEncrypted = 1 << 0;
constexpr uint16_t kSizesFollow = 1 << 3;  // the local header may have zeros for them
constexpr uint16_t kMax16 = std::numeric_limits<uint16_t>::max();
constexpr uint32_t kMax32 = std::numeric_limits<uint32_t>::max();

// Precondition: at + sizeof(T) <= bytes.size().
template <class T>
T little_endian(std::span<const std::byte> bytes, size_t at) {
  T value = 0;
  for (size_t i = sizeof(T); i-- > 0;) value = static_cast<T>(value << 8 | std::to_integer<T>(bytes[at + i]));
  return value;
}

std::unexpected<Error> broken(std::string_view what) { return fail(ErrorCode::kMalformed, "the ZIP archive ", what); }

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Fields of 32 bits that are full have their values in the extra field, in the order of `fields`.
Status read_extra64(std::span<const std::byte> extra, std::initializer_list<uint64_t*> fields) {
  if (std::ranges::none_of(fields, [](const uint64_t* field) { return *field == kMax32; })) return {};
  while (extra.size() >= 4) {
    const auto id = little_endian<uint16_t>(extra, 0);
    const size_t n = little_endian<uint16_t>(extra, 2);
    if (n > extra.size() - 4) break;
    if (id != kExtra64) {
      extra = extra.subspan(4 + n);
      continue;
    }
    size_t at = 4;
    for (uint64_t* field : fields) {
      if (*field != kMax32) continue;
      if (at + 8 > 4 + n) return broken("has a 64-bit size that is missing");
      *field = little_endian<uint64_t>(extra, at);
      at += 8;
    }
    return {};
  }
  return {};  // a size of exactly 32 set bits: the checks against the file decide
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? value >> 1 ^ 0xedb88320u : value >> 1;
    table[i] = value;
  }
  return table;
}

}  // namespace

Result<ByteRange> find_zip_directory(std::span<const std::byte> tail, uint64_t file_size) {
  if (tail.size() < kEndRecordBytes) return broken("is shorter than its end record");
  // The last place whose comment reaches the end exactly.
  size_t at = tail.size() - kEndRecordBytes + 1;
  bool found = false;
  while (!found && at-- > 0) {
    found = little_endian<uint32_t>(tail, at) == kEndRecord &&
            at + kEndRecordBytes + little_endian<uint16_t>(tail, at + 20) == tail.size();
  }
  if (!found) return broken("has no end record: the file is cut off, or no archive");
  if (little_endian<uint16_t>(tail, at + 4) != 0 && little_endian<uint16_t>(tail, at + 4) != kMax16) {
    return fail(ErrorCode::kUnsupported, "the ZIP archive has several parts");
  }
  ByteRange directory{little_endian<uint32_t>(tail, at + 16), little_endian<uint32_t>(tail, at + 12)};
  uint64_t end = file_size - tail.size() + at;
  if (at >= kEndLocator64Bytes + kEndRecord64Bytes &&
      little_endian<uint32_t>(tail, at - kEndLocator64Bytes) == kEndLocator64) {
    const size_t record = at - kEndLocator64Bytes - kEndRecord64Bytes;
    if (little_endian<uint32_t>(tail, record) != kEndRecord64) return broken("has a broken 64-bit end record");
    directory = {little_endian<uint64_t>(tail, record + 48), little_endian<uint64_t>(tail, record + 40)};
    end = file_size - tail.size() + record;
  }
  if (directory.offset > end || directory.size > end - directory.offset)
    return broken("has its directory beyond its end");
  if (directory.size > kMaxZipDirectoryBytes) {
    return fail(ErrorCode::kTooLarge, "the ZIP archive's directory has ", directory.size, " bytes");
  }
  return directory;
}

Result<std::vector<ZipMember>> parse_zip_directory(std::span<const std::byte> directory, uint64_t directory_offset) {
  std::vector<ZipMember> members;
  std::set<std::string, std::less<>> names;
  for (size_t at = 0; at < directory.size();) {
    const auto header = directory.subspan(at);
    if (header.size() < kDirectoryHeaderBytes || little_endian<uint32_t>(header, 0) != kDirectoryHeader) {
      return broken("has a broken directory");
    }
    const size_t n_name = little_endian<uint16_t>(header, 28);
    const size_t n_extra = little_endian<uint16_t>(header, 30);
    const size_t n_comment = little_endian<uint16_t>(header, 32);
    const size_t n_header = kDirectoryHeaderBytes + n_name + n_extra + n_comment;
    if (n_header > header.size()) return broken("has a broken directory");
    ZipMember member;
    member.name = text_of(header.subspan(kDirectoryHeaderBytes, n_name));
    if ((little_endian<uint16_t>(header, 8) & kEncrypted) != 0) {
      return fail(ErrorCode::kUnsupported, "the ZIP member '", printable(member.name), "' is encrypted");
    }
    if (little_endian<uint16_t>(header, 10) != 0) {
      return fail(ErrorCode::kUnsupported, "the ZIP member '", printable(member.name),
                  "' is compressed; stored ones are read, as torch.save writes them");
    }
    member.crc32 = little_endian<uint32_t>(header, 16);
    uint64_t stored = little_endian<uint32_t>(header, 20);
    member.size = little_endian<uint32_t>(header, 24);
    member.header_offset = little_endian<uint32_t>(header, 42);
    SUTRA_TRY(read_extra64(header.subspan(kDirectoryHeaderBytes + n_name, n_extra),
                           {&member.size, &stored, &member.header_offset}));
    const auto end = checked_add(member.header_offset, member.size);
    if (stored != member.size || !end || *end > directory_offset) {
      return broken(concat("has a member '", printable(member.name), "' that does not fit it"));
    }
    if (!names.insert(member.name).second) {
      return broken(concat("has two members '", printable(member.name), "'"));
    }
    members.push_back(std::move(member));
    at += n_header;
  }
  std::ranges::sort(members, {}, &ZipMember::header_offset);
  for (size_t i = 1; i < members.size(); ++i) {
    const ZipMember& before = members[i - 1];
    if (members[i].header_offset - before.header_offset < kLocalHeaderBytes + before.size) {
      return broken(
          concat("has members that overlap: '", printable(before.name), "' and '", printable(members[i].name), "'"));
    }
  }
  return members;
}

Result<uint64_t> zip_data_offset(const ZipMember& member, std::span<const std::byte> header,
                                 uint64_t directory_offset) {
  const auto wrong = [&](std::string_view what) {
    return broken(concat("has a member '", printable(member.name), "' ", what));
  };
  if (header.size() < kLocalHeaderBytes || little_endian<uint32_t>(header, 0) != kLocalHeader) {
    return wrong("without a header");
  }
  const size_t n_name = little_endian<uint16_t>(header, 26);
  const size_t n_extra = little_endian<uint16_t>(header, 28);
  if (header.size() < kLocalHeaderBytes + n_name + n_extra) return wrong("with a broken header");
  uint64_t size = little_endian<uint32_t>(header, 22);
  uint64_t stored = little_endian<uint32_t>(header, 18);
  SUTRA_TRY(read_extra64(header.subspan(kLocalHeaderBytes + n_name, n_extra), {&size, &stored}));
  const auto flags = little_endian<uint16_t>(header, 6);
  const bool sizes_follow = (flags & kSizesFollow) != 0 && size == 0 && stored == 0;
  const bool same = (flags & kEncrypted) == 0 && little_endian<uint16_t>(header, 8) == 0 &&
                    text_of(header.subspan(kLocalHeaderBytes, n_name)) == member.name &&
                    (sizes_follow || (size == member.size && stored == member.size &&
                                      little_endian<uint32_t>(header, 14) == member.crc32));
  if (!same) return wrong("whose header disagrees with the directory");
  const uint64_t offset = member.header_offset + kLocalHeaderBytes + n_name + n_extra;
  if (offset > directory_offset || member.size > directory_offset - offset) return wrong("that ends behind its place");
  return offset;
}

uint32_t crc32(uint32_t crc, std::span<const std::byte> bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  crc = ~crc;
  for (const std::byte b : bytes) crc = crc >> 8 ^ kTable[(crc ^ std::to_integer<uint32_t>(b)) & 0xff];
  return ~crc;
}

}  // namespace sutra
