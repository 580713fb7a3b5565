// y = W x in whatever form W is held: the one place that chooses between 4-bit and float products.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "model/config.h"
#include "model/workspace.h"
#include "quant/q4_matrix.h"
#include "quant/q8_matrix.h"
#include "quant/weight_map.h"

namespace sutra {

// Layers first ≤ l < last (as many of them as there are), and what is before and after them: the embeddings with their
// norm, the last norm, and the head's matrix, which for tied weights is that of the embeddings. The tensors of what is
// not wanted need not be there. What belongs to no layer but is used by all, rope_freqs of GGUF files, each part wants.
struct ModelPart {
  size_t first_layer = 0, last_layer = SIZE_MAX;
  bool embeddings = true, last_norm = true, head = true;
};

// What came into a linear, as floats: for who measures activations. Where several linears have one input and it is
// prepared once for all, only the tap of the first is filled: q of q, k and v, gate of gate and up, w of RWKV-6's
// time_maa_w1.
struct InputTap {
  // The last one that went through this workspace.
  struct Chunk {
    const Workspace* workspace = nullptr;
    std::vector<float> rows;  // [T, K], room for its max_tokens
    size_t n_tokens = 0;
  };
  std::vector<Chunk> chunks;  // of every workspace that the model is run with
};
using InputTaps = std::map<std::string, InputTap, std::less<>>;

// How linears treat their weights and inputs.
struct WeightOptions {
  bool exact = false;             // 4-bit weights are widened to f32, activations stay f32
  bool int8_activations = false;  // A8 instead of A15
  ModelPart part = {};
  InputTaps* taps = nullptr;  // by the names of linears; outlives the model
};

// The input of products: T tokens in float32, and room for them in the integers that packed weights want. Matrices with
// weights of the same form may share one.
struct LinearInput {
  const float* x = nullptr;  // [T, K]
  size_t n_tokens = 0;
  std::byte* quantized = nullptr;
};

// Threads share a product by tokens where the input is prepared and by rows where it is multiplied, so the two halves
// are apart: the models put several products, and what is done to their results, into one parallel region.
class Linear {
 public:
  // Takes `name`.weight [N, K] in floats or blocks (WeightMap::take_matrix), or `name`.qweight, .qzeros and .scales in
  // the AWQ layout, from `tensors`. What a quantised model has left in float is held in 8 bits, unless options.exact.
  static Result<Linear> take(WeightMap& tensors, std::string_view name, size_t n_out, size_t n_in,
                             const ModelConfig& config, const WeightOptions& options);
  // The same of an embedding. Where it is the head too, AWQ may have scaled its columns: `name`_scale [K] then makes the
  // rows that are looked up what they were (models/awq.md).
  static Result<Linear> take_embedding(WeightMap& tensors, std::string_view name, size_t n_rows, size_t n_cols,
                                       const ModelConfig& config, const WeightOptions& options);

  // Quantises tokens first ≤ t < last of the input; nothing for float weights. The tap gets them as they are.
  void prepare(const LinearInput& input, size_t first_token, size_t last_token) const;
  // Rows first ≤ n < last of y = W x, token t's at y + t · y_stride. `first` is a multiple of kTileRows, and so is
  // `last` unless it is n_out(). The input is prepared.
  void multiply(const LinearInput& input, size_t first_row, size_t last_row, float* y, size_t y_stride) const;
  // y [K] = row `id` of W in float32: the embedding of a token.
  void copy_row(size_t id, float* y) const;

  static constexpr size_t kTileRows = kernels::kQ4TileRows;

  // Whether an input prepared for the one is prepared for the other.
  [[nodiscard]] bool shares_input_with(const Linear& other) const;
  // Bytes of LinearInput::quantized for T tokens.
  [[nodiscard]] size_t input_bytes(size_t n_tokens) const;
  [[nodiscard]] uint64_t weight_bytes() const;
  [[nodiscard]] size_t n_out() const { return n_out_; }
  [[nodiscard]] size_t n_in() const { return n_in_; }

 private:
  void unpack_row(size_t id, float* y) const;

  WeightMatrix weight_;
  Tensor row_scale_;  // of an embedding, if it has one
  size_t n_out_ = 0;
  size_t n_in_ = 0;
  bool int8_activations_ = false;
  InputTap* tap_ = nullptr;
};

// What linears need together.
struct LinearSizes {
  uint64_t weight_bytes = 0;
  size_t input_bytes = 0;  // the most that one needs of LinearInput::quantized for a token

  void add(const Linear& linear);
};

struct Product {
  const Linear* linear;
  LinearInput input;
  float* y;
  size_t y_stride;
};
// Every product in one parallel region, each thread with its share of the rows of each. There is at least one, all have
// the same number of tokens, and the inputs are prepared.
void multiply_all(std::span<const Product> products, ThreadPool& pool);

// residual [T, N] += (W x (+ bias, where it is not null)) · scale. The products go through `scratch` [T, N].
void multiply_add(const Linear& linear, const LinearInput& input, const float* bias, float* scratch, float* residual,
                  ThreadPool& pool, float scale = 1.0f);
// Quantises the whole input, and y [T, N] = W x: a product that stands alone.
void prepare_and_multiply(const Linear& linear, const LinearInput& input, float* y, ThreadPool& pool);

// What an element costs in element-wise work, in multiplications of a matrix product.
inline constexpr size_t kElementwiseCost = 16;

// How much there is to do, in multiplications of a matrix product.
struct Work {
  size_t n_tokens;
  size_t per_token;
};

// Pieces that work is cut into: one where another thread would begin too late, else one a thread. A prompt's are smaller
// where each is still long enough (some 10 µs) to be worth fetching, because cores differ, by make or by what else runs
// on them. A single token's are not: its time is that of reading weights, which long stretches read faster.
inline size_t n_pieces(const ThreadPool& pool, const Work& work) {
  constexpr size_t kWorthSharing = 1 << 16;
  constexpr size_t kWorthFetching = 1 << 18;
  constexpr size_t kMostPerThread = 8;
  const size_t n_multiplications = work.n_tokens * work.per_token;
  if (n_multiplications < kWorthSharing) return 1;
  if (work.n_tokens == 1) return pool.size();
  return std::clamp(n_multiplications / kWorthFetching, pool.size(), kMostPerThread * pool.size());
}

// Calls body(first, last) on ranges of n units, multiples of `grain` long, that together are `work`.
template <class Body>
void share(ThreadPool& pool, size_t n, size_t grain, const Work& work, const Body& body) {
  pool.parallel_for(n, grain, n_pieces(pool, work), body);
}

// A tensor's floats; null for one that the checkpoint has not.
inline const float* data(const Tensor& tensor) { return tensor.as<float>().data(); }
inline const float* data_or_null(const Tensor& tensor) { return tensor.bytes().empty() ? nullptr : data(tensor); }

// A float vector of n elements as F32, whatever dtype and (given) shape the file has.
Result<Tensor> take_vector(WeightMap& tensors, std::string_view name, const Shape& shape);
// The same, or an empty tensor where the checkpoint has none of this name.
Result<Tensor> take_vector_if_any(WeightMap& tensors, std::string_view name, const Shape& shape);
// The first with rows and columns exchanged: from `shape`, [n_rows, n_cols] with any dimensions of one between them, to
// [n_cols, n_rows].
Result<Tensor> take_transposed(WeightMap& tensors, std::string_view name, const Shape& shape);
// A = −exp(A_log), with the kernels' exp, not the platform's: A has the same bits everywhere.
void negative_exp(Tensor& tensor);

}  // namespace sutra
