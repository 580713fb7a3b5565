#include "io/model_files.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/json.h"

namespace sutra {
namespace {

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::string_view kSingleName = "model.safetensors";

bool is_plain_file_name(std::string_view name) {
  constexpr size_t kMaxLength = 255;
  if (name.empty() || name.size() > kMaxLength || name == "." || name == "..") return false;
  return std::ranges::none_of(name, [](char c) {
    return c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

// The top level and the two objects that matter; anything else is skipped, whatever its depth.
class IndexHandler final : public JsonHandler {
 public:
  explicit IndexHandler(ShardIndex& index) : index_(index) {}

  Status key(std::string name) override {
    key_ = std::move(name);
    if (depth_ != 1 || key_ != "weight_map") return {};
    if (has_weight_map_) return fail(ErrorCode::kMalformed, "'weight_map' is there twice");
    has_weight_map_ = true;
    return {};
  }

  Status scalar(JsonScalar value) override {
    if (depth_ == 0) return fail(ErrorCode::kMalformed, "expected a JSON object, found ", json_kind(value));
    if (depth_ == 1 && key_ == "weight_map") {
      return fail(ErrorCode::kMalformed, "expected 'weight_map' to be an object, found ", json_kind(value));
    }
    if (depth_ == 2 && section_ == "metadata" && key_ == "total_size") {
      if (const auto* const total = std::get_if<uint64_t>(&value)) index_.total_bytes = *total;
      return {};
    }
    return depth_ == 2 && section_ == "weight_map" ? add(value) : Status();
  }

  Status start_object() override { return open(true); }
  Status start_array() override { return open(false); }
  Status end_object() override { return close(); }
  Status end_array() override { return close(); }

  [[nodiscard]] bool has_weight_map() const { return has_weight_map_; }

 private:
  Status open(bool is_object) {
    const std::string_view found = is_object ? "an object" : "an array";
    if (depth_ == 0 && !is_object) return fail(ErrorCode::kMalformed, "expected a JSON object, found ", found);
    if (depth_ == 1) {
      section_ = is_object ? key_ : std::string();
      if (key_ == "weight_map" && !is_object) {
        return fail(ErrorCode::kMalformed, "expected 'weight_map' to be an object, found ", found);
      }
    }
    if (depth_ == 2 && section_ == "weight_map") {
      return fail(ErrorCode::kMalformed, "tensor '", printable(key_), "': expected a file name, found ", found);
    }
    ++depth_;
    return {};
  }

  Status close() {
    --depth_;
    return {};
  }

  Status add(const JsonScalar& value) {
    const auto* const file = std::get_if<std::string>(&value);
    if (file == nullptr || !is_plain_file_name(*file)) {
      return fail(ErrorCode::kMalformed, "tensor '", printable(key_), "': expected a plain file name, found ",
                  file == nullptr ? json_kind(value) : "'", file == nullptr ? "" : printable(*file),
                  file == nullptr ? "" : "'");
    }
    if (index_.weight_map.size() == kMaxShardIndexTensors) {
      return fail(ErrorCode::kTooLarge, "the index lists more than ", kMaxShardIndexTensors, " tensors");
    }
    const auto [place, added] = index_.weight_map.try_emplace(std::move(key_), *file);
    if (!added) return fail(ErrorCode::kMalformed, "tensor '", printable(place->first), "' is there twice");
    return {};
  }

  ShardIndex& index_;
  size_t depth_ = 0;
  std::string key_;
  std::string section_;  // the key of the object at depth 1 that is open
  bool has_weight_map_ = false;
};

}  // namespace

Result<ShardIndex> parse_shard_index(std::string_view text, std::string_view source) {
  if (text.size() > kMaxShardIndexBytes) {
    return fail(ErrorCode::kTooLarge, source, ": ", text.size(), " bytes; at most ", kMaxShardIndexBytes,
                " are allowed");
  }
  ShardIndex index;
  IndexHandler handler(index);
  if (const auto status = read_json(text, handler, {.max_depth = 16, .max_token_bytes = 4096}); !status) {
    return fail(status.error().code, source, ": ", status.error().message);
  }
  if (!handler.has_weight_map()) return fail(ErrorCode::kMalformed, source, ": 'weight_map' is missing");
  std::set<std::string_view> files;
  for (const auto& [tensor, file] : index.weight_map) files.insert(file);
  if (files.empty()) return fail(ErrorCode::kMalformed, source, ": 'weight_map' names no file");
  index.files.assign(files.begin(), files.end());
  return index;
}

// The one file of weights under another name than kSingleName; safetensors before GGUF before files of torch.save.
static Result<std::vector<std::string>> choose_weights(std::span<const std::string> names) {
  std::vector<std::string> safetensors, gguf, torch;
  for (const std::string& name : names) {
    if (name.ends_with(kSafetensors)) safetensors.push_back(name);
    if (name.ends_with(".gguf")) gguf.push_back(name);
    if (name.ends_with(".pth") || name.ends_with(".pt") || name == "pytorch_model.bin") torch.push_back(name);
  }
  std::vector<std::string>& found = !safetensors.empty() ? safetensors : !gguf.empty() ? gguf : torch;
  if (found.empty()) {
    return fail(ErrorCode::kNotFound, "the model folder has neither ", kSingleName, " nor ", kIndexName,
                " nor any other .safetensors, .gguf or .pth file");
  }
  if (found.size() > 1) {
    return fail(ErrorCode::kInvalidArgument, "the model folder has ", found.size(), " files of weights, among them '",
                printable(found[0]), "' and '", printable(found[1]), "'; expected ", kSingleName, " or ", kIndexName);
  }
  return std::move(found);
}

Result<ModelFiles> choose_model_files(std::span<const std::string> names) {
  const auto present = [&](std::string_view name) -> std::optional<std::string> {
    if (std::ranges::find(names, name) == names.end()) return std::nullopt;
    return std::string(name);
  };
  ModelFiles files;
  files.config = present("config.json");
  for (const std::string_view name : kTokenizerNames) {
    if (!files.tokenizer) files.tokenizer = present(name);
  }
  files.tokenizer_config = present("tokenizer_config.json");
  files.generation_config = present("generation_config.json");
  if (present(kSingleName)) {
    files.weights = {std::string(kSingleName)};
  } else if (present(kIndexName)) {
    files.index = kIndexName;
  } else {
    SUTRA_ASSIGN(files.weights, choose_weights(names));
  }
  return files;
}

}  // namespace sutra
