// What a quantizer holds while it works on the embeddings, a layer or the head: private to quantizer*.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"
#include "model/scale_groups.h"
#include "quant/awq_format.h"
#include "quant/input_statistics.h"
#include "quant/relative_error.h"
#include "runtime/quantizer.h"

namespace sutra {

// Sequences that are measured side by side, whatever the number of threads: it is part of the order in which their
// statistics are summed. A chunk of them has as many tokens as another's one.
inline constexpr size_t kLanes = 2, kLaneTokens = kChunkTokens / kLanes;

// A sequence on its way through a layer.
struct Quantizer::Lane {
  Workspace workspace;
  State state;
};

struct Quantizer::Stage {
  // What the choice of a group's scales says about each of its linears.
  struct Scaled {
    float ratio = 0;
    bool duo = false;
  };
  // A matrix on its way into the file.
  struct Rounding {
    AwqTensors packed;
    RelativeError error;
    size_t n_cut = 0, n_groups = 0;
  };

  std::vector<const Plan*> plans;                      // written in this stage
  std::map<std::string, Tensor, std::less<>> weights;  // of theirs, float32; of a tall one the rows that are searched

  // Reading (quantizer_source.cpp)
  Tensor rows;  // of the next task, of whose source so many bytes are there
  uint64_t loaded_bytes = 0;
  uint32_t crc32 = 0;  // of the matrix up to there

  // Measuring (quantizer_inputs.cpp)
  std::vector<int32_t> embedded_ids;  // of the rows that the part's embedding has, sorted
  Tensor embedded;                    // those rows
  WeightMap part;                     // the model's own
  std::unique_ptr<Model> model;
  std::array<Lane, kLanes> lanes;
  InputTaps taps;
  std::map<std::string, InputStatistics, std::less<>> inputs;  // by the linear that was tapped
  std::map<std::string, double, std::less<>> errors_rtn;

  // Searching and rounding (quantizer_rounding.cpp)
  std::vector<ScaleGroup> groups;
  std::map<std::string, Scaled, std::less<>> scaled;
  std::vector<float> head_scales;  // of the head's columns, once they were found
  std::optional<Rounding> rounding;
  Tensor kept;
};

// Rows of a matrix that are rounded at once, a multiple of the kernels' tiles: as integers they take a byte a weight.
inline size_t rows_at_once(size_t n_in) {
  constexpr size_t kWeights = size_t{1} << 21, kTileRows = 128;
  return std::max(kTileRows, kWeights / n_in / kTileRows * kTileRows);
}

// The name of what has this parameter.
inline std::string module_of(const std::string& parameter) {
  constexpr std::string_view kWeight = ".weight";
  return parameter.ends_with(kWeight) ? parameter.substr(0, parameter.size() - kWeight.size()) : parameter;
}
inline std::string weight_of(const std::string& linear) { return linear + ".weight"; }

}  // namespace sutra
