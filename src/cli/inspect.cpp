#include <cstdio>

#include "cli/command.h"

namespace sutra::cli {
namespace {

struct Options {
  std::string path;
  bool json = false;
};

Json describe(const std::string& path, const SafetensorsHeader& header, uint64_t file_bytes) {
  Json metadata = Json::object();
  for (const auto& [key, value] : header.metadata) metadata[key] = value;
  Json tensors = Json::array();
  uint64_t n_elements = 0;
  for (const TensorEntry& entry : header.tensors) {
    Json shape = Json::array();
    for (const uint64_t dim : entry.shape.dims()) shape.push_back(dim);
    tensors.push_back({{"name", entry.name},
                       {"dtype", dtype_name(entry.dtype)},
                       {"shape", std::move(shape)},
                       {"bytes", entry.end - entry.begin}});
    n_elements += entry.shape.n_elements();
  }
  return {{"file", path},
          {"format", "safetensors"},
          {"bytes", file_bytes},
          {"metadata", std::move(metadata)},
          {"n_tensors", header.tensors.size()},
          {"n_elements", n_elements},
          {"tensors", std::move(tensors)}};
}

void print_table(const std::string& path, const SafetensorsHeader& header, uint64_t file_bytes) {
  std::printf("%s: safetensors, %llu bytes, %zu tensors\n", path.c_str(), static_cast<unsigned long long>(file_bytes),
              header.tensors.size());
  for (const auto& [key, value] : header.metadata)
    std::printf("  %s = %s\n", printable(key).c_str(), printable(value).c_str());
  for (const TensorEntry& entry : header.tensors) {
    std::printf("  %-5s %-20s %12llu  %s\n", std::string(dtype_name(entry.dtype)).c_str(),
                entry.shape.to_string().c_str(), static_cast<unsigned long long>(entry.end - entry.begin),
                printable(entry.name).c_str());
  }
}

Status run(const Options& options) {
  std::vector<std::string> files = {options.path};
  if (is_folder(options.path)) {
    SUTRA_ASSIGN(ModelPaths paths, find_model(options.path));
    files = std::move(paths.weights);
  }
  for (const std::string& path : files) {
    SUTRA_ASSIGN(const SafetensorsHeader header, read_safetensors_header(path));
    SUTRA_ASSIGN(const InputFile file, InputFile::open(path));
    if (options.json) {
      print_json(describe(path, header, file.size()));
    } else {
      print_table(path, header, file.size());
    }
  }
  return {};
}

}  // namespace

Run add_inspect(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("FILE", options->path, "a .safetensors file or a model folder")->required();
  app.add_flag("--json", options->json, "one JSON object a file");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
