#include <cstdio>

#include "cli/command.h"

namespace sutra::cli {
namespace {

struct Options {
  std::string path;
  bool json = false;
};

Json to_json(const JsonScalar& value) {
  return std::visit(
      [](const auto& v) {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::monostate>) {
          return Json();
        } else {
          return Json(v);
        }
      },
      value);
}

Json describe(const std::string& path, const TensorTable& table) {
  Json metadata = Json::object();
  for (const auto& [key, value] : table.metadata) metadata[key] = to_json(value);
  Json tensors = Json::array();
  uint64_t n_elements = 0;
  for (const TensorEntry& entry : table.tensors) {
    Json shape = Json::array();
    for (const uint64_t dim : entry.shape.dims()) shape.push_back(dim);
    tensors.push_back({{"name", entry.name},
                       {"dtype", dtype_name(entry.dtype)},
                       {"shape", std::move(shape)},
                       {"bytes", entry.end - entry.begin}});
    n_elements += entry.shape.n_elements();
  }
  return {{"file", path},
          {"format", table.format},
          {"bytes", table.file_bytes},
          {"metadata", std::move(metadata)},
          {"n_tensors", table.tensors.size()},
          {"n_elements", n_elements},
          {"tensors", std::move(tensors)}};
}

void print_table(const std::string& path, const TensorTable& table) {
  std::printf("%s: %s, %llu bytes, %zu tensors\n", path.c_str(), std::string(table.format).c_str(),
              static_cast<unsigned long long>(table.file_bytes), table.tensors.size());
  for (const auto& [key, value] : table.metadata) {
    const auto* const text = std::get_if<std::string>(&value);
    const std::string shown = text != nullptr ? printable(*text) : to_json(value).dump();
    std::printf("  %s = %s\n", printable(key).c_str(), shown.c_str());
  }
  for (const TensorEntry& entry : table.tensors) {
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
    SUTRA_ASSIGN(const TensorTable table, read_tensor_table(path));
    if (options.json) {
      print_json(describe(path, table));
    } else {
      print_table(path, table);
    }
  }
  return {};
}

}  // namespace

Run add_inspect(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("FILE", options->path, "a .safetensors, .gguf, .pth or .pt file, or a model folder")->required();
  app.add_flag("--json", options->json, "one JSON object a file");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
