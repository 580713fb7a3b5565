#include "io/torch_file.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "base/checked.h"

namespace sutra {
namespace {

constexpr uint64_t kLegacyStartBytes = uint64_t{1} << 16;
constexpr uint64_t kLegacyCountBytes = 8;
constexpr int64_t kLegacyProtocol = 1001;
constexpr uint64_t kDenseAllowance = uint64_t{1} << 26;
constexpr std::string_view kPickleName = "data.pkl";
constexpr std::string_view kZipMagic = "PK\x03\x04";
// 0x1950a86a20f9469cfc6c, little-endian.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

std::unexpected<Error> broken(std::string_view what) { return fail(ErrorCode::kMalformed, "the torch file ", what); }

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The five pickles of a legacy file.
struct LegacyPickles {
  TorchTensors tensors;
  std::vector<std::string> keys;
  size_t n_bytes = 0;
};

bool is_little_endian(const Pickle& machine) {
  const Pickle::Id root = machine.root();
  if (machine.kind(root) != Pickle::Kind::kDict) return false;
  const auto items = machine.items(root);
  for (size_t i = 0; i < items.size(); i += 2) {
    if (machine.kind(items[i]) == Pickle::Kind::kText && machine.text(items[i]) == "little_endian") {
      return machine.kind(items[i + 1]) == Pickle::Kind::kBool && machine.boolean(items[i + 1]);
    }
  }
  return false;
}

Result<LegacyPickles> parse_legacy(std::span<const std::byte> bytes) {
  LegacyPickles out;
  const auto next = [&](std::span<const std::string_view> names) -> Result<Pickle> {
    SUTRA_ASSIGN(Pickle pickle, Pickle::parse(bytes.subspan(out.n_bytes), names));
    out.n_bytes += pickle.n_bytes();
    return pickle;
  };
  SUTRA_ASSIGN(const Pickle magic, next({}));
  if (magic.kind(magic.root()) != Pickle::Kind::kLong || magic.text(magic.root()) != kLegacyMagic) {
    return broken("begins with another magic number");
  }
  SUTRA_ASSIGN(const Pickle protocol, next({}));
  if (protocol.kind(protocol.root()) != Pickle::Kind::kInt || protocol.integer(protocol.root()) != kLegacyProtocol) {
    return fail(ErrorCode::kUnsupported, "the torch file has another protocol than ", kLegacyProtocol);
  }
  SUTRA_ASSIGN(const Pickle machine, next({}));
  if (!is_little_endian(machine)) return fail(ErrorCode::kUnsupported, "the torch file is not little-endian");
  SUTRA_ASSIGN(const Pickle value, next(torch_pickle_names()));
  SUTRA_ASSIGN(out.tensors, read_torch_tensors(value));
  SUTRA_ASSIGN(const Pickle keys, next({}));
  if (keys.kind(keys.root()) != Pickle::Kind::kList) return broken("has no list of storages");
  for (const Pickle::Id id : keys.items(keys.root())) {
    if (keys.kind(id) != Pickle::Kind::kText) return broken("has a storage whose key is no text");
    out.keys.emplace_back(keys.text(id));
  }
  return out;
}

}  // namespace

bool looks_like_torch_file(std::span<const std::byte> first_bytes) {
  // Protocol 0 and 1 write the magic number in decimal. Safetensors begins with a length: its third byte is 0 for every
  // header below 64 KiB, and 0x8a and 10 (LONG1, ten bytes) is no likely one of a longer header.
  const std::string_view text = text_of(first_bytes);
  return text.starts_with(kZipMagic) || text.starts_with("L11954703714603") ||
         (text.size() >= 4 && text[0] == '\x80' && text.substr(2).starts_with("\x8a\x0a")) ||
         (text.size() >= 4 + 9 && text[0] == '\x80' && text[2] == '\x95' && text.substr(11).starts_with("\x8a\x0a"));
}

TorchReader::TorchReader(uint64_t file_size, TensorSink* sink) : file_size_(file_size), sink_(sink) {
  want(Step::kFirstBytes, 0, std::min<uint64_t>(file_size, kZipMagic.size()));
}

void TorchReader::want(Step step, uint64_t offset, uint64_t size) {
  step_ = step;
  wanted_ = {offset, size};
}

void TorchReader::want_local_header(Step step, size_t member) {
  const uint64_t offset = members_[member].header_offset;
  want(step, offset, std::min(kMaxZipLocalHeaderBytes, directory_offset_ - offset));
}

Status TorchReader::give(std::span<const std::byte> bytes) {
  SUTRA_ASSERT(!bytes.empty() && bytes.size() <= wanted_.size);
  if (step_ == Step::kPass) return read_pass(bytes);
  if (collected_.empty() && bytes.size() == wanted_.size) return take_step(bytes);
  collected_.insert(collected_.end(), bytes.begin(), bytes.end());
  wanted_ = {wanted_.offset + bytes.size(), wanted_.size - bytes.size()};
  if (wanted_.size > 0) return {};
  const std::vector<std::byte> whole = std::exchange(collected_, {});
  return take_step(whole);
}

Status TorchReader::finish() {
  if (step_ == Step::kDone) return {};
  return fail(ErrorCode::kTruncated, "the torch file ends where ", wanted_.size, " bytes are wanted from ",
              wanted_.offset, " on");
}

Status TorchReader::take_step(std::span<const std::byte> bytes) {
  switch (step_) {
    case Step::kFirstBytes: return read_first_bytes(bytes);
    case Step::kZipTail: {
      SUTRA_ASSIGN(const ByteRange directory, find_zip_directory(bytes, file_size_));
      directory_offset_ = directory.offset;
      if (directory.size == 0) return broken("is an empty archive");
      want(Step::kZipDirectory, directory.offset, directory.size);
      return {};
    }
    case Step::kZipDirectory: return read_directory(bytes);
    case Step::kZipByteOrder: return read_byte_order(bytes);
    case Step::kZipPickleHeader: return read_pickle_header(bytes);
    case Step::kZipPickle: return read_zip_pickle(bytes);
    case Step::kLegacyPickles: return read_legacy_pickles(bytes);
    case Step::kLegacyCount: return read_legacy_count(bytes);
    case Step::kZipStorageHeader: return read_storage_header(bytes);
    case Step::kPass:
    case Step::kDone: break;
  }
  return fail(ErrorCode::kInvalidArgument, "the torch file was read already");
}

Status TorchReader::read_first_bytes(std::span<const std::byte> bytes) {
  if (text_of(bytes) == kZipMagic) {
    const uint64_t size = std::min(file_size_, kZipTailBytes);
    want(Step::kZipTail, file_size_ - size, size);
  } else {
    want(Step::kLegacyPickles, 0, std::min(file_size_, kLegacyStartBytes));
  }
  return {};
}

// The archive

std::optional<size_t> TorchReader::find_member(std::string_view name) const {
  const auto found = std::ranges::find_if(members_, [&](const ZipMember& member) {
    return member.name.size() == root_.size() + name.size() && member.name.starts_with(root_) &&
           member.name.ends_with(name);
  });
  if (found == members_.end()) return std::nullopt;
  return static_cast<size_t>(found - members_.begin());
}

Status TorchReader::read_directory(std::span<const std::byte> bytes) {
  SUTRA_ASSIGN(members_, parse_zip_directory(bytes, directory_offset_));
  // The one pickle directly below the archive's folder.
  std::optional<size_t> pickle;
  for (size_t i = 0; i < members_.size(); ++i) {
    const std::string& name = members_[i].name;
    const size_t slash = name.find('/');
    if (slash == std::string::npos || std::string_view(name).substr(slash + 1) != kPickleName) continue;
    if (pickle) return broken("has several data.pkl");
    pickle = i;
    root_ = name.substr(0, slash + 1);
  }
  if (!pickle) return fail(ErrorCode::kUnsupported, "the ZIP archive has no data.pkl: it is no file of torch.save");
  pickle_member_ = *pickle;
  if (members_[pickle_member_].size > kMaxTorchPickleBytes) {
    return fail(ErrorCode::kTooLarge, "the torch file's pickle has ", members_[pickle_member_].size, " bytes");
  }
  if (const auto order = find_member("byteorder")) {
    want_local_header(Step::kZipByteOrder, *order);
  } else {
    want_local_header(Step::kZipPickleHeader, pickle_member_);
  }
  return {};
}

Status TorchReader::read_byte_order(std::span<const std::byte> bytes) {
  const ZipMember& member = members_[*find_member("byteorder")];
  SUTRA_ASSIGN(const uint64_t offset, zip_data_offset(member, bytes, directory_offset_));
  constexpr std::string_view kLittle = "little";
  const uint64_t at = offset - member.header_offset;
  if (member.size != kLittle.size() || at + member.size > bytes.size() ||
      text_of(bytes.subspan(static_cast<size_t>(at), kLittle.size())) != kLittle) {
    return fail(ErrorCode::kUnsupported, "the torch file is not little-endian");
  }
  want_local_header(Step::kZipPickleHeader, pickle_member_);
  return {};
}

Status TorchReader::read_pickle_header(std::span<const std::byte> bytes) {
  const ZipMember& member = members_[pickle_member_];
  SUTRA_ASSIGN(const uint64_t offset, zip_data_offset(member, bytes, directory_offset_));
  if (member.size == 0) return broken("has an empty pickle");
  want(Step::kZipPickle, offset, member.size);
  return {};
}

Status TorchReader::read_zip_pickle(std::span<const std::byte> bytes) {
  if (crc32(0, bytes) != members_[pickle_member_].crc32) return broken("has a pickle with a wrong checksum");
  SUTRA_ASSIGN(const Pickle pickle, Pickle::parse(bytes, torch_pickle_names()));
  SUTRA_ASSIGN(TorchTensors tensors, read_torch_tensors(pickle));
  for (const TorchStorage& storage : tensors.storages) {
    const auto member = find_member(concat("data/", storage.key));
    if (!member) return broken(concat("has no storage '", printable(storage.key), "'"));
    if (members_[*member].size != storage.n_bytes) {
      return broken(concat("has ", members_[*member].size, " bytes in the storage '", printable(storage.key),
                           "', where its tensors need ", storage.n_bytes));
    }
    storage_members_.push_back(*member);
  }
  return set_tensors(std::move(tensors));
}

Status TorchReader::read_storage_header(std::span<const std::byte> bytes) {
  const ZipMember& member = members_[storage_members_[n_located_]];
  SUTRA_ASSIGN(storage_offsets_[n_located_], zip_data_offset(member, bytes, directory_offset_));
  ++n_located_;
  return locate_next();
}

// The legacy container

Status TorchReader::read_legacy_pickles(std::span<const std::byte> bytes) {
  auto pickles = parse_legacy(bytes);
  if (!pickles) {
    // Their length is known only when they were read.
    const bool may_go_on = pickles.error().code == ErrorCode::kTruncated && bytes.size() < file_size_;
    if (!may_go_on) return std::unexpected(std::move(pickles).error());
    if (bytes.size() >= kMaxTorchPickleBytes) {
      return fail(ErrorCode::kTooLarge, "the torch file's pickle has more than ", kMaxTorchPickleBytes, " bytes");
    }
    want(Step::kLegacyPickles, 0, std::min<uint64_t>({file_size_, 4 * uint64_t{bytes.size()}, kMaxTorchPickleBytes}));
    return {};
  }
  legacy_keys_ = std::move(pickles->keys);
  legacy_at_ = pickles->n_bytes;
  if (legacy_keys_.size() != pickles->tensors.storages.size()) {
    return broken(
        concat("lists ", legacy_keys_.size(), " storages, its tensors use ", pickles->tensors.storages.size()));
  }
  return set_tensors(std::move(pickles->tensors));
}

Status TorchReader::read_legacy_count(std::span<const std::byte> bytes) {
  const std::string& key = legacy_keys_[n_located_];
  const auto found = std::ranges::find(tensors_->storages, key, &TorchStorage::key);
  if (found == tensors_->storages.end()) return broken(concat("has a storage '", printable(key), "' of no tensor"));
  uint64_t count = 0;
  std::memcpy(&count, bytes.data(), sizeof count);
  const auto n_bytes = checked_mul(count, dtype_bytes(found->dtype));
  if (!n_bytes || *n_bytes != found->n_bytes) {
    return broken(concat("has ", count, " elements in the storage '", printable(key), "', where its tensors need ",
                         found->n_bytes / dtype_bytes(found->dtype)));
  }
  legacy_at_ += kLegacyCountBytes;
  if (*n_bytes > file_size_ - legacy_at_) {
    return fail(ErrorCode::kTruncated, "the torch file ends inside the storage '", printable(key), "'");
  }
  uint64_t& offset = storage_offsets_[static_cast<size_t>(found - tensors_->storages.begin())];
  if (offset != 0) return broken(concat("lists the storage '", printable(key), "' twice"));
  offset = legacy_at_;
  legacy_at_ += *n_bytes;
  ++n_located_;
  return locate_next();
}

// Tensors

Status TorchReader::set_tensors(TorchTensors tensors) {
  uint64_t dense_bytes = 0;
  for (const TensorEntry& entry : tensors.entries) {
    const auto sum = checked_add(dense_bytes, entry.end);
    if (!sum || *sum > file_size_ + kDenseAllowance) {
      return fail(ErrorCode::kTooLarge, "the tensors of the torch file need more memory than the file has, and ",
                  kDenseAllowance, " bytes");
    }
    dense_bytes = *sum;
  }
  tensors_ = std::move(tensors);
  storage_offsets_.resize(tensors_->storages.size());
  if (sink_ == nullptr) {
    want(Step::kDone, 0, 0);
    return {};
  }
  return locate_next();
}

// Finds the place of the next storage, or begins with the data when all are known.
Status TorchReader::locate_next() {
  if (n_located_ < tensors_->storages.size()) {
    if (is_zip()) {
      want_local_header(Step::kZipStorageHeader, storage_members_[n_located_]);
      return {};
    }
    if (file_size_ - legacy_at_ < kLegacyCountBytes) {
      return fail(ErrorCode::kTruncated, "the torch file ends before its storages do");
    }
    want(Step::kLegacyCount, legacy_at_, kLegacyCountBytes);
    return {};
  }
  if (!is_zip() && legacy_at_ != file_size_) {
    return broken(concat("has ", file_size_ - legacy_at_, " bytes behind its last storage"));
  }
  plan_passes();
  return next_pass();
}

// Each storage is read whole once, for its checksum, together with a tensor that is all of it if there is one, unless that
// stays in the file. The other tensors are then read one by one: usually there are none.
void TorchReader::plan_passes() {
  TorchTensors& t = *tensors_;
  std::vector<std::optional<size_t>> whole(t.storages.size());
  std::vector<size_t> parts;
  for (size_t i = 0; i < t.views.size(); ++i) {
    const TorchView& view = t.views[i];
    TensorEntry& entry = t.entries[i];
    const bool is_whole = view.is_dense && entry.end == t.storages[view.storage].n_bytes;
    if (view.is_dense) entry.file_offset = storage_offsets_[view.storage] + view.offset * dtype_bytes(entry.dtype);
    if (is_whole && is_zip()) entry.crc32 = members_[storage_members_[view.storage]].crc32;
    if (is_whole && !whole[view.storage]) {
      whole[view.storage] = i;
    } else {
      parts.push_back(i);
    }
  }
  for (size_t i = 0; i < t.storages.size(); ++i) {
    passes_.push_back({i, whole[i], !whole[i] || sink_->bytes_wanted(t.entries[*whole[i]]) == t.storages[i].n_bytes});
  }
  for (const size_t i : parts) passes_.push_back({t.views[i].storage, i, false});
  std::ranges::sort(passes_, {}, [&](const Pass& pass) {
    return std::tuple(storage_offsets_[pass.storage], !pass.checks, pass.view.value_or(0));
  });
}

Status TorchReader::next_pass() {
  while (pass_ < passes_.size()) {
    const Pass& pass = passes_[pass_];
    const TorchStorage& storage = tensors_->storages[pass.storage];
    const uint64_t offset = storage_offsets_[pass.storage];
    pass_range_ = {offset, storage.n_bytes};
    pass_at_ = 0;
    crc_ = 0;
    if (pass.view) {
      const TensorEntry& entry = tensors_->entries[*pass.view];
      const TorchView& view = tensors_->views[*pass.view];
      const uint64_t element_bytes = dtype_bytes(entry.dtype);
      if (!pass.checks) {
        pass_range_ = {offset + view.offset * element_bytes,
                       view.is_dense ? sink_->bytes_wanted(entry) : view.n_reached * element_bytes};
      }
      SUTRA_TRY(sink_->begin(entry));
      if (!view.is_dense) {
        SUTRA_ASSIGN(held_, AlignedBuffer::create(pass_range_.size, Contents::kUndefined));
      }
    }
    if (pass_range_.size > 0) {
      want(Step::kPass, pass_range_.offset, pass_range_.size);
      return {};
    }
    SUTRA_TRY(end_pass());
  }
  want(Step::kDone, 0, 0);
  return {};
}

Status TorchReader::read_pass(std::span<const std::byte> bytes) {
  const Pass& pass = passes_[pass_];
  if (pass.checks) crc_ = crc32(crc_, bytes);
  if (pass.view && tensors_->views[*pass.view].is_dense) SUTRA_TRY(sink_->write(bytes));
  if (held_.size() > 0) std::memcpy(held_.data() + pass_at_, bytes.data(), bytes.size());
  pass_at_ += bytes.size();
  if (pass_at_ < pass_range_.size) {
    want(Step::kPass, pass_range_.offset + pass_at_, pass_range_.size - pass_at_);
    return {};
  }
  SUTRA_TRY(end_pass());
  return next_pass();
}

Status TorchReader::end_pass() {
  const Pass& pass = passes_[pass_++];
  const TorchStorage& storage = tensors_->storages[pass.storage];
  if (pass.checks && is_zip() && crc_ != members_[storage_members_[pass.storage]].crc32) {
    return broken(concat("has a wrong checksum at the storage '", printable(storage.key), "'"));
  }
  if (!pass.view) return {};
  const TensorEntry& entry = tensors_->entries[*pass.view];
  const TorchView& view = tensors_->views[*pass.view];
  if (!view.is_dense) SUTRA_TRY(emit_strided(entry, view));
  return sink_->end(entry);
}

// The elements of a view in row-major order, gathered from held_.
Status TorchReader::emit_strided(const TensorEntry& entry, const TorchView& view) {
  constexpr size_t kPiece = size_t{1} << 16;
  const size_t element_bytes = dtype_bytes(entry.dtype);
  const size_t n_dims = entry.shape.n_dims();
  std::vector<std::byte> piece;
  piece.reserve(kPiece);
  std::vector<uint64_t> index(n_dims);
  for (uint64_t i = 0; i < entry.shape.n_elements(); ++i) {
    uint64_t at = 0;
    for (size_t d = 0; d < n_dims; ++d) at += index[d] * view.strides[d];
    const std::byte* element = held_.data() + at * element_bytes;
    piece.insert(piece.end(), element, element + element_bytes);
    if (piece.size() + element_bytes > kPiece) {
      SUTRA_TRY(sink_->write(piece));
      piece.clear();
    }
    for (size_t d = n_dims; d-- > 0 && ++index[d] == entry.shape[d];) index[d] = 0;
  }
  held_ = {};
  if (piece.empty()) return {};
  return sink_->write(piece);
}

}  // namespace sutra
