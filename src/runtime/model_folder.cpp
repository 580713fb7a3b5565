#include "runtime/model_folder.h"

#include <algorithm>
#include <array>

#include "io/gguf.h"
#include "runtime/gguf_tokenizer.h"

namespace sutra {
namespace {

// Larger than any published tokenizer.json by a factor of ten.
constexpr uint64_t kMaxTextBytes = uint64_t{1} << 28;

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

Status feed_file(const std::string& path, ModelLoader& loader) {
  SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
  SUTRA_ASSIGN(AlignedBuffer chunk, AlignedBuffer::create(std::min<uint64_t>(kFileChunkBytes, file.size())));
  SUTRA_TRY(loader.begin_file(name_of(path), file.size()));
  for (ByteRange wanted = loader.wanted(); wanted.size > 0; wanted = loader.wanted()) {
    const auto n_wanted = static_cast<size_t>(std::min<uint64_t>(wanted.size, chunk.size()));
    SUTRA_ASSIGN(const size_t n_read, file.read_at(wanted.offset, chunk.bytes().first(n_wanted)));
    if (n_read == 0) break;  // the file shrank since it was opened: end_file() says so
    SUTRA_TRY(loader.feed(chunk.bytes().first(n_read)));
  }
  return loader.end_file();
}

Result<bool> is_gguf_file(const std::string& path) {
  SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
  std::array<std::byte, kGgufMagicBytes> first_bytes{};
  SUTRA_ASSIGN(const size_t n, file.read_at(0, first_bytes));
  return looks_like_gguf(std::span(first_bytes).first(n));
}

std::optional<std::string> find_tokenizer(const std::string& folder) {
  for (const std::string_view name : kTokenizerNames) {
    std::string path = concat(folder, '/', name);
    if (InputFile::open(path)) return path;
  }
  return std::nullopt;
}

// Of a tokenizer file, or of the folder that holds one.
Result<std::string> read_tokenizer_text(const std::string& path) {
  if (!is_folder(path)) return read_text_file(path, kMaxTextBytes);
  const auto file = find_tokenizer(path);
  if (!file)
    return fail(ErrorCode::kNotFound, "'", path, "' holds no ", kTokenizerNames[0], " and no ", kTokenizerNames[1]);
  return read_text_file(*file, kMaxTextBytes);
}

Result<text::Tokenizer> load_gguf_tokenizer(const std::string& path) {
  SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
  SUTRA_ASSIGN(const GgufHeader header, read_gguf_header(file));
  return gguf_tokenizer(header.metadata);
}

Result<ModelPaths> find_in_folder(const std::string& folder) {
  SUTRA_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  SUTRA_ASSIGN(const ModelFiles files, choose_model_files(names));
  ModelPaths paths;
  if (files.index) {
    SUTRA_ASSIGN(const std::string text, read_text_file(folder + "/" + *files.index, kMaxTextBytes));
    SUTRA_ASSIGN(const ShardIndex index, parse_shard_index(text, *files.index));
    for (const std::string& name : index.files) paths.weights.push_back(folder + "/" + name);
  } else {
    for (const std::string& name : files.weights) paths.weights.push_back(folder + "/" + name);
  }
  SUTRA_ASSIGN(const bool is_gguf, is_gguf_file(paths.weights.front()));
  if (files.config && !is_gguf) paths.config = folder + "/" + *files.config;
  if (files.tokenizer) paths.tokenizer = folder + "/" + *files.tokenizer;
  for (const auto& companion : {files.tokenizer, files.tokenizer_config, files.generation_config}) {
    if (companion) paths.companions.push_back(folder + "/" + *companion);
  }
  return paths;
}

Result<ModelLoader> loader_with_config(const ModelPaths& paths, const FolderOptions& options) {
  SUTRA_ASSIGN(ModelLoader loader, ModelLoader::create(options.load));
  std::string config;
  if (!paths.config.empty()) {
    SUTRA_ASSIGN(config, read_text_file(paths.config, kMaxConfigBytes));
  }
  SUTRA_TRY(loader.set_config(bytes_of(config), options.overrides));
  return loader;
}

}  // namespace

Result<ModelPaths> find_model(const std::string& path) {
  if (is_folder(path)) return find_in_folder(path);
  SUTRA_ASSIGN(const bool is_gguf, is_gguf_file(path));
  ModelPaths paths;
  const std::string config = folder_of(path) + "/config.json";
  if (!is_gguf && InputFile::open(config)) paths.config = config;
  paths.weights = {path};
  if (const auto tokenizer = find_tokenizer(folder_of(path))) {
    paths.tokenizer = *tokenizer;
    paths.companions = {*tokenizer};
  }
  return paths;
}

Result<NamedText> read_companion(const std::string& path) {
  SUTRA_ASSIGN(std::string text, read_text_file(path, kMaxTextBytes));
  return NamedText{name_of(path), std::move(text)};
}

Result<Companions> read_companions(const ModelPaths& paths, const std::string& tokenizer_path) {
  Companions companions;
  const std::string& tokenizer = tokenizer_path.empty() ? paths.tokenizer : tokenizer_path;
  if (!tokenizer.empty()) {
    SUTRA_ASSIGN(companions.tokenizer, read_companion(tokenizer));
  }
  // They belong to the tokenizer beside the model.
  if (!tokenizer_path.empty()) return companions;
  for (const std::string& path : paths.companions) {
    if (path == paths.tokenizer) continue;
    SUTRA_ASSIGN(NamedText companion, read_companion(path));
    companions.others.push_back(std::move(companion));
  }
  return companions;
}

Result<ModelWeights> load_model_weights(const ModelPaths& paths, const FolderOptions& options) {
  FolderOptions alone = options;
  alone.load.weights_only = true;
  SUTRA_ASSIGN(ModelLoader loader, loader_with_config(paths, alone));
  for (const std::string& weights : paths.weights) SUTRA_TRY(feed_file(weights, loader));
  return loader.finish_weights();
}

Result<text::Tokenizer> load_tokenizer(const std::string& path) {
  if (!is_folder(path)) {
    SUTRA_ASSIGN(const bool is_gguf, is_gguf_file(path));
    if (is_gguf) return load_gguf_tokenizer(path);
  }
  SUTRA_ASSIGN(const std::string text, read_tokenizer_text(path));
  return text::Tokenizer::from_file(bytes_of(text));
}

Result<std::shared_ptr<const Engine>> load_model_folder(const std::string& path, const FolderOptions& options) {
  SUTRA_ASSIGN(const ModelPaths paths, find_model(path));
  SUTRA_ASSIGN(ModelLoader loader, loader_with_config(paths, options));
  const std::string& tokenizer = options.tokenizer_path.empty() ? paths.tokenizer : options.tokenizer_path;
  if (!tokenizer.empty()) {
    SUTRA_ASSIGN(const std::string text, read_tokenizer_text(tokenizer));
    SUTRA_TRY(loader.set_tokenizer(bytes_of(text)));
  }
  for (const std::string& weights : paths.weights) SUTRA_TRY(feed_file(weights, loader));
  return loader.finish();
}

}  // namespace sutra
