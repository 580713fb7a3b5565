// A loaded model, its tokenizer and its threads; and the job that loads them from bytes.
// With session.h, jobs.h the only headers that bindings and programs include.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "io/tensor_file.h"
#include "model/model.h"
#include "quant/left_matrices.h"
#include "quant/weight_map.h"
#include "runtime/model_inventory.h"
#include "text/tokenizer.h"

namespace sutra {

// Most tokens of one forward pass: long prompts run in chunks, so memory does not grow with them.
inline constexpr size_t kChunkTokens = 64;

struct LoadOptions {
  // float32 activations and weights as stored: no activation quantisation, 4-bit weights widened.
  bool exact = false;
  // A8: activations in 8 bits, faster and a little less exact. Ignored with `exact`.
  bool int8_activations = false;
  size_t n_threads = 1;
  // For finish_weights(): weights as the files have them, and the tokenizer of a GGUF file as its metadata.
  bool weights_only = false;
  // With it: may keep tensors from the loader, which it outlives.
  WeightFilter* filter = nullptr;
};

struct ModelInfo {
  std::string architecture;   // "rwkv7", "mamba"
  std::string quantization;   // "4-bit, group 128", "float16", "float32", or that of most of a GGUF file: "Q4_K"
  uint64_t n_parameters = 0;  // weights of the unquantised model
  uint64_t weight_bytes = 0;  // as held in memory
  uint64_t state_bytes = 0;   // one session's recurrent state
  // Attention's keys and values, which come on top; 0 for recurrence alone.
  uint64_t state_bytes_per_token = 0;
  uint64_t max_tokens = 0;  // of one session's context; UINT64_MAX: no bound
  size_t n_layer = 0;
  size_t n_embd = 0;
  size_t vocab_size = 0;
  size_t n_threads = 0;
  bool exact = false;
  bool has_tokenizer = false;
  std::string why_no_tokenizer;  // where a GGUF file's own cannot be used
  std::string model_hash;        // SHA-256 over names, dtypes, shapes and first bytes of all tensors
  // Tensors in the file that this architecture has no use for.
  std::vector<std::string> unused_tensors;
};

// Immutable after loading; shared by any number of sessions. Calls must come from one thread at a time.
class Engine {
 public:
  [[nodiscard]] const ModelInfo& info() const { return info_; }
  [[nodiscard]] const Model& model() const { return *model_; }
  // Null where no tokenizer was given: the engine still takes ids.
  [[nodiscard]] const text::Tokenizer* tokenizer() const { return tokenizer_ ? &*tokenizer_ : nullptr; }
  [[nodiscard]] std::optional<int32_t> bos_token_id() const { return bos_token_id_; }
  [[nodiscard]] bool is_eos(int32_t id) const;
  // Room in the state for so many tokens more, which forward() needs. See State::reserve.
  [[nodiscard]] Status reserve(State& state, uint64_t n_tokens) const;
  // The forward pass on this engine's threads, for 1 to kChunkTokens ids. See Model::forward.
  void forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, std::span<float> logits) const;
  // kInvalidArgument when an id is outside the vocabulary.
  [[nodiscard]] Status check_ids(std::span<const int32_t> ids) const;

 private:
  friend class ModelLoader;
  ModelInfo info_;
  std::unique_ptr<Model> model_;
  std::optional<text::Tokenizer> tokenizer_;
  std::optional<int32_t> bos_token_id_;
  std::vector<int32_t> eos_token_ids_;
  std::unique_ptr<ThreadPool> pool_;
  // Scratch of one call; sessions hold nothing but their state.
  std::unique_ptr<Workspace> workspace_;
};

// A model's weights under the names of published checkpoints (model/parameters.h), and what is known about them.
struct ModelWeights {
  ModelConfig config;
  std::string config_json;             // what `config` was read from, without the overrides
  std::vector<std::string> overrides;  // key=value
  GgufMetadata tokenizer;              // what a GGUF file says of its own: the keys that begin with "tokenizer."
  WeightMap weights;
  // Of those of the weights that LeftMatrices kept from the loader.
  std::vector<MatrixPlace> places = {};
};

// Loads a model from bytes: config, optionally a tokenizer, then each weight file in turn, in any format of
// io/tensor_file.h. No file is ever held whole. After an error the loader is dead; nothing else is touched.
class ModelLoader {
 public:
  static Result<ModelLoader> create(const LoadOptions& options);

  // config.json, before the first weight file: it says how the weights are packed. Checkpoints in BlinkDL's names need
  // none, and text may then be empty; GGUF files say it themselves, and what is given here is not used.
  // `overrides` replaces values of known keys ("group_norm_epsilon=1e-5").
  Status set_config(std::span<const std::byte> json, std::span<const std::string> overrides = {});
  // tokenizer.json, or RWKV's World vocabulary. It is used instead of one in a GGUF file.
  Status set_tokenizer(std::span<const std::byte> file);

  // One file of `size_bytes`: begin_file, feed the first bytes of wanted() until nothing is wanted, end_file. Most formats
  // are wanted from their first byte to their last, those of torch.save in places: in_order() tells, once 16 bytes came.
  Status begin_file(std::string_view name, uint64_t size_bytes);
  [[nodiscard]] ByteRange wanted() const { return file_ ? file_->wanted() : ByteRange{}; }
  [[nodiscard]] bool in_order() const { return !file_ || file_->in_order(); }
  Status feed(std::span<const std::byte> bytes);
  Status end_file();

  // Builds the model and returns the engine. Needs every weight file.
  Result<std::shared_ptr<const Engine>> finish();
  // Instead of finish(), with LoadOptions::weights_only: the weights alone.
  Result<ModelWeights> finish_weights();

 private:
  ModelLoader() = default;
  Status use_gguf_header(const GgufHeader& header);
  Status use_gguf_tokenizer(const GgufMetadata& metadata);
  Status read_config(std::string_view json);
  Status use_published_names();
  LoadOptions options_;
  std::optional<ModelConfig> config_;
  std::string config_json_;
  std::vector<std::string> overrides_;
  std::optional<text::Tokenizer> tokenizer_;
  std::string why_no_tokenizer_;
  GgufMetadata tokenizer_metadata_;
  bool is_gguf_ = false;
  // Behind pointers, because each refers to the one before it and a loader may move.
  std::unique_ptr<WeightMap> weights_;
  std::unique_ptr<WeightSink> weight_sink_;
  std::unique_ptr<ModelInventory> inventory_;
  std::unique_ptr<TensorFile> file_;
};

// Checks every kernel variant that this build may run against the scalar one, on fixed small data.
Status run_self_test();

// In wasm: lets the browser make its better code of the kernels while a model is being loaded (kernels/warm_up.h).
Status warm_up();

}  // namespace sutra
