#include "model/rwkv5.h"

#include <algorithm>
#include <cmath>

namespace sutra {
namespace {

enum Field : size_t { kAttXPrev, kAttKv, kFfnXPrev };

StateLayout make_layout(const Rwkv5Config& c) {
  StateLayout layout;
  layout.add({"att_x_prev", 0, c.n_layer, 1, c.n_embd, false, {c.n_layer, c.n_embd}});
  layout.add({"att_kv",
              0,
              c.n_layer * c.n_head,
              c.head_size,
              c.head_size,
              false,
              {c.n_layer, c.n_head, c.head_size, c.head_size}});
  layout.add({"ffn_x_prev", 0, c.n_layer, 1, c.n_embd, false, {c.n_layer, c.n_embd}});
  return layout;
}

}  // namespace

// Every intermediate of a chunk of T tokens; [T, C] unless said otherwise.
struct Rwkv5::Buffers {
  float* x;       // residual stream
  float* x_norm;  // ln1 or ln2 of x; then what is added to x
  float *x_r, *x_k, *x_v, *x_g;
  float *r, *k, *v, *g, *y;
  float* ffn_k;                      // [T, dim_ffn]
  std::byte *q_r, *q_k, *q_v, *q_g;  // integers of the products' inputs
};

Rwkv5::Buffers Rwkv5::carve(Arena& arena, size_t n_tokens) const {
  const size_t n = n_tokens * config_.n_embd;
  Buffers b{};
  for (float** buffer : {&b.x, &b.x_norm, &b.x_r, &b.x_k, &b.x_v, &b.x_g, &b.r, &b.k, &b.v, &b.g, &b.y}) {
    *buffer = arena.take<float>(n);
  }
  b.ffn_k = arena.take<float>(n_tokens * config_.dim_ffn);
  const size_t input_bytes = n_tokens * sizes_.input_bytes;
  for (std::byte** buffer : {&b.q_r, &b.q_k, &b.q_v, &b.q_g}) *buffer = arena.take<std::byte>(input_bytes);
  return b;
}

void Rwkv5::time_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const TimeMix& att = blocks_[layer - first_layer_].att;
  const size_t n_embd = config_.n_embd, n = n_tokens * n_embd;
  float* x_prev = state.field(layout_.fields[kAttXPrev]) + layer * n_embd;
  float* wkv_state = state.field(layout_.fields[kAttKv]) + layer * n_embd * config_.head_size;

  rwkv::layer_norm(att.ln1, config_.layer_norm_eps, b.x, n_tokens, b.x_norm, pool);
  const kernels::TokenShiftMix mixes[] = {
      {data(att.x_r), b.x_r}, {data(att.x_k), b.x_k}, {data(att.x_v), b.x_v}, {data(att.x_g), b.x_g}};
  const Product products[] = {
      {&att.receptance, {b.x_r, n_tokens, b.q_r}, b.r, n_embd},
      {&att.key, {b.x_k, n_tokens, b.q_k}, b.k, n_embd},
      {&att.value, {b.x_v, n_tokens, b.q_v}, b.v, n_embd},
      {att.gate ? &*att.gate : nullptr, {b.x_g, n_tokens, b.q_g}, b.g, n_embd},
  };
  const size_t n_inputs = att.gate ? 4 : 3;
  share(pool, n_tokens, 1, {n_tokens, n_embd * kElementwiseCost}, [&](size_t first, size_t last) {
    rwkv::token_shift(std::span(mixes, n_inputs), b.x_norm, x_prev, n_embd, first, last);
    for (const Product& product : std::span(products, n_inputs)) product.linear->prepare(product.input, first, last);
  });
  std::copy_n(b.x_norm + n - n_embd, n_embd, x_prev);
  multiply_all(std::span(products, n_inputs), pool);
  att.output.forward(
      {b.r, b.k, b.v, att.gate ? b.g : nullptr, data(att.w), 0, n_tokens, wkv_state, b.y, b.x_norm, b.x, b.q_r}, pool);
}

void Rwkv5::run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const {
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);
  for (size_t layer = first_layer_; layer < first_layer_ + blocks_.size(); ++layer) {
    time_mix(layer, state, n_tokens, b, pool);
    blocks_[layer - first_layer_].ffn.forward(state.field(layout_.fields[kFfnXPrev]) + layer * config_.n_embd,
                                              config_.layer_norm_eps, n_tokens,
                                              {b.x, b.x_norm, b.x_k, b.x_r, b.r, b.ffn_k, b.q_k, b.q_r}, pool);
  }
}

void Rwkv5::measure(LinearSizes& sizes) const {
  for (const Block& block : blocks_) {
    for (const Linear* linear : {&block.att.receptance, &block.att.key, &block.att.value, &block.att.output.output()}) {
      sizes.add(*linear);
    }
    if (block.att.gate) sizes.add(*block.att.gate);
    block.ffn.measure(sizes);
  }
}

size_t Rwkv5::layers_bytes(size_t n_tokens) const {
  Arena arena;
  carve(arena, n_tokens);
  return arena.used();
}

// Version 5.2 has one for each channel, the older ones one for each head.
Result<Tensor> Rwkv5::take_per_channel(WeightMap& tensors, const std::string& name) const {
  if (config_.per_channel_decay) return take_vector(tensors, name, {config_.n_embd});
  SUTRA_ASSIGN(const Tensor per_head, take_vector(tensors, name, {config_.n_head}));
  SUTRA_ASSIGN(Tensor per_channel, Tensor::create(Dtype::kF32, {config_.n_embd}, Contents::kUndefined));
  for (size_t c = 0; c < config_.n_embd; ++c) {
    per_channel.as<float>()[c] = per_head.as<float>()[c / config_.head_size];
  }
  return per_channel;
}

Result<Rwkv5::TimeMix> Rwkv5::take_time_mix(const std::string& p, WeightMap& tensors, const ModelConfig& config,
                                            const WeightOptions& options) const {
  const size_t n_embd = config_.n_embd;
  const std::string att = p + "att.";
  const auto linear = [&](std::string_view name) {
    return Linear::take(tensors, att + std::string(name), n_embd, n_embd, config, options);
  };
  TimeMix m;
  SUTRA_ASSIGN(m.ln1, rwkv::take_norm(tensors, p + "ln1", n_embd));
  SUTRA_ASSIGN(m.x_r, rwkv::take_inverse_mix(tensors, att + "time_mix_r", n_embd));
  SUTRA_ASSIGN(m.x_k, rwkv::take_inverse_mix(tensors, att + "time_mix_k", n_embd));
  SUTRA_ASSIGN(m.x_v, rwkv::take_inverse_mix(tensors, att + "time_mix_v", n_embd));
  SUTRA_ASSIGN(m.receptance, linear("receptance"));
  SUTRA_ASSIGN(m.key, linear("key"));
  SUTRA_ASSIGN(m.value, linear("value"));
  if (config_.has_gate) {
    SUTRA_ASSIGN(m.x_g, rwkv::take_inverse_mix(tensors, att + "time_mix_g", n_embd));
    SUTRA_ASSIGN(m.gate, linear("gate"));
  }
  SUTRA_ASSIGN(m.w, take_per_channel(tensors, att + "time_decay"));
  for (float& w : m.w.as<float>()) w = static_cast<float>(std::exp(-std::exp(static_cast<double>(w))));
  // Up to 5.1 the bonus is stored as its logarithm.
  Tensor u;
  if (config_.per_channel_decay) {
    SUTRA_ASSIGN(u, take_per_channel(tensors, att + "time_faaaa"));
  } else {
    SUTRA_ASSIGN(u, take_per_channel(tensors, att + "time_first"));
    for (float& bonus : u.as<float>()) bonus = static_cast<float>(std::exp(static_cast<double>(bonus)));
  }
  SUTRA_ASSIGN(m.output, rwkv::WkvOutput::take(tensors, att, config_.n_head, config_.head_size, config_.group_norm_eps,
                                               std::move(u), config, options));
  return m;
}

Result<std::unique_ptr<Model>> Rwkv5::create(const ModelConfig& config, WeightMap& tensors,
                                             const WeightOptions& options) {
  auto model = std::make_unique<Rwkv5>();
  model->config_ = std::get<Rwkv5Config>(config.architecture);
  const Rwkv5Config& c = model->config_;
  model->layout_ = make_layout(c);
  SUTRA_TRY(model->take_ends({c.layer_norm_eps}, tensors, config, options));
  for (size_t layer = options.part.first_layer; layer < options.part.last_layer; ++layer) {
    const std::string p = concat("blocks.", layer, ".");
    Block block;
    SUTRA_ASSIGN(block.att, model->take_time_mix(p, tensors, config, options));
    SUTRA_ASSIGN(block.ffn, rwkv::GatedChannelMix::take(tensors, p, c.n_embd, c.dim_ffn, true, config, options));
    model->blocks_.push_back(std::move(block));
  }
  return model;
}

}  // namespace sutra
