#include "model/mamba2_mixer.h"

#include <algorithm>
#include <array>

#include "kernels/conv1d/conv1d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/norm/norm.h"
#include "kernels/ssd/ssd.h"

namespace sutra {
namespace {

// What an element of the state costs in multiplications of a matrix product.
constexpr size_t kStateCost = 3;

// A range, and where it overlaps [begin, begin + size), counted from there.
struct Overlap {
  size_t first, last;
  Overlap(size_t range_first, size_t range_last, size_t begin, size_t size)
      : first(std::clamp(range_first, begin, begin + size) - begin),
        last(std::clamp(range_last, begin, begin + size) - begin) {}
};

}  // namespace

Mamba2Mixer::Buffers Mamba2Mixer::carve(Arena& arena, const Mamba2MixerConfig& c, size_t n_tokens, size_t input_bytes) {
  Buffers b{};
  b.z_xBC_dt = arena.take<float>(n_tokens * c.in_proj_dim());
  b.xBC = arena.take<float>(n_tokens * c.conv_dim());
  b.dt = arena.take<float>(n_tokens * c.n_heads);
  b.y = arena.take<float>(n_tokens * c.d_inner);
  b.q = arena.take<std::byte>(input_bytes);
  return b;
}

void Mamba2Mixer::prepare(const float* x, size_t n_tokens, size_t first, size_t last, const Buffers& b) const {
  in_proj_.prepare({x, n_tokens, b.q}, first, last);
}

// Rows first … last of [z; x; B; C; dt], each times its part's multiplier; `row` is that of the first of all.
void Mamba2Mixer::apply_multipliers(size_t first, size_t last, float* row) const {
  const std::array<size_t, 5> sizes = c_.in_proj_parts();
  size_t begin = 0;
  for (size_t part = 0; part < sizes.size(); ++part) {
    const Overlap rows(first, last, begin, sizes[part]);
    float* values = row + begin + rows.first;
    if (c_.multipliers[part] != 1) kernels::scale(values, c_.multipliers[part], rows.last - rows.first, values);
    begin += sizes[part];
  }
}

// Some rows of [z; xBC; dt] = W_in x (+ b), and what follows of them alone: the convolution and dt's limits.
void Mamba2Mixer::project(const LinearInput& x, size_t first, size_t last, const Buffers& b, float* conv_state) const {
  const size_t n_rows = c_.in_proj_dim(), conv_dim = c_.conv_dim(), n_heads = c_.n_heads;
  in_proj_.multiply(x, first, last, b.z_xBC_dt, n_rows);
  for (size_t t = 0; t < x.n_tokens && c_.use_bias; ++t) {
    float* row = b.z_xBC_dt + t * n_rows + first;
    kernels::add_bias(row, data(in_proj_bias_) + first, 1, last - first, row);
  }
  for (size_t t = 0; t < x.n_tokens; ++t) apply_multipliers(first, last, b.z_xBC_dt + t * n_rows);
  // xBC ← silu(conv1d(xBC))
  const Overlap channels(first, last, c_.d_inner, conv_dim);
  kernels::conv1d({b.z_xBC_dt + c_.d_inner, n_rows, x.n_tokens, conv_dim, c_.d_conv, channels.first, channels.last,
                   data(conv1d_), data_or_null(conv1d_bias_), kernels::Conv1dActivation::kSilu, conv_state, b.xBC});
  // dt ← clamp(softplus(dt + b_dt), limits)
  const Overlap heads(first, last, c_.d_inner + conv_dim, n_heads);
  const size_t n = heads.last - heads.first;
  for (size_t t = 0; t < x.n_tokens && n > 0; ++t) {
    const float* raw = b.z_xBC_dt + t * n_rows + c_.d_inner + conv_dim + heads.first;
    float* dt = b.dt + t * n_heads + heads.first;
    kernels::add_bias(raw, data(dt_bias_) + heads.first, 1, n, dt);
    kernels::softplus(dt, n, dt);
    for (size_t i = 0; i < n; ++i) dt[i] = std::clamp(dt[i], c_.time_step_min, c_.time_step_max);
  }
}

// y ← RMSNorm(y ⊙ silu(z)) w, over norm_size channels at a time; or RMSNorm(y) w ⊙ silu(z); or y ⊙ silu(z)
void Mamba2Mixer::gate_and_normalize(size_t first_token, size_t last_token, const Buffers& b) const {
  for (size_t t = first_token; t < last_token; ++t) {
    float* y = b.y + t * c_.d_inner;
    const auto gate = [&] { kernels::mul_silu(y, b.z_xBC_dt + t * c_.in_proj_dim(), c_.d_inner, y); };
    if (!c_.norm_before_gate) gate();
    for (size_t i = 0; i < c_.d_inner && c_.norm_size > 0; i += c_.norm_size) {
      kernels::rms_norm({y + i, 1, c_.norm_size, data(norm_) + i, c_.rms_norm_eps, y + i});
    }
    if (c_.norm_before_gate) gate();
  }
}

void Mamba2Mixer::mix(const float* x, size_t n_tokens, float* conv_state, float* ssm_state, const Buffers& b,
                      float scale, float* scratch, float* residual, ThreadPool& pool) const {
  const size_t n_rows = c_.in_proj_dim(), d_inner = c_.d_inner;
  share(pool, n_rows, Linear::kTileRows, {n_tokens, c_.d_model * n_rows}, [&](size_t first, size_t last) {
    project({x, n_tokens, b.q}, first, last, b, conv_state);
  });

  // y = ssd(x, dt, A, B, C, D)
  kernels::SsdArgs ssd{};
  ssd.x = b.xBC;
  ssd.B = b.xBC + d_inner;
  ssd.C = b.xBC + d_inner + c_.n_groups * c_.d_state;
  ssd.stride = c_.conv_dim();
  ssd.dt = b.dt;
  ssd.A = data(A_);
  ssd.D = data(D_);
  ssd.n_tokens = n_tokens;
  ssd.n_heads = c_.n_heads;
  ssd.head_dim = c_.head_dim;
  ssd.n_state = c_.d_state;
  ssd.n_groups = c_.n_groups;
  ssd.state = ssm_state;
  ssd.y = b.y;
  share(pool, c_.n_heads, 1, {n_tokens, d_inner * c_.d_state * kStateCost}, [&](size_t first, size_t last) {
    kernels::SsdArgs some = ssd;
    some.first_head = first;
    some.last_head = last;
    kernels::ssd(some);
  });

  const LinearInput y{b.y, n_tokens, b.q};
  share(pool, n_tokens, 1, {n_tokens, d_inner * kElementwiseCost}, [&](size_t first, size_t last) {
    gate_and_normalize(first, last, b);
    out_proj_.prepare(y, first, last);
  });
  multiply_add(out_proj_, y, data_or_null(out_proj_bias_), scratch, residual, pool, scale);
}

Result<Mamba2Mixer> Mamba2Mixer::take(WeightMap& tensors, const std::string& prefix, const Mamba2MixerConfig& c,
                                      const ModelConfig& config, const WeightOptions& options) {
  Mamba2Mixer m;
  m.c_ = c;
  SUTRA_ASSIGN(m.in_proj_, Linear::take(tensors, prefix + "in_proj", c.in_proj_dim(), c.d_model, config, options));
  SUTRA_ASSIGN(m.conv1d_, take_transposed(tensors, prefix + "conv1d.weight", {c.conv_dim(), 1, c.d_conv}));
  if (c.use_conv_bias) {
    SUTRA_ASSIGN(m.conv1d_bias_, take_vector(tensors, prefix + "conv1d.bias", {c.conv_dim()}));
  }
  SUTRA_ASSIGN(m.dt_bias_, take_vector(tensors, prefix + "dt_bias", {c.n_heads}));
  // GGUF files have A itself.
  if (tensors.contains(prefix + "A")) {
    SUTRA_ASSIGN(m.A_, take_vector(tensors, prefix + "A", {c.n_heads}));
  } else {
    SUTRA_ASSIGN(m.A_, take_vector(tensors, prefix + "A_log", {c.n_heads}));
    negative_exp(m.A_);
  }
  SUTRA_ASSIGN(m.D_, take_vector(tensors, prefix + "D", {c.n_heads}));
  if (c.norm_size > 0) {
    SUTRA_ASSIGN(m.norm_, take_vector(tensors, prefix + "norm.weight", {c.d_inner}));
  }
  SUTRA_ASSIGN(m.out_proj_, Linear::take(tensors, prefix + "out_proj", c.d_model, c.d_inner, config, options));
  if (c.use_bias) {
    SUTRA_ASSIGN(m.in_proj_bias_, take_vector(tensors, prefix + "in_proj.bias", {c.in_proj_dim()}));
    SUTRA_ASSIGN(m.out_proj_bias_, take_vector(tensors, prefix + "out_proj.bias", {c.d_model}));
  }
  return m;
}

}  // namespace sutra
