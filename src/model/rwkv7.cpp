#include "model/rwkv7.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "kernels/elementwise/elementwise.h"
#include "kernels/norm/norm.h"
#include "kernels/wkv/wkv7.h"

namespace sutra {
namespace {

enum Field : size_t { kAttXPrev, kAttKv, kFfnXPrev };

StateLayout make_layout(const Rwkv7Config& c) {
  StateLayout layout;
  layout.add({"att_x_prev", 0, c.n_layer, 1, c.n_embd, false, {c.n_layer, c.n_embd}});
  layout.add({"att_kv",
              0,
              c.n_layer * c.n_head,
              c.head_size,
              c.head_size,
              true,
              {c.n_layer, c.n_head, c.head_size, c.head_size}});
  layout.add({"ffn_x_prev", 0, c.n_layer, 1, c.n_embd, false, {c.n_layer, c.n_embd}});
  return layout;
}

}  // namespace

// Every intermediate of a chunk of T tokens; [T, C] unless said otherwise.
struct Rwkv7::Buffers {
  float* x;        // residual stream
  float* v_first;  // what goes from layer to layer beside it
  float* x_norm;   // ln1 or ln2 of x; then what is added to x
  float *x_r, *x_w, *x_k, *x_v, *x_a, *x_g;
  float *r, *w, *k, *v, *a, *g, *kk;
  float* v_raw;
  float* y;
  float *w_low, *a_low, *v_low, *g_low;  // [T, low rank]
  float* ffn_k;                          // [T, dim_ffn]
  // Integers of r, k, v and of the four low-rank pairs' inputs, which are all there at the same time.
  std::byte *q_r, *q_k, *q_v, *q_w_low, *q_a_low, *q_v_low, *q_g_low;
  std::byte* q;  // of any input that stands alone
};

Rwkv7::Buffers Rwkv7::carve(Arena& arena, size_t n_tokens) const {
  const size_t n = n_tokens * config_.n_embd;
  Buffers b{};
  for (float** buffer : {&b.x, &b.v_first, &b.x_norm, &b.x_r, &b.x_w, &b.x_k, &b.x_v, &b.x_a, &b.x_g, &b.r, &b.w, &b.k,
                         &b.v, &b.a, &b.g, &b.kk, &b.v_raw, &b.y}) {
    *buffer = arena.take<float>(n);
  }
  b.w_low = arena.take<float>(n_tokens * config_.decay_low_rank);
  b.a_low = arena.take<float>(n_tokens * config_.a_low_rank);
  b.v_low = arena.take<float>(n_tokens * config_.v_low_rank);
  b.g_low = arena.take<float>(n_tokens * config_.gate_low_rank);
  b.ffn_k = arena.take<float>(n_tokens * config_.dim_ffn);
  // Layers may hold the same matrix in different forms.
  size_t mixed_bytes = 0;
  for (const Block& block : blocks_) {
    const TimeMix& att = block.att;
    for (const Linear* linear : {&att.receptance, &att.key, &att.value, &att.w.down, &att.w.up, &att.a.down, &att.a.up,
                                 &att.v.down, &att.v.up, &att.g.down, &att.g.up}) {
      mixed_bytes = std::max(mixed_bytes, linear->input_bytes(n_tokens));
    }
  }
  for (std::byte** buffer : {&b.q_r, &b.q_k, &b.q_v, &b.q_w_low, &b.q_a_low, &b.q_v_low, &b.q_g_low}) {
    *buffer = arena.take<std::byte>(mixed_bytes);
  }
  b.q = arena.take<std::byte>(n_tokens * sizes_.input_bytes);
  return b;
}

// The token shift and everything that reads it: r, k, v and the lower halves of the low-rank pairs with their activations.
void Rwkv7::project(size_t layer, const float* x_prev, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const TimeMix& att = blocks_[layer - first_layer_].att;
  const kernels::TokenShiftMix mixes[] = {{data(att.x_r), b.x_r}, {data(att.x_w), b.x_w}, {data(att.x_k), b.x_k},
                                          {data(att.x_v), b.x_v}, {data(att.x_a), b.x_a}, {data(att.x_g), b.x_g}};
  const size_t n_embd = config_.n_embd;
  const size_t n_pairs = layer == 0 ? 3 : 4;  // layer 0 has no value residual
  const Product products[] = {
      {&att.receptance, {b.x_r, n_tokens, b.q_r}, b.r, n_embd},
      {&att.key, {b.x_k, n_tokens, b.q_k}, b.k, n_embd},
      {&att.value, {b.x_v, n_tokens, b.q_v}, b.v, n_embd},
      {&att.w.down, {b.x_w, n_tokens, b.q_w_low}, b.w_low, config_.decay_low_rank},
      {&att.a.down, {b.x_a, n_tokens, b.q_a_low}, b.a_low, config_.a_low_rank},
      {&att.g.down, {b.x_g, n_tokens, b.q_g_low}, b.g_low, config_.gate_low_rank},
      {&att.v.down, {b.x_v, n_tokens, b.q_v_low}, b.v_low, config_.v_low_rank},
  };
  const std::span<const Product> wanted(products, 3 + n_pairs);
  const Work cost{n_tokens, n_embd * kElementwiseCost};
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    rwkv::token_shift(mixes, b.x_norm, x_prev, n_embd, first, last);
    for (const Product& product : wanted) product.linear->prepare(product.input, first, last);
  });
  multiply_all(wanted, pool);

  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    const size_t n = last - first;
    float* w_low = b.w_low + first * config_.decay_low_rank;
    float* g_low = b.g_low + first * config_.gate_low_rank;
    kernels::tanh(w_low, n * config_.decay_low_rank, w_low);
    kernels::sigmoid(g_low, n * config_.gate_low_rank, g_low);
    att.w.up.prepare({b.w_low, n_tokens, b.q_w_low}, first, last);
    att.a.up.prepare({b.a_low, n_tokens, b.q_a_low}, first, last);
    att.g.up.prepare({b.g_low, n_tokens, b.q_g_low}, first, last);
    if (layer > 0) att.v.up.prepare({b.v_low, n_tokens, b.q_v_low}, first, last);
  });
}

// Everything between the projections and the output projection, for some heads: their channels need no others'.
void Rwkv7::mix_heads(size_t layer, size_t n_tokens, size_t first_head, size_t last_head, const Buffers& b,
                      float* wkv_state) const {
  const TimeMix& att = blocks_[layer - first_layer_].att;
  const size_t n_embd = config_.n_embd, n_head = config_.n_head, head_size = config_.head_size;
  const size_t n_heads = last_head - first_head;
  const size_t first = first_head * head_size, last = last_head * head_size, n = last - first;

  att.w.up.multiply({b.w_low, n_tokens, b.q_w_low}, first, last, b.w, n_embd);
  att.a.up.multiply({b.a_low, n_tokens, b.q_a_low}, first, last, b.a, n_embd);
  att.g.up.multiply({b.g_low, n_tokens, b.q_g_low}, first, last, b.g, n_embd);
  if (layer > 0) att.v.up.multiply({b.v_low, n_tokens, b.q_v_low}, first, last, b.v_raw, n_embd);
  for (size_t t = 0; t < n_tokens; ++t) {
    const size_t at = t * n_embd + first;
    // w = exp(-e^(-1/2) σ(w0 + W2 tanh(W1 x_w)))
    kernels::add_bias(b.w + at, data(att.w.bias) + first, 1, n, b.w + at);
    kernels::rwkv7_decay(b.w + at, n, b.w + at);
    // a = σ(a0 + A2 A1 x_a)
    kernels::add_bias(b.a + at, data(att.a.bias) + first, 1, n, b.a + at);
    kernels::sigmoid(b.a + at, n, b.a + at);
    // v_first, or v + (v_first - v) σ(v0 + V2 V1 x_v)
    if (layer == 0) {
      std::copy_n(b.v + at, n, b.v_first + at);
    } else {
      kernels::add_bias(b.v_raw + at, data(att.v.bias) + first, 1, n, b.v_raw + at);
      kernels::rwkv7_value_residual(b.v + at, b.v_first + at, b.v_raw + at, n, b.v + at);
    }
    // κ from k before k is scaled
    kernels::l2_normalize({b.k + at, 1, n_heads, head_size, data(att.k_k) + first, b.kk + at});
    kernels::rwkv7_replacement_key(b.k + at, b.a + at, data(att.k_a) + first, 1, n, b.k + at);
  }
  kernels::wkv7({b.r, b.w, b.k, b.v, b.kk, b.a, n_tokens, n_head, head_size, first_head, last_head, wkv_state, b.y});
  for (size_t t = 0; t < n_tokens; ++t) {
    const size_t at = t * n_embd + first;
    kernels::group_norm({b.y + at, 1, n_heads, head_size, data(att.ln_x.weight) + first, data(att.ln_x.bias) + first,
                         config_.group_norm_eps, b.y + at});
    kernels::rwkv7_add_bonus({b.r + at, b.k + at, b.v + at, data(att.r_k) + first, 1, n_heads, head_size, b.y + at});
    kernels::mul(b.y + at, b.g + at, n, b.y + at);
  }
}

void Rwkv7::time_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const TimeMix& att = blocks_[layer - first_layer_].att;
  const size_t n_embd = config_.n_embd, n_head = config_.n_head, head_size = config_.head_size;
  const size_t n = n_tokens * n_embd;
  float* x_prev = state.field(layout_.fields[kAttXPrev]) + layer * n_embd;
  float* wkv_state = state.field(layout_.fields[kAttKv]) + layer * n_head * head_size * head_size;

  rwkv::layer_norm(att.ln1, config_.layer_norm_eps, b.x, n_tokens, b.x_norm, pool);
  project(layer, x_prev, n_tokens, b, pool);
  std::copy_n(b.x_norm + n - n_embd, n_embd, x_prev);
  // Heads whose channels fill whole tiles of the matrices' rows.
  const size_t head_grain = Linear::kTileRows / std::gcd(Linear::kTileRows, head_size);
  const size_t low_ranks = config_.decay_low_rank + config_.a_low_rank + config_.v_low_rank + config_.gate_low_rank;
  share(pool, n_head, head_grain, {n_tokens, n_embd * (low_ranks + 2 * head_size + kElementwiseCost)},
        [&](size_t first, size_t last) { mix_heads(layer, n_tokens, first, last, b, wkv_state); });

  const LinearInput y{b.y, n_tokens, b.q};
  share(pool, n_tokens, 1, {n_tokens, n_embd * kElementwiseCost},
        [&](size_t first, size_t last) { att.output.prepare(y, first, last); });
  multiply_add(att.output, y, nullptr, b.x_norm, b.x, pool);
}

void Rwkv7::channel_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const ChannelMix& ffn = blocks_[layer - first_layer_].ffn;
  const size_t n_embd = config_.n_embd, dim_ffn = config_.dim_ffn;
  const size_t n = n_tokens * n_embd;
  float* x_prev = state.field(layout_.fields[kFfnXPrev]) + layer * n_embd;

  rwkv::layer_norm(ffn.ln2, config_.layer_norm_eps, b.x, n_tokens, b.x_norm, pool);
  const kernels::TokenShiftMix mixes[] = {{data(ffn.x_k), b.x_k}};
  const LinearInput x_k{b.x_k, n_tokens, b.q};
  share(pool, n_tokens, 1, {n_tokens, n_embd * kElementwiseCost}, [&](size_t first, size_t last) {
    rwkv::token_shift(mixes, b.x_norm, x_prev, n_embd, first, last);
    ffn.key.prepare(x_k, first, last);
  });
  std::copy_n(b.x_norm + n - n_embd, n_embd, x_prev);

  share(pool, dim_ffn, Linear::kTileRows, {n_tokens, n_embd * dim_ffn}, [&](size_t first, size_t last) {
    ffn.key.multiply(x_k, first, last, b.ffn_k, dim_ffn);
    for (size_t t = 0; t < n_tokens; ++t) {
      float* k = b.ffn_k + t * dim_ffn + first;
      kernels::relu_squared(k, last - first, k);
    }
  });
  const LinearInput k{b.ffn_k, n_tokens, b.q};
  share(pool, n_tokens, 1, {n_tokens, dim_ffn * kElementwiseCost},
        [&](size_t first, size_t last) { ffn.value.prepare(k, first, last); });
  multiply_add(ffn.value, k, nullptr, b.x_norm, b.x, pool);
}

void Rwkv7::run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const {
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);
  for (size_t layer = first_layer_; layer < first_layer_ + blocks_.size(); ++layer) {
    time_mix(layer, state, n_tokens, b, pool);
    channel_mix(layer, state, n_tokens, b, pool);
  }
}

void Rwkv7::measure(LinearSizes& sizes) const {
  for (const Block& block : blocks_) {
    for (const Linear* linear : {&block.att.receptance, &block.att.key, &block.att.value, &block.att.output,
                                 &block.ffn.key, &block.ffn.value}) {
      sizes.add(*linear);
    }
    for (const LowRank* pair : {&block.att.w, &block.att.a, &block.att.v, &block.att.g}) {
      sizes.add(pair->down);
      sizes.add(pair->up);
    }
  }
}

size_t Rwkv7::layers_bytes(size_t n_tokens) const {
  Arena arena;
  carve(arena, n_tokens);
  return arena.used();
}

Result<Rwkv7::TimeMix> Rwkv7::take_time_mix(size_t layer, WeightMap& tensors, const ModelConfig& config,
                                            const WeightOptions& options) const {
  const Rwkv7Config& c = config_;
  const size_t n_embd = c.n_embd;
  const std::string p = concat("model.layers.", layer, ".");
  const std::string attn = p + "attn.";
  const auto linear = [&](std::string_view name, size_t n_out, size_t n_in) {
    return Linear::take(tensors, attn + std::string(name), n_out, n_in, config, options);
  };
  const auto vector = [&](std::string_view name) { return take_vector(tensors, attn + std::string(name), {n_embd}); };
  const auto mix = [&](std::string_view name) {
    return take_vector(tensors, attn + std::string(name), {1, 1, n_embd});
  };
  TimeMix m;
  SUTRA_ASSIGN(m.ln1, rwkv::take_norm(tensors, p + "attn_norm", n_embd));
  SUTRA_ASSIGN(m.x_r, mix("x_r"));
  SUTRA_ASSIGN(m.x_w, mix("x_w"));
  SUTRA_ASSIGN(m.x_k, mix("x_k"));
  SUTRA_ASSIGN(m.x_v, mix("x_v"));
  SUTRA_ASSIGN(m.x_a, mix("x_a"));
  SUTRA_ASSIGN(m.x_g, mix("x_g"));
  SUTRA_ASSIGN(m.receptance, linear("r_proj", n_embd, n_embd));
  SUTRA_ASSIGN(m.key, linear("k_proj", n_embd, n_embd));
  SUTRA_ASSIGN(m.value, linear("v_proj", n_embd, n_embd));
  SUTRA_ASSIGN(m.output, linear("o_proj", n_embd, n_embd));
  const auto low_rank = [&](LowRank& pair, const std::string& lora, size_t rank, bool has_bias) -> Status {
    SUTRA_ASSIGN(pair.down, linear(lora + ".lora.0", rank, n_embd));
    SUTRA_ASSIGN(pair.up, linear(lora + ".lora.2", n_embd, rank));
    if (has_bias) {
      SUTRA_ASSIGN(pair.bias, vector(lora + ".lora.2.bias"));
    }
    return {};
  };
  SUTRA_TRY(low_rank(m.w, "w_lora", c.decay_low_rank, true));
  SUTRA_TRY(low_rank(m.a, "a_lora", c.a_low_rank, true));
  if (layer > 0) SUTRA_TRY(low_rank(m.v, "v_lora", c.v_low_rank, true));
  SUTRA_TRY(low_rank(m.g, "g_lora", c.gate_low_rank, false));
  SUTRA_ASSIGN(m.k_k, vector("k_k"));
  SUTRA_ASSIGN(m.k_a, vector("k_a"));
  SUTRA_ASSIGN(m.r_k, take_vector(tensors, attn + "r_k", {c.n_head, c.head_size}));
  SUTRA_ASSIGN(m.ln_x, rwkv::take_norm(tensors, attn + "g_norm", n_embd));
  return m;
}

Result<Rwkv7::ChannelMix> Rwkv7::take_channel_mix(size_t layer, WeightMap& tensors, const ModelConfig& config,
                                                  const WeightOptions& options) const {
  const std::string p = concat("model.layers.", layer, ".");
  ChannelMix m;
  SUTRA_ASSIGN(m.ln2, rwkv::take_norm(tensors, p + "ffn_norm", config_.n_embd));
  SUTRA_ASSIGN(m.x_k, take_vector(tensors, p + "ffn.x_k", {config_.n_embd}));
  SUTRA_ASSIGN(m.key, Linear::take(tensors, p + "ffn.key", config_.dim_ffn, config_.n_embd, config, options));
  SUTRA_ASSIGN(m.value, Linear::take(tensors, p + "ffn.value", config_.n_embd, config_.dim_ffn, config, options));
  return m;
}

Result<std::unique_ptr<Model>> Rwkv7::create(const ModelConfig& config, WeightMap& tensors,
                                             const WeightOptions& options) {
  auto model = std::make_unique<Rwkv7>();
  model->config_ = std::get<Rwkv7Config>(config.architecture);
  const Rwkv7Config& c = model->config_;
  model->layout_ = make_layout(c);
  model->n_streams_ = 2;
  SUTRA_TRY(model->take_ends({c.layer_norm_eps}, tensors, config, options));
  for (size_t layer = options.part.first_layer; layer < options.part.last_layer; ++layer) {
    Block block;
    SUTRA_ASSIGN(block.att, model->take_time_mix(layer, tensors, config, options));
    SUTRA_ASSIGN(block.ffn, model->take_channel_mix(layer, tensors, config, options));
    model->blocks_.push_back(std::move(block));
  }
  return model;
}

}  // namespace sutra
