// One 4-bit model in the three layouts that people have gives the same logits, bit for bit.
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "base/checked.h"
#include "base/half.h"
#include "io/byte_sink.h"
#include "io/safetensors_writer.h"
#include "runtime/convert_folder.h"
#include "runtime/quantize_folder.h"
#include "support/golden.h"
#include "support/temporary_folder.h"

namespace sutra {
namespace {

using test::require_ok;
using test::value_of;

const std::string kFairy = SUTRA_PROJECT_DIR "/models/fairy-mamba/";
constexpr size_t kGroupSize = 64;

// A matrix of the Hugging Face AWQ layout as plain integers: nibble i of a word is output [0 2 4 6 1 3 5 7][i].
struct Integers {
  size_t n_out, n_in, n_groups;
  std::vector<uint32_t> q, zeros;  // [N, K], [N, G]
  std::vector<uint16_t> scales;    // [N, G]
};

Integers integers_of(const TensorMap& tensors, const std::string& name) {
  constexpr size_t kOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};
  const Tensor& qweight = *tensors.find(name + ".qweight");
  const Tensor& qzeros = *tensors.find(name + ".qzeros");
  const Tensor& scales = *tensors.find(name + ".scales");
  const size_t n_in = qweight.shape()[0], n_out = qweight.shape()[1] * 8, n_groups = qzeros.shape()[0];
  Integers m{n_out,
             n_in,
             n_groups,
             std::vector<uint32_t>(n_out * n_in),
             std::vector<uint32_t>(n_out * n_groups),
             std::vector<uint16_t>(n_out * n_groups)};
  const auto unpack = [&](const Tensor& words, size_t n_lines, std::vector<uint32_t>& out) {
    for (size_t line = 0; line < n_lines; ++line) {
      for (size_t c = 0; c < n_out / 8; ++c) {
        const uint32_t word = words.as<uint32_t>()[line * (n_out / 8) + c];
        for (size_t i = 0; i < 8; ++i) out[(8 * c + kOrder[i]) * n_lines + line] = word >> (4 * i) & 15u;
      }
    }
  };
  unpack(qweight, n_in, m.q);
  unpack(qzeros, n_groups, m.zeros);
  for (size_t n = 0; n < n_out; ++n) {
    for (size_t g = 0; g < n_groups; ++g) m.scales[n * n_groups + g] = scales.as<uint16_t>()[g * n_out + n];
  }
  return m;
}

// values [rows, cols] with eight columns a word, in natural order.
Tensor words_of(const std::vector<uint32_t>& values, size_t n_rows, size_t n_cols) {
  const size_t width = div_up(n_cols, 8);
  Tensor out = value_of(Tensor::create(Dtype::kI32, {n_rows, width}));
  for (size_t r = 0; r < n_rows; ++r) {
    for (size_t c = 0; c < n_cols; ++c)
      out.as<uint32_t>()[r * width + c / 8] |= values[r * n_cols + c] << (4 * (c % 8));
  }
  return out;
}

void insert_gemv(const Integers& m, const std::string& name, TensorMap& out) {
  require_ok(out.insert(name + ".qweight", words_of(m.q, m.n_out, m.n_in)));
  // AutoAWQ pads them: with groups of 64 to pairs of words.
  const size_t width = round_up(div_up(m.n_groups, 8), 128 / kGroupSize) * 8;
  std::vector<uint32_t> zeros(m.n_out * width);
  Tensor scales = value_of(Tensor::create(Dtype::kF16, {m.n_out, width}));
  for (size_t n = 0; n < m.n_out; ++n) {
    for (size_t g = 0; g < m.n_groups; ++g) {
      zeros[n * width + g] = m.zeros[n * m.n_groups + g];
      scales.as<uint16_t>()[n * width + g] = m.scales[n * m.n_groups + g];
    }
  }
  Tensor qzeros = words_of(zeros, m.n_out, width);
  require_ok(out.insert(name + ".qzeros", std::move(qzeros)));
  require_ok(out.insert(name + ".scales", std::move(scales)));
}

void insert_pack_quantized(const Integers& m, const std::string& name, TensorMap& out) {
  require_ok(out.insert(name + ".weight_packed", words_of(m.q, m.n_out, m.n_in)));
  Tensor scales = value_of(Tensor::create(Dtype::kF16, {m.n_out, m.n_groups}));
  std::copy(m.scales.begin(), m.scales.end(), scales.as<uint16_t>().begin());
  require_ok(out.insert(name + ".weight_scale", std::move(scales)));
  Tensor zeros = value_of(Tensor::create(Dtype::kI32, {div_up(m.n_out, 8), m.n_groups}));
  for (size_t n = 0; n < m.n_out; ++n) {
    for (size_t g = 0; g < m.n_groups; ++g) {
      zeros.as<uint32_t>()[n / 8 * m.n_groups + g] |= m.zeros[n * m.n_groups + g] << (4 * (n % 8));
    }
  }
  require_ok(out.insert(name + ".weight_zero_point", std::move(zeros)));
}

std::vector<float> logits_of(const std::string& config, const TensorMap& tensors) {
  std::vector<TensorSpec> specs;
  for (const std::string& name : tensors.names()) {
    specs.push_back({name, tensors.find(name)->dtype(), tensors.find(name)->shape()});
  }
  order_for_alignment(specs);
  MemorySink sink;
  SafetensorsWriter writer = value_of(SafetensorsWriter::create(sink, specs));
  for (const TensorSpec& spec : specs) require_ok(writer.write(spec.name, tensors.find(spec.name)->view()));
  require_ok(writer.finish());
  ModelLoader loader = value_of(ModelLoader::create({}));
  require_ok(loader.set_config(std::as_bytes(std::span(config))));
  require_ok(test::feed_file(loader, "model.safetensors", sink.bytes()));
  const auto engine = value_of(loader.finish());
  CHECK(engine->info().unused_tensors.empty());
  CHECK(engine->info().quantization == "4-bit, group 64");
  State state = value_of(State::create(engine->model().state_layout()));
  std::vector<float> logits(engine->info().vocab_size);
  engine->forward(state, std::vector<int32_t>{5, 17, 33, 2}, LogitsWanted::kLast, logits);
  return logits;
}

}  // namespace

TEST_CASE("gemv and compressed-tensors give the logits of the same model in AWQ's layout") {
  // All matrices in groups of one size, which the shipped ones are not.
  const test::TemporaryFolder folder;
  const std::string wide = folder.file("float"), model = folder.file("model");
  value_of(convert_folder(kFairy, wide, ConvertFolderOptions(), [](size_t, size_t) { return true; }));
  QuantizeFolderOptions options;
  options.quantize = {QuantizeOptions::Method::kRtn, 4, kGroupSize};
  value_of(quantize_folder(wide, model, options, [](const Quantizer&) { return true; }));
  const TensorMap source = test::load_tensors(model + "/model.safetensors");
  const auto text = test::read_bytes(model + "/config.json");
  auto config = nlohmann::json::parse(reinterpret_cast<const char*>(text.data()),
                                      reinterpret_cast<const char*>(text.data()) + text.size());
  const std::vector<float> expected = logits_of(config.dump(), source);

  TensorMap gemv, packed;
  for (const std::string& name : source.names()) {
    const auto copy_to = [&](TensorMap& out) {
      const Tensor& tensor = *source.find(name);
      Tensor copy = value_of(Tensor::create(tensor.dtype(), tensor.shape()));
      std::ranges::copy(tensor.bytes(), copy.bytes().begin());
      require_ok(out.insert(name, std::move(copy)));
    };
    if (name.ends_with(".qzeros") || name.ends_with(".scales")) continue;
    if (name.ends_with(".qweight")) {
      const std::string matrix = name.substr(0, name.size() - std::string_view(".qweight").size());
      const Integers integers = integers_of(source, matrix);
      insert_gemv(integers, matrix, gemv);
      insert_pack_quantized(integers, matrix, packed);
    } else {
      copy_to(gemv);
      copy_to(packed);
    }
  }
  config["quantization_config"]["version"] = "GEMV";
  CHECK(logits_of(config.dump(), gemv) == expected);
  config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                   {"format", "pack-quantized"},
                                   {"config_groups",
                                    {{"group_0",
                                      {{"targets", {"Linear"}},
                                       {"weights",
                                        {{"num_bits", 4},
                                         {"type", "int"},
                                         {"symmetric", false},
                                         {"strategy", "group"},
                                         {"group_size", kGroupSize}}}}}}}};
  CHECK(logits_of(config.dump(), packed) == expected);
}

}  // namespace sutra
