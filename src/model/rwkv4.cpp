#include "model/rwkv4.h"

#include <algorithm>
#include <cmath>

#include "kernels/wkv/wkv4.h"

namespace sutra {
namespace {

enum Field : size_t { kAttXPrev, kAa, kBb, kPp, kFfnXPrev };

StateLayout make_layout(const Rwkv4Config& c) {
  StateLayout layout;
  const auto add = [&](const char* name, float initial) {
    layout.add({name, 0, c.n_layer, 1, c.n_embd, false, {c.n_layer, c.n_embd}, false, initial});
  };
  add("att_x_prev", 0.0f);
  add("aa", 0.0f);
  add("bb", 0.0f);
  add("pp", kernels::kWkv4InitialExponent);
  add("ffn_x_prev", 0.0f);
  layout.linear = false;
  return layout;
}

}  // namespace

// Every intermediate of a chunk of T tokens; [T, C] unless said otherwise.
struct Rwkv4::Buffers {
  float* x;       // residual stream
  float* x_norm;  // ln1 or ln2 of x; then what is added to x
  float *x_k, *x_v, *x_r;
  float *k, *v, *r;
  float* ffn_k;                // [T, dim_ffn]
  std::byte *q_k, *q_v, *q_r;  // integers of the products' inputs
};

Rwkv4::Buffers Rwkv4::carve(Arena& arena, size_t n_tokens) const {
  const size_t n = n_tokens * config_.n_embd;
  Buffers b{};
  for (float** buffer : {&b.x, &b.x_norm, &b.x_k, &b.x_v, &b.x_r, &b.k, &b.v, &b.r}) *buffer = arena.take<float>(n);
  b.ffn_k = arena.take<float>(n_tokens * config_.dim_ffn);
  const size_t input_bytes = n_tokens * sizes_.input_bytes;
  for (std::byte** buffer : {&b.q_k, &b.q_v, &b.q_r}) *buffer = arena.take<std::byte>(input_bytes);
  return b;
}

void Rwkv4::time_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const TimeMix& att = blocks_[layer - first_layer_].att;
  const size_t n_embd = config_.n_embd, n = n_tokens * n_embd;
  const auto field = [&](Field f) { return state.field(layout_.fields[f]) + layer * n_embd; };
  float* x_prev = field(kAttXPrev);

  rwkv::layer_norm(att.ln1, config_.layer_norm_eps, b.x, n_tokens, b.x_norm, pool);
  const kernels::TokenShiftMix mixes[] = {{data(att.x_k), b.x_k}, {data(att.x_v), b.x_v}, {data(att.x_r), b.x_r}};
  const Product products[] = {
      {&att.key, {b.x_k, n_tokens, b.q_k}, b.k, n_embd},
      {&att.value, {b.x_v, n_tokens, b.q_v}, b.v, n_embd},
      {&att.receptance, {b.x_r, n_tokens, b.q_r}, b.r, n_embd},
  };
  share(pool, n_tokens, 1, {n_tokens, n_embd * kElementwiseCost}, [&](size_t first, size_t last) {
    rwkv::token_shift(mixes, b.x_norm, x_prev, n_embd, first, last);
    for (const Product& product : products) product.linear->prepare(product.input, first, last);
  });
  std::copy_n(b.x_norm + n - n_embd, n_embd, x_prev);
  multiply_all(products, pool);

  share(pool, n_embd, Linear::kTileRows, {n_tokens, n_embd * 4 * kElementwiseCost}, [&](size_t first, size_t last) {
    kernels::wkv4(
        {data(att.w), data(att.u), b.k, b.v, n_tokens, n_embd, first, last, field(kAa), field(kBb), field(kPp), b.v});
    for (size_t t = 0; t < n_tokens; ++t) {
      const size_t at = t * n_embd + first;
      rwkv::gate_by_sigmoid(b.r + at, last - first, b.v + at);
    }
  });
  const LinearInput y{b.v, n_tokens, b.q_v};
  share(pool, n_tokens, 1, {n_tokens, n_embd * kElementwiseCost},
        [&](size_t first, size_t last) { att.output.prepare(y, first, last); });
  multiply_add(att.output, y, nullptr, b.x_norm, b.x, pool);
}

void Rwkv4::run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const {
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);
  for (size_t layer = first_layer_; layer < first_layer_ + blocks_.size(); ++layer) {
    time_mix(layer, state, n_tokens, b, pool);
    blocks_[layer - first_layer_].ffn.forward(state.field(layout_.fields[kFfnXPrev]) + layer * config_.n_embd,
                                              config_.layer_norm_eps, n_tokens,
                                              {b.x, b.x_norm, b.x_k, b.x_r, b.r, b.ffn_k, b.q_k, b.q_r}, pool);
  }
}

void Rwkv4::measure(LinearSizes& sizes) const {
  for (const Block& block : blocks_) {
    for (const Linear* linear : {&block.att.receptance, &block.att.key, &block.att.value, &block.att.output}) {
      sizes.add(*linear);
    }
    block.ffn.measure(sizes);
  }
}

size_t Rwkv4::layers_bytes(size_t n_tokens) const {
  Arena arena;
  carve(arena, n_tokens);
  return arena.used();
}

Result<Rwkv4::TimeMix> Rwkv4::take_time_mix(const std::string& p, WeightMap& tensors, const ModelConfig& config,
                                            const WeightOptions& options) const {
  const size_t n_embd = config_.n_embd;
  const std::string att = p + "att.";
  const auto linear = [&](std::string_view name) {
    return Linear::take(tensors, att + std::string(name), n_embd, n_embd, config, options);
  };
  TimeMix m;
  SUTRA_ASSIGN(m.ln1, rwkv::take_norm(tensors, p + "ln1", n_embd));
  SUTRA_ASSIGN(m.x_k, rwkv::take_inverse_mix(tensors, att + "time_mix_k", n_embd));
  SUTRA_ASSIGN(m.x_v, rwkv::take_inverse_mix(tensors, att + "time_mix_v", n_embd));
  SUTRA_ASSIGN(m.x_r, rwkv::take_inverse_mix(tensors, att + "time_mix_r", n_embd));
  SUTRA_ASSIGN(m.receptance, linear("receptance"));
  SUTRA_ASSIGN(m.key, linear("key"));
  SUTRA_ASSIGN(m.value, linear("value"));
  SUTRA_ASSIGN(m.output, linear("output"));
  SUTRA_ASSIGN(m.w, take_vector(tensors, att + "time_decay", {n_embd}));
  for (float& w : m.w.as<float>()) w = static_cast<float>(-std::exp(static_cast<double>(w)));
  SUTRA_ASSIGN(m.u, take_vector(tensors, att + "time_first", {n_embd}));
  return m;
}

Result<std::unique_ptr<Model>> Rwkv4::create(const ModelConfig& config, WeightMap& tensors,
                                             const WeightOptions& options) {
  auto model = std::make_unique<Rwkv4>();
  model->config_ = std::get<Rwkv4Config>(config.architecture);
  const Rwkv4Config& c = model->config_;
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
