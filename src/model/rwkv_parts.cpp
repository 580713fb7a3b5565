#include "model/rwkv_parts.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "kernels/norm/norm.h"
#include "kernels/wkv/wkv6.h"

namespace sutra::rwkv {
Result<NormWeights> take_norm(WeightMap& tensors, std::string_view name, size_t n_embd) {
  NormWeights norm;
  SUTRA_ASSIGN(norm.weight, take_vector(tensors, concat(name, ".weight"), {n_embd}));
  SUTRA_ASSIGN(norm.bias, take_vector(tensors, concat(name, ".bias"), {n_embd}));
  return norm;
}

void layer_norm(const NormWeights& norm, float eps, const float* x, size_t n_tokens, float* y, ThreadPool& pool) {
  const size_t n_embd = norm.weight.as<float>().size();
  share(pool, n_tokens, 1, {n_tokens, n_embd * kElementwiseCost}, [&](size_t first, size_t last) {
    kernels::layer_norm(
        {x + first * n_embd, last - first, n_embd, data(norm.weight), data(norm.bias), eps, y + first * n_embd});
  });
}

void token_shift(std::span<const kernels::TokenShiftMix> mixes, const float* x, const float* x_prev, size_t n_embd,
                 size_t first, size_t last) {
  const size_t at = first * n_embd;
  std::array<kernels::TokenShiftMix, 6> shifted;
  SUTRA_ASSERT(mixes.size() <= shifted.size());
  for (size_t i = 0; i < mixes.size(); ++i) shifted[i] = {mixes[i].mix, mixes[i].y + at};
  const float* before = first == 0 ? x_prev : x + at - n_embd;
  kernels::token_shift_lerp({x + at, before, last - first, n_embd, shifted.data(), mixes.size()});
}

Result<Tensor> take_mix(WeightMap& tensors, const std::string& name, size_t n_embd) {
  return take_vector(tensors, name, {n_embd});
}

Result<Tensor> take_inverse_mix(WeightMap& tensors, const std::string& name, size_t n_embd) {
  SUTRA_ASSIGN(Tensor mix, take_vector(tensors, name, {n_embd}));
  for (float& share : mix.as<float>()) share = 1.0f - share;
  return mix;
}

void gate_by_sigmoid(float* gate, size_t n, float* y) {
  kernels::sigmoid(gate, n, gate);
  kernels::mul(y, gate, n, y);
}

Result<WkvOutput> WkvOutput::take(WeightMap& tensors, const std::string& att, size_t n_head, size_t head_size,
                                  float eps, Tensor u, const ModelConfig& config, const WeightOptions& options) {
  const size_t n_embd = n_head * head_size;
  WkvOutput o;
  o.n_head_ = n_head;
  o.head_size_ = head_size;
  o.eps_ = eps;
  o.u_ = std::move(u);
  SUTRA_ASSIGN(o.ln_x_, take_norm(tensors, att + "ln_x", n_embd));
  SUTRA_ASSIGN(o.output_, Linear::take(tensors, att + "output", n_embd, n_embd, config, options));
  return o;
}

void WkvOutput::forward(const Args& a, ThreadPool& pool) const {
  const size_t n_embd = n_head_ * head_size_;
  // Heads whose channels fill whole tiles of the matrices' rows.
  const size_t head_grain = Linear::kTileRows / std::gcd(Linear::kTileRows, head_size_);
  const Work work{a.n_tokens, n_embd * (head_size_ + kElementwiseCost)};
  share(pool, n_head_, head_grain, work, [&](size_t first_head, size_t last_head) {
    kernels::wkv6({a.r, a.w, a.w_stride, data(u_), a.k, a.v, a.n_tokens, n_head_, head_size_, first_head, last_head,
                   a.wkv_state, a.y});
    const size_t first = first_head * head_size_, n_heads = last_head - first_head, n = n_heads * head_size_;
    for (size_t t = 0; t < a.n_tokens; ++t) {
      const size_t at = t * n_embd + first;
      kernels::group_norm(
          {a.y + at, 1, n_heads, head_size_, data(ln_x_.weight) + first, data(ln_x_.bias) + first, eps_, a.y + at});
      if (a.g != nullptr) kernels::mul_silu(a.y + at, a.g + at, n, a.y + at);
    }
  });
  const LinearInput y{a.y, a.n_tokens, a.q};
  share(pool, a.n_tokens, 1, {a.n_tokens, n_embd * kElementwiseCost},
        [&](size_t first, size_t last) { output_.prepare(y, first, last); });
  multiply_add(output_, y, nullptr, a.x_norm, a.x, pool);
}

Result<GatedChannelMix> GatedChannelMix::take(WeightMap& tensors, const std::string& p, size_t n_embd, size_t dim_ffn,
                                              bool inverse, const ModelConfig& config, const WeightOptions& options) {
  GatedChannelMix m;
  SUTRA_ASSIGN(m.ln2_, take_norm(tensors, p + "ln2", n_embd));
  if (inverse) {
    SUTRA_ASSIGN(m.x_k_, take_inverse_mix(tensors, p + "ffn.time_mix_k", n_embd));
    SUTRA_ASSIGN(m.x_r_, take_inverse_mix(tensors, p + "ffn.time_mix_r", n_embd));
  } else {
    SUTRA_ASSIGN(m.x_k_, take_mix(tensors, p + "ffn.time_maa_k", n_embd));
    SUTRA_ASSIGN(m.x_r_, take_mix(tensors, p + "ffn.time_maa_r", n_embd));
  }
  SUTRA_ASSIGN(m.receptance_, Linear::take(tensors, p + "ffn.receptance", n_embd, n_embd, config, options));
  SUTRA_ASSIGN(m.key_, Linear::take(tensors, p + "ffn.key", dim_ffn, n_embd, config, options));
  SUTRA_ASSIGN(m.value_, Linear::take(tensors, p + "ffn.value", n_embd, dim_ffn, config, options));
  return m;
}

void GatedChannelMix::forward(float* x_prev, float eps, size_t n_tokens, const Buffers& b, ThreadPool& pool) const {
  const size_t n_embd = value_.n_out(), dim_ffn = key_.n_out(), n = n_tokens * n_embd;
  layer_norm(ln2_, eps, b.x, n_tokens, b.x_norm, pool);
  const kernels::TokenShiftMix mixes[] = {{data(x_k_), b.x_k}, {data(x_r_), b.x_r}};
  const LinearInput x_k{b.x_k, n_tokens, b.q_k}, x_r{b.x_r, n_tokens, b.q_r};
  share(pool, n_tokens, 1, {n_tokens, n_embd * kElementwiseCost}, [&](size_t first, size_t last) {
    token_shift(mixes, b.x_norm, x_prev, n_embd, first, last);
    key_.prepare(x_k, first, last);
    receptance_.prepare(x_r, first, last);
  });
  std::copy_n(b.x_norm + n - n_embd, n_embd, x_prev);

  const Product products[] = {{&key_, x_k, b.k, dim_ffn}, {&receptance_, x_r, b.r, n_embd}};
  multiply_all(products, pool);
  const LinearInput k{b.k, n_tokens, b.q_k};
  share(pool, n_tokens, 1, {n_tokens, dim_ffn * kElementwiseCost}, [&](size_t first, size_t last) {
    kernels::relu_squared(b.k + first * dim_ffn, (last - first) * dim_ffn, b.k + first * dim_ffn);
    value_.prepare(k, first, last);
  });
  share(pool, n_embd, Linear::kTileRows, {n_tokens, n_embd * dim_ffn}, [&](size_t first, size_t last) {
    value_.multiply(k, first, last, b.x_norm, n_embd);
    for (size_t t = 0; t < n_tokens; ++t) {
      const size_t at = t * n_embd + first;
      gate_by_sigmoid(b.r + at, last - first, b.x_norm + at);
      kernels::add(b.x + at, b.x_norm + at, last - first, b.x + at);
    }
  });
}

}  // namespace sutra::rwkv
