// Where AWQ's scales go: which linears share an input that can be scaled by channel, and which tensors take the inverse in,
// so that the model computes the same. The folds are listed in models/awq.md.
//
// Names and shapes are those of published checkpoints (model/parameters.h). Source: Lin et al. 2023, arXiv:2306.00978.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/config.h"
#include "tensor/tensor.h"

namespace sutra {

// A tensor of which entries along one dimension are multiplied by s^power.
struct ScaleFactor {
  // kLast: columns, the last dimension. kFirst: rows, the first dimension; or as many leading ones as it takes to make
  // their number, so that every element of a vector [1, 1, C] is an entry.
  enum class Axis : uint8_t { kFirst, kLast };
  std::string tensor;  // with ".weight" where it has it
  Axis axis;
  float power;          // 1, -1 or -0.5
  bool is_new = false;  // not in the float model: made of ones
  size_t begin = 0;     // the first entry; those before it stay
};

struct ScaleGroup {
  std::vector<std::string> linears;  // without ".weight": the matrices whose input is divided by s
  std::vector<ScaleFactor> factors;  // all that changes: the linears' columns by s, and what makes their input
  size_t n_channels = 0;             // of s
  // Empty, or for each channel the slot whose s it has: with grouped queries, several heads of o_proj's input are sums of
  // one head of values. What is scaled along kFirst then has an entry for each slot.
  std::vector<uint32_t> tied;
};

// Of one layer. Every linear is in one group at most, and no group changes another's input. Whoever takes them in this
// order finds each matrix with its rows as they stay: a group that scales rows of a linear comes before the linear's own.
std::vector<ScaleGroup> scale_groups(const ModelConfig& config, size_t layer);
// Of the head, or of the embedding where it is the head too.
std::vector<ScaleGroup> head_scale_groups(const ModelConfig& config);

// values [N, K] of a linear's matrix, each column × its scale [K].
void scale_columns(std::span<const float> scales, std::span<float> values);

// Multiplies; s has n_channels positive finite entries, equal where they are tied. `weights` holds F32 tensors.
// kNotFound and kShapeMismatch name the tensor, and nothing was changed.
Status apply_scales(const ScaleGroup& group, std::span<const float> s,
                    std::map<std::string, Tensor, std::less<>>& weights);

}  // namespace sutra
