#include "runtime/engine.h"

#include <algorithm>

#include "kernels/self_test.h"
#include "kernels/warm_up.h"
#include "model/blinkdl.h"
#include "model/fla_rwkv6.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/mamba_ssm.h"
#include "model/weights_config.h"
#include "runtime/gguf_tokenizer.h"

namespace sutra {
namespace {

constexpr size_t kMaxThreads = 64;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<ModelConfig> parse_config(std::string_view json, std::span<const std::string> overrides) {
  SUTRA_ASSIGN(JsonObject object, JsonObject::parse(json, "config.json"));
  for (const std::string& override_text : overrides) SUTRA_TRY(object.override_value(override_text));
  return read_model_config(object);
}

}  // namespace

bool Engine::is_eos(int32_t id) const { return std::ranges::find(eos_token_ids_, id) != eos_token_ids_.end(); }

Status Engine::reserve(State& state, uint64_t n_tokens) const {
  return state.reserve(model_->state_layout(), n_tokens);
}

void Engine::forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, std::span<float> logits) const {
  model_->forward(state, ids, wanted, *workspace_, *pool_, logits);
}

Status Engine::check_ids(std::span<const int32_t> ids) const {
  for (const int32_t id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= info_.vocab_size) {
      return fail(ErrorCode::kInvalidArgument, "token id ", id, " is outside the model's vocabulary of ",
                  info_.vocab_size);
    }
  }
  return {};
}

Result<ModelLoader> ModelLoader::create(const LoadOptions& options) {
  if (options.n_threads < 1 || options.n_threads > kMaxThreads) {
    return fail(ErrorCode::kInvalidArgument, "threads must be from 1 to ", kMaxThreads, ", found ", options.n_threads);
  }
  ModelLoader loader;
  loader.options_ = options;
  return loader;
}

Status ModelLoader::set_config(std::span<const std::byte> json, std::span<const std::string> overrides) {
  if (weights_) return fail(ErrorCode::kInvalidArgument, "config.json was given after weights");
  overrides_.assign(overrides.begin(), overrides.end());
  return json.empty() ? Status() : read_config(as_text(json));
}

Status ModelLoader::read_config(std::string_view json) {
  SUTRA_ASSIGN(config_, parse_config(json, overrides_));
  config_json_ = json;
  return {};
}

Status ModelLoader::set_tokenizer(std::span<const std::byte> file) {
  SUTRA_ASSIGN(tokenizer_, text::Tokenizer::from_file(file));
  return {};
}

Status ModelLoader::begin_file(std::string_view name, uint64_t size_bytes) {
  if (file_) return fail(ErrorCode::kInvalidArgument, "file '", name, "' begins before the one before it has ended");
  if (!weights_) {
    weights_ = std::make_unique<WeightMap>();
    const std::optional<PackedConfig> packed = config_ ? config_->packed : std::nullopt;
    weight_sink_ = std::make_unique<WeightSink>(*weights_, packed, !options_.exact && !options_.weights_only);
    inventory_ = std::make_unique<ModelInventory>(*weight_sink_);
  }
  TensorSink* sink = inventory_.get();
  if (options_.filter != nullptr) {
    options_.filter->begin_file(*sink, *weight_sink_, *weights_);
    sink = options_.filter;
  }
  file_ = std::make_unique<TensorFile>(std::string(name), size_bytes, *sink);
  return {};
}

Status ModelLoader::feed(std::span<const std::byte> bytes) {
  if (!file_) return fail(ErrorCode::kInvalidArgument, "bytes were given outside of any file");
  if (bytes.size() > file_->wanted().size) {
    return fail(ErrorCode::kInvalidArgument, bytes.size(), " bytes were given where ", file_->wanted().size,
                " are wanted");
  }
  if (bytes.empty()) return {};
  SUTRA_TRY(file_->give(bytes));
  // As soon as it is there, so that a file nothing can be done with is not read to its end.
  const GgufHeader* const header = file_->gguf_header();
  return header != nullptr && !is_gguf_ ? use_gguf_header(*header) : Status();
}

Status ModelLoader::use_gguf_header(const GgufHeader& header) {
  is_gguf_ = true;
  SUTRA_ASSIGN(const std::string json, gguf_config(header));
  SUTRA_TRY(read_config(json));
  weight_sink_->keep(gguf_changed_tensors(*config_, header));
  return tokenizer_ ? Status() : use_gguf_tokenizer(header.metadata);
}

Status ModelLoader::use_gguf_tokenizer(const GgufMetadata& metadata) {
  if (options_.weights_only) {
    for (const auto& [key, value] : metadata.entries()) {
      if (key.starts_with("tokenizer.")) tokenizer_metadata_.add(key, value);
    }
    return {};
  }
  auto tokenizer = gguf_tokenizer(metadata);
  if (tokenizer) {
    tokenizer_ = std::move(*tokenizer);
  } else if (has_no_known_tokenizer(tokenizer.error())) {
    why_no_tokenizer_ = std::move(tokenizer.error().message);
  } else {
    return std::unexpected(std::move(tokenizer).error());
  }
  return {};
}

Status ModelLoader::end_file() {
  if (!file_) return fail(ErrorCode::kInvalidArgument, "a file ends that has not begun");
  const Status status = file_->finish();
  file_.reset();
  return status;
}

Status ModelLoader::use_published_names() {
  if (!weights_) return fail(ErrorCode::kNotFound, "no weight file was given");
  if (file_) return fail(ErrorCode::kTruncated, "the last weight file has not ended");
  if (is_gguf_) return rename_gguf(*config_, *weights_);
  if (has_fla_rwkv6_names(*weights_)) SUTRA_TRY(use_blinkdl_names_of_fla(*weights_));
  const bool is_blinkdl = has_blinkdl_names(*weights_);
  if (is_blinkdl) SUTRA_TRY(use_blinkdl_names(*weights_));
  if (!config_) {
    SUTRA_ASSIGN(const std::string json, config_of_weights(*weights_));
    SUTRA_TRY(read_config(json));
  }
  // Versions 4 to 6 are published under BlinkDL's names.
  if (is_blinkdl && std::holds_alternative<Rwkv7Config>(config_->architecture)) SUTRA_TRY(adapt_blinkdl(*weights_));
  return rename_mamba_ssm(*config_, *weights_);
}

Result<ModelWeights> ModelLoader::finish_weights() {
  SUTRA_TRY(use_published_names());
  return ModelWeights{std::move(*config_), std::move(config_json_), std::move(overrides_),
                      std::move(tokenizer_metadata_), std::move(*weights_)};
}

Result<std::shared_ptr<const Engine>> ModelLoader::finish() {
  SUTRA_TRY(use_published_names());
  if (has_blinkdl_names(*weights_)) SUTRA_TRY(adapt_blinkdl(*weights_));
  if (tokenizer_ && tokenizer_->vocab_size() > config_->vocab_size()) {
    return fail(ErrorCode::kInvalidArgument, "the tokenizer has ids up to ", tokenizer_->vocab_size() - 1,
                ", the model's vocabulary ends at ", config_->vocab_size() - 1, ": they do not belong together");
  }
  auto engine = std::make_shared<Engine>();
  ModelInfo& info = engine->info_;
  info.architecture = config_->architecture_name();
  info.quantization = inventory_->quantization(config_->packed);
  info.n_parameters = inventory_->n_parameters(config_->packed);
  info.n_layer = config_->n_layer();
  info.n_embd = config_->n_embd();
  info.vocab_size = config_->vocab_size();
  info.n_threads = options_.n_threads;
  info.exact = options_.exact;
  info.has_tokenizer = tokenizer_.has_value();
  info.why_no_tokenizer = tokenizer_ ? std::string() : std::move(why_no_tokenizer_);
  info.model_hash = inventory_->hash();
  SUTRA_ASSIGN(engine->model_, build_model(*config_, *weights_, {options_.exact, options_.int8_activations}));
  SUTRA_ASSIGN(Workspace workspace, engine->model_->create_workspace(kChunkTokens));
  engine->workspace_ = std::make_unique<Workspace>(std::move(workspace));
  info.unused_tensors = weights_->names();
  info.weight_bytes = engine->model_->weight_bytes();
  const StateLayout& layout = engine->model_->state_layout();
  info.state_bytes = uint64_t{layout.n_floats()} * sizeof(float);
  info.state_bytes_per_token = uint64_t{layout.n_page_floats()} * sizeof(float) / kernels::kCachePageTokens;
  info.max_tokens = layout.max_tokens;
  engine->tokenizer_ = std::move(tokenizer_);
  engine->bos_token_id_ = config_->bos_token_id;
  engine->eos_token_ids_ = config_->eos_token_ids;
  engine->pool_ = std::make_unique<ThreadPool>(options_.n_threads);
  return engine;
}

Status run_self_test() { return kernels::self_test(); }

Status warm_up() { return kernels::warm_up(); }

}  // namespace sutra
