// Files of torch.save, .pth and .pt: the ZIP container of torch 1.6 and later, and the legacy one before it.
//
// A pickle (io/pickle.h) says which tensors there are: each is a view of a storage, with an offset, a shape and strides
// in elements. ZIP: NAME/data.pkl, and storage K is the member NAME/data/K. Legacy: five pickles (a magic number,
// protocol 1001, the machine, the value, the storages' keys), then for each key the count of its elements in 8 bytes
// and the elements. Source: torch/serialization.py.
//
// The tensors of nested dictionaries, lists and tuples are named by their path, "state_dict.emb.weight"; a value that
// is one tensor has the empty name. What is no tensor is left out. Views are made dense. Where a tensor was stored
// (cpu, cuda) does not matter.
//
// Files are untrusted; beside the errors of io/pickle.h and io/zip.h: kMalformed for a storage whose size or checksum
// is wrong, for a view that reaches out of its storage and for names that are there twice; kUnsupported for dtypes
// without a place in Dtype, for big-endian machines and for TorchScript; kTooLarge where dense views would need more
// than the file has and 64 MiB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "io/tensor_reader.h"
#include "io/tensor_sink.h"
#include "io/torch_pickle.h"
#include "io/zip.h"

namespace sutra {

inline constexpr uint64_t kMaxTorchPickleBytes = uint64_t{1} << 26;

inline constexpr size_t kTorchMagicBytes = 16;
// Whether a file that begins so (with up to kTorchMagicBytes bytes) may be one of torch.save: a ZIP archive, or the
// pickle of the legacy magic number in any protocol.
[[nodiscard]] bool looks_like_torch_file(std::span<const std::byte> first_bytes);

class TorchReader final : public TensorReader {
 public:
  // Without a sink only the table of tensors is read. `sink` must outlive the reader.
  TorchReader(uint64_t file_size, TensorSink* sink);

  [[nodiscard]] ByteRange wanted() const override { return wanted_; }
  [[nodiscard]] bool in_order() const override { return false; }
  Status give(std::span<const std::byte> bytes) override;
  Status finish() override;
  [[nodiscard]] const std::vector<TensorEntry>* tensors() const override {
    return tensors_ ? &tensors_->entries : nullptr;
  }

 private:
  // One pass over bytes of a storage.
  struct Pass {
    size_t storage = 0;
    std::optional<size_t> view;  // none: for the checksum alone
    bool checks = false;         // reads the whole storage: its checksum can be compared
  };
  enum class Step : uint8_t {
    kFirstBytes,
    kZipTail,
    kZipDirectory,
    kZipByteOrder,
    kZipPickleHeader,
    kZipPickle,
    kLegacyPickles,
    kLegacyCount,
    kZipStorageHeader,
    kPass,
    kDone
  };

  [[nodiscard]] bool is_zip() const { return !members_.empty(); }
  Status take_step(std::span<const std::byte> bytes);
  void want(Step step, uint64_t offset, uint64_t size);
  void want_local_header(Step step, size_t member);
  [[nodiscard]] std::optional<size_t> find_member(std::string_view name) const;
  Status read_first_bytes(std::span<const std::byte> bytes);
  Status read_directory(std::span<const std::byte> bytes);
  Status read_byte_order(std::span<const std::byte> bytes);
  Status read_pickle_header(std::span<const std::byte> bytes);
  Status read_zip_pickle(std::span<const std::byte> bytes);
  Status read_legacy_pickles(std::span<const std::byte> bytes);
  Status read_legacy_count(std::span<const std::byte> bytes);
  Status set_tensors(TorchTensors tensors);
  Status read_storage_header(std::span<const std::byte> bytes);
  Status locate_next();
  void plan_passes();
  Status next_pass();
  Status read_pass(std::span<const std::byte> bytes);
  Status end_pass();
  Status emit_strided(const TensorEntry& entry, const TorchView& view);

  uint64_t file_size_;
  TensorSink* sink_;
  Step step_ = Step::kFirstBytes;
  ByteRange wanted_;
  std::vector<std::byte> collected_;  // what came of a step that needs all of its bytes

  // ZIP
  uint64_t directory_offset_ = 0;
  std::vector<ZipMember> members_;
  size_t pickle_member_ = 0;
  std::string root_;                     // "NAME/"
  std::vector<size_t> storage_members_;  // of tensors_->storages
  // Legacy: keys of storages in the order of the file, and where the next one begins.
  std::vector<std::string> legacy_keys_;
  uint64_t legacy_at_ = 0;

  std::optional<TorchTensors> tensors_;
  std::vector<uint64_t> storage_offsets_;  // in the file
  size_t n_located_ = 0;                   // storages (legacy: keys) whose place is known

  std::vector<Pass> passes_;
  size_t pass_ = 0;
  ByteRange pass_range_;
  uint64_t pass_at_ = 0;
  uint32_t crc_ = 0;
  AlignedBuffer held_;  // what a view with gaps reaches
};

}  // namespace sutra
