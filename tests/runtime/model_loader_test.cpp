// The loader: any chunks, any order of files and tensors give the same engine; what is wrong is named.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "base/aligned_buffer.h"
#include "io/safetensors_writer.h"
#include "runtime/session.h"
#include "support/golden.h"

namespace sutra {
namespace {

using test::require_ok;
using test::value_of;

using File = std::vector<std::byte>;

const std::string kFairy = SUTRA_PROJECT_DIR "/models/fairy-rwkv7/";

// The tensors of `tensors` called `names`, in this order as far as alignment allows.
File file_of(const TensorMap& tensors, const std::vector<std::string>& names) {
  std::vector<TensorSpec> specs;
  for (const std::string& name : names) {
    const Tensor& tensor = *tensors.find(name);
    specs.push_back({name, tensor.dtype(), tensor.shape()});
  }
  order_for_alignment(specs);
  MemorySink sink;
  SafetensorsWriter writer = value_of(SafetensorsWriter::create(sink, specs));
  for (const TensorSpec& spec : specs) require_ok(writer.write(spec.name, tensors.find(spec.name)->view()));
  require_ok(writer.finish());
  return {sink.bytes().begin(), sink.bytes().end()};
}

Result<std::shared_ptr<const Engine>> load_files(const std::vector<File>& files, size_t chunk_bytes,
                                                 bool exact = false) {
  SUTRA_ASSIGN(ModelLoader loader, ModelLoader::create({.exact = exact}));
  SUTRA_TRY(loader.set_config(test::read_bytes(kFairy + "config.json")));
  for (const File& file : files) SUTRA_TRY(test::feed_file(loader, "w.safetensors", file, chunk_bytes));
  return loader.finish();
}

std::vector<float> logits_of(const Engine& engine) {
  State state = value_of(State::create(engine.model().state_layout()));
  std::vector<float> logits(engine.info().vocab_size);
  engine.forward(state, std::vector<int32_t>{5, 17, 33, 2}, LogitsWanted::kLast, logits);
  return logits;
}

}  // namespace

TEST_CASE("the model hash of saved states is SHA-256 over names, dtypes, shapes and first bytes") {
  // Computed from the files with Python's hashlib:
  //   for k in sorted(tensors): update(f"{k}\n{dtype}[{', '.join(shape)}]\n"), update(first 4096 bytes)
  const auto rwkv7 = test::load_engine(kFairy);
  CHECK(rwkv7->info().model_hash == "f7d5685bb70337e3a093d3cbc536b1b998e1b2e5c0607773cc0741ba87d5b206");
  const auto mamba = test::load_engine(SUTRA_PROJECT_DIR "/models/fairy-mamba");
  CHECK(mamba->info().model_hash == "00c6fed68dbe725cde85ed28728d78c0ad5d396c22de193c844529dcfc97b400");
}

TEST_CASE("chunks, files and the order of tensors change nothing of a loaded model") {
  const File whole = test::read_bytes(kFairy + "model.safetensors");
  const auto expected = value_of(load_files({whole}, whole.size()));
  CHECK(expected->info().n_parameters == 11'015'808);
  CHECK(expected->info().quantization == "4-bit, group 128");
  CHECK(expected->info().unused_tensors.empty());
  const std::vector<float> logits = logits_of(*expected);

  const TensorMap tensors = test::load_tensors(kFairy + "model.safetensors");
  const std::vector<std::string> names = tensors.names();
  std::vector<std::string> scales, others, every_other, rest;
  for (size_t i = 0; i < names.size(); ++i) {
    (names[i].ends_with(".scales") ? scales : others).push_back(names[i]);
    (i % 2 == 0 ? every_other : rest).push_back(names[i]);
  }
  struct Case {
    std::vector<File> files;
    size_t chunk_bytes;
  };
  for (const Case& c : {Case{{whole}, 1}, Case{{whole}, 4099}, Case{{whole}, 1 << 20},
                        Case{{file_of(tensors, scales), file_of(tensors, others)}, 65536},
                        Case{{file_of(tensors, others), file_of(tensors, scales)}, 65536},
                        Case{{file_of(tensors, rest), file_of(tensors, every_other)}, 65536}}) {
    CAPTURE(c.files.size(), c.chunk_bytes);
    const auto engine = value_of(load_files(c.files, c.chunk_bytes));
    CHECK(engine->info().model_hash == expected->info().model_hash);
    CHECK(engine->info().n_parameters == expected->info().n_parameters);
    CHECK(engine->info().weight_bytes == expected->info().weight_bytes);
    CHECK(logits_of(*engine) == logits);
  }
}

TEST_CASE("a tensor or a part of a matrix that two files have is refused, whatever became of the first") {
  const File whole = test::read_bytes(kFairy + "model.safetensors");
  const TensorMap tensors = test::load_tensors(kFairy + "model.safetensors");
  for (const char* name : {"lm_head.qweight", "lm_head.qzeros", "lm_head.scales", "model.norm.weight"}) {
    CAPTURE(name);
    const auto engine = load_files({whole, file_of(tensors, {name})}, whole.size());
    REQUIRE_FALSE(engine.has_value());
    CHECK(engine.error().code == ErrorCode::kMalformed);
    CHECK(engine.error().message == concat("w.safetensors: tensor '", name, "' came with another file already"));
  }
}

TEST_CASE("a missing part of a matrix is named, and tensors without a use are listed") {
  TensorMap tensors = test::load_tensors(kFairy + "model.safetensors");
  std::vector<std::string> names = tensors.names();
  for (const char* part : {".qweight", ".qzeros", ".scales"}) {
    const std::string name = concat("lm_head", part);
    CAPTURE(name);
    std::vector<std::string> without = names;
    std::erase(without, name);
    const auto engine = load_files({file_of(tensors, without)}, 1 << 20);
    REQUIRE_FALSE(engine.has_value());
    CHECK(engine.error().code == ErrorCode::kNotFound);
  }
  for (const char* part : {"qweight", "qzeros", "scales"}) {
    const Tensor& source = *tensors.find(concat("lm_head.", part));
    Tensor copy = value_of(Tensor::create(source.dtype(), source.shape()));
    std::ranges::copy(source.bytes(), copy.bytes().begin());
    require_ok(tensors.insert(concat("spare.", part), std::move(copy)));
    names.push_back(concat("spare.", part));
  }
  const auto engine = value_of(load_files({file_of(tensors, names)}, 1 << 20));
  CHECK(engine->info().unused_tensors == std::vector<std::string>{"spare.qweight", "spare.qzeros", "spare.scales"});
}

TEST_CASE("loading holds little more than the packed model") {
  const File whole = test::read_bytes(kFairy + "model.safetensors");
  const uint64_t before = memory_use().current_bytes;
  reset_peak_memory();
  ModelLoader loader = value_of(ModelLoader::create({}));
  require_ok(loader.set_config(test::read_bytes(kFairy + "config.json")));
  require_ok(test::feed_file(loader, "w.safetensors", whole));
  CHECK(memory_use().peak_bytes - before <= whole.size() * 21 / 20);
}

TEST_CASE("more bytes than are wanted are refused") {
  const File whole = test::read_bytes(kFairy + "model.safetensors");
  ModelLoader loader = value_of(ModelLoader::create({}));
  CHECK(loader.feed(whole).error().code == ErrorCode::kInvalidArgument);
  require_ok(loader.begin_file("w.safetensors", whole.size()));
  CHECK(loader.feed(std::span(whole).first(loader.wanted().size + 1)).error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("the configuration comes before the weights, and is missed where their names do not replace it") {
  const File whole = test::read_bytes(kFairy + "model.safetensors");
  ModelLoader bare = value_of(ModelLoader::create({}));
  require_ok(test::feed_file(bare, "w.safetensors", whole));
  const auto without = bare.finish();
  REQUIRE_FALSE(without.has_value());
  CHECK(without.error().code == ErrorCode::kNotFound);
  CHECK(without.error().message.find("config.json") != std::string::npos);

  ModelLoader loader = value_of(ModelLoader::create({}));
  require_ok(loader.set_config(test::read_bytes(kFairy + "config.json")));
  CHECK(loader.finish().error().message == "no weight file was given");
  require_ok(loader.begin_file("w.safetensors", whole.size()));
  const Status late = loader.set_config(test::read_bytes(kFairy + "config.json"));
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().code == ErrorCode::kInvalidArgument);
}

}  // namespace sutra
