#include "model/rwkv6.h"

#include <algorithm>

namespace sutra {
namespace {

enum Field : size_t { kAttXPrev, kAttKv, kFfnXPrev };

StateLayout make_layout(const Rwkv6Config& c) {
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
struct Rwkv6::Buffers {
  float* x;       // residual stream
  float* x_norm;  // ln1 or ln2 of x; then what is added to x
  float* x_x;     // the interpolation that decides about the others
  std::array<float*, kMixes> x_mix;
  float *r, *k, *v, *g, *w, *y;
  std::array<float*, kMixes> low;  // [T, mix_low_rank]
  float* w_low;                    // [T, decay_low_rank]
  float* ffn_k;                    // [T, dim_ffn]
  // Integers of the products' inputs; those of the low-rank pairs are there at the same time.
  std::byte* q_x;
  std::array<std::byte*, kMixes> q_mix;
};

Rwkv6::Buffers Rwkv6::carve(Arena& arena, size_t n_tokens) const {
  const size_t n = n_tokens * config_.n_embd;
  Buffers b{};
  for (float** buffer : {&b.x, &b.x_norm, &b.x_x, &b.r, &b.k, &b.v, &b.g, &b.w, &b.y}) *buffer = arena.take<float>(n);
  for (float*& buffer : b.x_mix) buffer = arena.take<float>(n);
  for (float*& buffer : b.low) buffer = arena.take<float>(n_tokens * config_.mix_low_rank);
  b.w_low = arena.take<float>(n_tokens * config_.decay_low_rank);
  b.ffn_k = arena.take<float>(n_tokens * config_.dim_ffn);
  const size_t input_bytes = n_tokens * sizes_.input_bytes;
  b.q_x = arena.take<std::byte>(input_bytes);
  for (std::byte*& buffer : b.q_mix) buffer = arena.take<std::byte>(input_bytes);
  return b;
}

// x_□ = lerp(x′, s, μ_□ + M2_□ tanh(M1_□ lerp(x′, s, μ_x))) for □ = w, k, v, r, g
void Rwkv6::interpolate(const TimeMix& att, const float* x_prev, size_t n_tokens, const Buffers& b,
                        ThreadPool& pool) const {
  const size_t n_embd = config_.n_embd, rank = config_.mix_low_rank;
  const Work cost{n_tokens, n_embd * kElementwiseCost};
  const kernels::TokenShiftMix mix_x[] = {{data(att.maa_x), b.x_x}};
  std::array<Product, kMixes> down, up;
  std::array<kernels::TokenShiftDdlerpMix, kMixes> mixes;
  for (size_t m = 0; m < kMixes; ++m) {
    down[m] = {&att.mix[m].down, {b.x_x, n_tokens, b.q_x}, b.low[m], rank};
    up[m] = {&att.mix[m].up, {b.low[m], n_tokens, b.q_mix[m]}, b.x_mix[m], n_embd};
    mixes[m] = {data(att.maa[m]), b.x_mix[m], b.x_mix[m]};
  }
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    rwkv::token_shift(mix_x, b.x_norm, x_prev, n_embd, first, last);
    down[0].linear->prepare(down[0].input, first, last);  // all five hold their weights in the same form
  });
  multiply_all(down, pool);
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    for (size_t m = 0; m < kMixes; ++m) {
      kernels::tanh(b.low[m] + first * rank, (last - first) * rank, b.low[m] + first * rank);
      up[m].linear->prepare(up[m].input, first, last);
    }
  });
  multiply_all(up, pool);
  share(pool, n_tokens, 1, cost, [&](size_t first, size_t last) {
    const size_t at = first * n_embd;
    std::array<kernels::TokenShiftDdlerpMix, kMixes> shifted = mixes;
    for (kernels::TokenShiftDdlerpMix& mix : shifted) {
      mix.offset += at;
      mix.y += at;
    }
    const float* before = first == 0 ? x_prev : b.x_norm + at - n_embd;
    kernels::token_shift_ddlerp({b.x_norm + at, before, last - first, n_embd, shifted.data(), kMixes});
    att.receptance.prepare({b.x_mix[kR], n_tokens, b.q_mix[kR]}, first, last);
    att.key.prepare({b.x_mix[kK], n_tokens, b.q_mix[kK]}, first, last);
    att.value.prepare({b.x_mix[kV], n_tokens, b.q_mix[kV]}, first, last);
    att.gate.prepare({b.x_mix[kG], n_tokens, b.q_mix[kG]}, first, last);
    att.w.down.prepare({b.x_mix[kW], n_tokens, b.q_mix[kW]}, first, last);
  });
}

// r, k, v, g and w = exp(−exp(w0 + W2 tanh(W1 x_w)))
void Rwkv6::project(const TimeMix& att, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const size_t n_embd = config_.n_embd, rank = config_.decay_low_rank;
  const Product products[] = {
      {&att.receptance, {b.x_mix[kR], n_tokens, b.q_mix[kR]}, b.r, n_embd},
      {&att.key, {b.x_mix[kK], n_tokens, b.q_mix[kK]}, b.k, n_embd},
      {&att.value, {b.x_mix[kV], n_tokens, b.q_mix[kV]}, b.v, n_embd},
      {&att.gate, {b.x_mix[kG], n_tokens, b.q_mix[kG]}, b.g, n_embd},
      {&att.w.down, {b.x_mix[kW], n_tokens, b.q_mix[kW]}, b.w_low, rank},
  };
  multiply_all(products, pool);
  const LinearInput w_low{b.w_low, n_tokens, b.q_x};
  share(pool, n_tokens, 1, {n_tokens, rank * kElementwiseCost}, [&](size_t first, size_t last) {
    kernels::tanh(b.w_low + first * rank, (last - first) * rank, b.w_low + first * rank);
    att.w.up.prepare(w_low, first, last);
  });
  share(pool, n_embd, Linear::kTileRows, {n_tokens, n_embd * (rank + kElementwiseCost)},
        [&](size_t first, size_t last) {
          att.w.up.multiply(w_low, first, last, b.w, n_embd);
          for (size_t t = 0; t < n_tokens; ++t) {
            float* w = b.w + t * n_embd + first;
            kernels::add_bias(w, data(att.decay) + first, 1, last - first, w);
            kernels::rwkv6_decay(w, last - first, w);
          }
        });
}

void Rwkv6::time_mix(size_t layer, State& state, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const TimeMix& att = blocks_[layer - first_layer_].att;
  const size_t n_embd = config_.n_embd;
  float* x_prev = state.field(layout_.fields[kAttXPrev]) + layer * n_embd;
  float* wkv_state = state.field(layout_.fields[kAttKv]) + layer * n_embd * config_.head_size;

  rwkv::layer_norm(att.ln1, config_.layer_norm_eps, b.x, n_tokens, b.x_norm, pool);
  interpolate(att, x_prev, n_tokens, b, pool);
  std::copy_n(b.x_norm + (n_tokens - 1) * n_embd, n_embd, x_prev);
  project(att, n_tokens, b, pool);
  att.output.forward({b.r, b.k, b.v, b.g, b.w, n_embd, n_tokens, wkv_state, b.y, b.x_norm, b.x, b.q_x}, pool);
}

void Rwkv6::run_layers(State& state, size_t n_tokens, Workspace& workspace, ThreadPool& pool) const {
  Arena arena(workspace.buffer.bytes());
  const Buffers b = carve(arena, n_tokens);
  for (size_t layer = first_layer_; layer < first_layer_ + blocks_.size(); ++layer) {
    time_mix(layer, state, n_tokens, b, pool);
    blocks_[layer - first_layer_].ffn.forward(
        state.field(layout_.fields[kFfnXPrev]) + layer * config_.n_embd, config_.layer_norm_eps, n_tokens,
        {b.x, b.x_norm, b.x_mix[kK], b.x_mix[kR], b.r, b.ffn_k, b.q_mix[kK], b.q_mix[kR]}, pool);
  }
}

void Rwkv6::measure(LinearSizes& sizes) const {
  for (const Block& block : blocks_) {
    const TimeMix& att = block.att;
    for (const Linear* linear :
         {&att.receptance, &att.key, &att.value, &att.gate, &att.output.output(), &att.w.down, &att.w.up}) {
      sizes.add(*linear);
    }
    for (const LowRank& pair : att.mix) {
      sizes.add(pair.down);
      sizes.add(pair.up);
    }
    block.ffn.measure(sizes);
  }
}

size_t Rwkv6::layers_bytes(size_t n_tokens) const {
  Arena arena;
  carve(arena, n_tokens);
  return arena.used();
}

Result<Rwkv6::TimeMix> Rwkv6::take_time_mix(const std::string& p, WeightMap& tensors, const ModelConfig& config,
                                            const WeightOptions& options) const {
  const size_t n_embd = config_.n_embd;
  const std::string att = p + "att.";
  const auto linear = [&](const std::string& name, size_t n_out, size_t n_in) {
    return Linear::take(tensors, att + name, n_out, n_in, config, options);
  };
  TimeMix m;
  SUTRA_ASSIGN(m.ln1, rwkv::take_norm(tensors, p + "ln1", n_embd));
  SUTRA_ASSIGN(m.maa_x, rwkv::take_mix(tensors, att + "time_maa_x", n_embd));
  for (size_t mix = 0; mix < kMixes; ++mix) {
    const std::string name = kMixNames[mix];
    SUTRA_ASSIGN(m.maa[mix], rwkv::take_mix(tensors, att + "time_maa_" + name, n_embd));
    SUTRA_ASSIGN(m.mix[mix].down, linear("time_maa_w1." + name, config_.mix_low_rank, n_embd));
    SUTRA_ASSIGN(m.mix[mix].up, linear("time_maa_w2." + name, n_embd, config_.mix_low_rank));
  }
  SUTRA_ASSIGN(m.receptance, linear("receptance", n_embd, n_embd));
  SUTRA_ASSIGN(m.key, linear("key", n_embd, n_embd));
  SUTRA_ASSIGN(m.value, linear("value", n_embd, n_embd));
  SUTRA_ASSIGN(m.gate, linear("gate", n_embd, n_embd));
  SUTRA_ASSIGN(m.decay, take_vector(tensors, att + "time_decay", {n_embd}));
  SUTRA_ASSIGN(m.w.down, linear("time_decay_w1", config_.decay_low_rank, n_embd));
  SUTRA_ASSIGN(m.w.up, linear("time_decay_w2", n_embd, config_.decay_low_rank));
  SUTRA_ASSIGN(Tensor u, take_vector(tensors, att + "time_faaaa", {n_embd}));
  SUTRA_ASSIGN(m.output, rwkv::WkvOutput::take(tensors, att, config_.n_head, config_.head_size, config_.group_norm_eps,
                                               std::move(u), config, options));
  return m;
}

Result<std::unique_ptr<Model>> Rwkv6::create(const ModelConfig& config, WeightMap& tensors,
                                             const WeightOptions& options) {
  auto model = std::make_unique<Rwkv6>();
  model->config_ = std::get<Rwkv6Config>(config.architecture);
  const Rwkv6Config& c = model->config_;
  model->layout_ = make_layout(c);
  SUTRA_TRY(model->take_ends({c.layer_norm_eps}, tensors, config, options));
  for (size_t layer = options.part.first_layer; layer < options.part.last_layer; ++layer) {
    const std::string p = concat("blocks.", layer, ".");
    Block block;
    SUTRA_ASSIGN(block.att, model->take_time_mix(p, tensors, config, options));
    SUTRA_ASSIGN(block.ffn, rwkv::GatedChannelMix::take(tensors, p, c.n_embd, c.dim_ffn, false, config, options));
    model->blocks_.push_back(std::move(block));
  }
  return model;
}

}  // namespace sutra
