#include "runtime/engine.h"

#include <algorithm>
#include <cstring>

#include "io/hash.h"
#include "kernels/self_test.h"

namespace sutra {
namespace {

// Bytes of each tensor that enter the model hash: enough to tell models apart, cheap for large ones.
constexpr size_t kHashedTensorBytes = 4096;
constexpr size_t kMaxThreads = 64;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string hash_model(const TensorMap& tensors) {
  Sha256 hash;
  for (const std::string& name : tensors.names()) {
    const Tensor& tensor = *tensors.find(name);
    const std::string header = concat(name, '\n', dtype_name(tensor.dtype()), tensor.shape().to_string(), '\n');
    hash.update(std::as_bytes(std::span(header)));
    hash.update(tensor.bytes().first(std::min(tensor.bytes().size(), kHashedTensorBytes)));
  }
  return to_hex(hash.finish());
}

// "4-bit, group 128" if any matrix is packed, else the dtype of the largest tensor.
std::string describe_quantization(const ModelConfig& config, const TensorMap& tensors) {
  const Tensor* largest = nullptr;
  for (const std::string& name : tensors.names()) {
    if (config.awq && name.ends_with(".qweight")) return concat("4-bit, group ", config.awq->group_size);
    const Tensor* tensor = tensors.find(name);
    if (largest == nullptr || tensor->bytes().size() > largest->bytes().size()) largest = tensor;
  }
  if (largest == nullptr) return "none";
  switch (largest->dtype()) {
    case Dtype::kF16: return "float16";
    case Dtype::kBF16: return "bfloat16";
    case Dtype::kF64: return "float64";
    default: return "float32";
  }
}

uint64_t count_parameters(const TensorMap& tensors) {
  uint64_t n = 0;
  for (const std::string& name : tensors.names()) {
    if (name.ends_with(".qzeros") || name.ends_with(".scales")) continue;
    const Tensor& tensor = *tensors.find(name);
    n += tensor.shape().n_elements() * (name.ends_with(".qweight") ? 8 : 1);
  }
  return n;
}

}  // namespace

bool Engine::is_eos(int32_t id) const { return std::ranges::find(eos_token_ids_, id) != eos_token_ids_.end(); }

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
  loader.tensors_ = std::make_unique<TensorMap>();
  return loader;
}

Status ModelLoader::set_config(std::span<const std::byte> json, std::span<const std::string> overrides) {
  SUTRA_ASSIGN(JsonObject object, JsonObject::parse(as_text(json), "config.json"));
  for (const std::string& override_text : overrides) SUTRA_TRY(object.override_value(override_text));
  SUTRA_ASSIGN(config_, read_model_config(object));
  return {};
}

Status ModelLoader::set_tokenizer(std::span<const std::byte> json) {
  SUTRA_ASSIGN(tokenizer_, text::Tokenizer::from_json(json));
  return {};
}

Status ModelLoader::begin_file(std::string_view name, uint64_t size_bytes) {
  if (stream_) return fail(ErrorCode::kInvalidArgument, "file '", name, "' begins before the one before it has ended");
  stream_.emplace(std::string(name), size_bytes, *tensors_);
  return {};
}

Status ModelLoader::feed(std::span<const std::byte> chunk) {
  if (!stream_) return fail(ErrorCode::kInvalidArgument, "bytes were given outside of any file");
  return stream_->feed(chunk);
}

Status ModelLoader::end_file() {
  if (!stream_) return fail(ErrorCode::kInvalidArgument, "a file ends that has not begun");
  const Status status = stream_->finish();
  stream_.reset();
  return status;
}

Result<std::shared_ptr<const Engine>> ModelLoader::finish() {
  if (!config_) return fail(ErrorCode::kNotFound, "config.json was not given");
  if (stream_) return fail(ErrorCode::kTruncated, "the last weight file has not ended");
  if (tokenizer_ && tokenizer_->vocab_size() > config_->vocab_size()) {
    return fail(ErrorCode::kInvalidArgument, "the tokenizer has ids up to ", tokenizer_->vocab_size() - 1,
                ", the model's vocabulary ends at ", config_->vocab_size() - 1, ": they do not belong together");
  }
  auto engine = std::make_shared<Engine>();
  ModelInfo& info = engine->info_;
  info.architecture = config_->architecture_name();
  info.quantization = describe_quantization(*config_, *tensors_);
  info.n_parameters = count_parameters(*tensors_);
  info.n_layer = config_->n_layer();
  info.n_embd = config_->n_embd();
  info.vocab_size = config_->vocab_size();
  info.n_threads = options_.n_threads;
  info.exact = options_.exact;
  info.has_tokenizer = tokenizer_.has_value();
  info.model_hash = hash_model(*tensors_);
  SUTRA_ASSIGN(engine->model_, build_model(*config_, *tensors_, {options_.exact, options_.int8_activations}));
  SUTRA_ASSIGN(Workspace workspace, engine->model_->create_workspace(kChunkTokens));
  engine->workspace_ = std::make_unique<Workspace>(std::move(workspace));
  info.unused_tensors = tensors_->names();
  info.weight_bytes = engine->model_->weight_bytes();
  info.state_bytes = engine->model_->state_layout().n_floats() * sizeof(float);
  engine->tokenizer_ = std::move(tokenizer_);
  engine->bos_token_id_ = config_->bos_token_id;
  engine->eos_token_ids_ = config_->eos_token_ids;
  engine->pool_ = std::make_unique<ThreadPool>(options_.n_threads);
  tensors_ = std::make_unique<TensorMap>();
  return engine;
}

Status run_self_test() { return kernels::self_test(); }

}  // namespace sutra
