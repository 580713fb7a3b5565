#include "model/model.h"

#include <algorithm>

#include "base/overloaded.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/norm/norm.h"
#include "model/decoder.h"
#include "model/mamba.h"
#include "model/mamba2.h"
#include "model/outer_names.h"
#include "model/rwkv4.h"
#include "model/rwkv5.h"
#include "model/rwkv6.h"
#include "model/rwkv7.h"

namespace sutra {
namespace {

// y [T, C]; LayerNorm where there is a bias, else RMSNorm. y may be x.
void normalize(const Tensor& weight, const Tensor& bias, float eps, const float* x, size_t n_tokens, float* y,
               ThreadPool& pool) {
  const size_t n_embd = weight.as<float>().size();
  share(pool, n_tokens, 1, {n_tokens, n_embd * kElementwiseCost}, [&](size_t first, size_t last) {
    const float* from = x + first * n_embd;
    float* to = y + first * n_embd;
    if (const float* b = data_or_null(bias)) {
      kernels::layer_norm({from, last - first, n_embd, data(weight), b, eps, to});
    } else {
      kernels::rms_norm({from, last - first, n_embd, data(weight), eps, to});
    }
  });
}

}  // namespace

void Model::forward(State& state, std::span<const int32_t> ids, LogitsWanted wanted, Workspace& workspace,
                    ThreadPool& pool, std::span<float> logits) const {
  embed(ids, workspace, pool);
  run_layers(state, ids.size(), workspace, pool);
  state.n_tokens += ids.size();
  if (wanted != LogitsWanted::kNone) head(ids.size(), wanted, workspace, pool, logits);
}

void Model::embed(std::span<const int32_t> ids, Workspace& workspace, ThreadPool& pool) const {
  SUTRA_ASSERT(!ids.empty() && ids.size() <= workspace.max_tokens);
  float* x = Arena(workspace.buffer.bytes()).take<float>(stream_floats(ids.size()));
  for (size_t t = 0; t < ids.size(); ++t) embeddings_.copy_row(static_cast<size_t>(ids[t]), x + t * n_embd_);
  if (ends_.embedding_multiplier != 1) {
    kernels::scale(x, ends_.embedding_multiplier, stream_floats(ids.size()), x);
  }
  if (!pre_norm_weight_.bytes().empty()) normalize(pre_norm_weight_, pre_norm_bias_, ends_.eps, x, ids.size(), x, pool);
}

void Model::head_input(size_t n_tokens, LogitsWanted wanted, Workspace& workspace, ThreadPool& pool,
                       std::span<float> out) const {
  const size_t n_wanted = wanted == LogitsWanted::kAll ? n_tokens : 1;
  SUTRA_ASSERT(out.size() == stream_floats(n_wanted));
  const float* x = Arena(workspace.buffer.bytes()).take<float>(stream_floats(n_tokens));
  normalize(norm_weight_, norm_bias_, ends_.eps, x + stream_floats(n_tokens - n_wanted), n_wanted, out.data(), pool);
  // It is logits that are multiplied; their input is shorter.
  if (ends_.logits_multiplier != 1) kernels::scale(out.data(), ends_.logits_multiplier, out.size(), out.data());
}

void Model::head(size_t n_tokens, LogitsWanted wanted, Workspace& workspace, ThreadPool& pool,
                 std::span<float> logits) const {
  const Linear& matrix = head_ ? *head_ : embeddings_;
  const size_t n_wanted = wanted == LogitsWanted::kAll ? n_tokens : 1;
  SUTRA_ASSERT(logits.size() == n_wanted * matrix.n_out());
  // What the layers had behind the stream is not needed any more.
  Arena arena(workspace.buffer.bytes());
  for (size_t i = 0; i < n_streams_; ++i) arena.take<float>(stream_floats(n_tokens));
  const std::span x_norm(arena.take<float>(stream_floats(n_wanted)), stream_floats(n_wanted));
  std::byte* quantized = arena.take<std::byte>(matrix.input_bytes(n_wanted));
  head_input(n_tokens, wanted, workspace, pool, x_norm);
  prepare_and_multiply(matrix, {x_norm.data(), n_wanted, quantized}, logits.data(), pool);
}

std::vector<std::span<float>> Model::stream(Workspace& workspace, size_t n_tokens) const {
  Arena arena(workspace.buffer.bytes());
  std::vector<std::span<float>> arrays;
  for (size_t i = 0; i < n_streams_; ++i) {
    arrays.emplace_back(arena.take<float>(stream_floats(n_tokens)), stream_floats(n_tokens));
  }
  return arrays;
}

Result<Workspace> Model::create_workspace(size_t max_tokens) const {
  Arena head;
  for (size_t i = 0; i <= n_streams_; ++i) head.take<float>(stream_floats(max_tokens));
  head.take<std::byte>(sizes_.input_bytes * max_tokens);
  Workspace workspace;
  SUTRA_ASSIGN(workspace.buffer, AlignedBuffer::create(std::max(layers_bytes(max_tokens), head.used())));
  workspace.max_tokens = max_tokens;
  return workspace;
}

Status Model::take_ends(const Ends& ends, WeightMap& tensors, const ModelConfig& config, const WeightOptions& options) {
  const OuterNames names = outer_names(config);
  const size_t vocab_size = config.vocab_size();
  ends_ = ends;
  n_embd_ = config.n_embd();
  const auto norm = [&](std::string_view name, Tensor& weight, Tensor& bias) -> Status {
    SUTRA_ASSIGN(weight, take_vector(tensors, concat(name, ".weight"), {n_embd_}));
    if (!names.pre_norm.empty()) {
      SUTRA_ASSIGN(bias, take_vector(tensors, concat(name, ".bias"), {n_embd_}));
    }
    return {};
  };
  if (options.part.embeddings || (options.part.head && names.tied)) {
    SUTRA_ASSIGN(embeddings_, Linear::take_embedding(tensors, names.embeddings, vocab_size, n_embd_, config, options));
  }
  if (options.part.embeddings && !names.pre_norm.empty()) {
    SUTRA_TRY(norm(names.pre_norm, pre_norm_weight_, pre_norm_bias_));
  }
  if (options.part.last_norm) SUTRA_TRY(norm(names.norm, norm_weight_, norm_bias_));
  if (options.part.head && !names.tied) {
    SUTRA_ASSIGN(head_, Linear::take(tensors, names.head, vocab_size, n_embd_, config, options));
  }
  return {};
}

Result<std::unique_ptr<Model>> build_model(const ModelConfig& config, WeightMap& tensors, const WeightOptions& wanted) {
  WeightOptions options = wanted;
  options.part.last_layer = std::min(wanted.part.last_layer, config.n_layer());
  SUTRA_ASSIGN(std::unique_ptr<Model> model,
               std::visit(Overloaded{
                              [&](const MambaConfig&) { return Mamba::create(config, tensors, options); },
                              [&](const Mamba2Config&) { return Mamba2::create(config, tensors, options); },
                              [&](const DecoderConfig&) { return Decoder::create(config, tensors, options); },
                              [&](const Rwkv4Config&) { return Rwkv4::create(config, tensors, options); },
                              [&](const Rwkv5Config&) { return Rwkv5::create(config, tensors, options); },
                              [&](const Rwkv6Config&) { return Rwkv6::create(config, tensors, options); },
                              [&](const Rwkv7Config&) { return Rwkv7::create(config, tensors, options); },
                          },
                          config.architecture));
  model->first_layer_ = options.part.first_layer;
  model->sizes_.add(model->embeddings_);
  if (model->head_) model->sizes_.add(*model->head_);
  model->measure(model->sizes_);
  return model;
}

}  // namespace sutra
