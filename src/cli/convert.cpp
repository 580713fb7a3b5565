#include <cstdio>
#include <optional>

#include "cli/command.h"
#include "runtime/convert_folder.h"

namespace sutra::cli {
namespace {

struct Options {
  std::string model, out, format, dtype = "f16";
  ConvertFolderOptions convert;
  bool json = false;
};

Result<ConvertOptions::Format> format_of(const Options& options) {
  using Format = ConvertOptions::Format;
  if (options.format == "gguf" || (options.format.empty() && options.out.ends_with(".gguf"))) return Format::kGguf;
  if (options.format == "safetensors" || options.format.empty()) return Format::kSafetensors;
  return fail(ErrorCode::kInvalidArgument, "--format must be safetensors or gguf, found '", printable(options.format),
              "'");
}

Result<Dtype> dtype_of(std::string_view name) {
  if (name == "f32") return Dtype::kF32;
  if (name == "f16") return Dtype::kF16;
  if (name == "q8_0") return Dtype::kQ8_0;
  if (name == "q4_0") return Dtype::kQ4_0;
  return fail(ErrorCode::kInvalidArgument, "--dtype must be f32, f16, q8_0 or q4_0, found '", printable(name), "'");
}

Status run(Options& options) {
  SUTRA_ASSIGN(options.convert.convert.format, format_of(options));
  SUTRA_ASSIGN(options.convert.convert.dtype, dtype_of(options.dtype));
  catch_interrupts();
  SUTRA_ASSIGN(const ConvertReport report,
               convert_folder(options.model, options.out, options.convert, [](size_t n_done, size_t n_tensors) {
                 show_progress(concat("convert: ", n_done, " of ", n_tensors, " tensors"));
                 return go_on();
               }));
  show_progress({});
  if (options.json) {
    print_json({{"architecture", report.architecture},
                {"tensors", report.n_tensors},
                {"bytes", report.n_bytes},
                {"tokenizer", report.has_tokenizer}});
  } else {
    std::printf("%s: %zu tensors, %llu bytes, %s\n", report.architecture.c_str(), report.n_tensors,
                static_cast<unsigned long long>(report.n_bytes),
                report.has_tokenizer ? "with the tokenizer" : "without a tokenizer");
  }
  return {};
}

}  // namespace

Run add_convert(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--model", options->model, "model folder, .safetensors, .pth or .gguf file")->required();
  app.add_option("--out", options->out, "folder to write; for GGUF the file")->required();
  app.add_option("--format", options->format, "safetensors or gguf; without it, as --out ends");
  app.add_option("--dtype", options->dtype, "of the matrices: f32, f16; in GGUF also q8_0, q4_0")
      ->capture_default_str();
  app.add_option("--tokenizer", options->convert.tokenizer_path, "tokenizer that is not beside the model");
  app.add_option("--override", options->convert.overrides, "key=value: replaces a value of the config");
  app.add_flag("--json", options->json, "one JSON object");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
