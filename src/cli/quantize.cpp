#include "runtime/quantize_folder.h"

#include <chrono>
#include <cstdio>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include "cli/command.h"

namespace sutra::cli {
namespace {

struct Options {
  std::string model, out, method;
  QuantizeFolderOptions quantize;
  bool json = false;
};

Json describe(const QuantizeReport& report, double seconds) {
  Json tensors = Json::array();
  for (const QuantizedTensor& tensor : report.tensors) {
    Json row = {{"name", tensor.name},
                {"bits", tensor.bits},
                {"bytes_before", tensor.bytes_before},
                {"bytes_after", tensor.bytes_after}};
    if (tensor.kept_because.empty()) {
      row["group_size"] = tensor.group_size;
      row["output_error"] = tensor.error;
      row["output_error_rtn"] = tensor.error_rtn;
      row["cut"] = tensor.cut;
    } else {
      row["kept_because"] = tensor.kept_because;
    }
    if (tensor.ratio) {
      row["scale_exponent"] = *tensor.ratio;
      row["duo_scaling"] = tensor.duo;
    }
    tensors.push_back(std::move(row));
  }
  return {{"tensors", std::move(tensors)},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after},
          {"compression", report.compression},
          {"calibration_tokens", report.n_calibration_tokens},
          {"seconds", seconds}};
}

// Time left, from the share that is done.
std::string progress_line(const Quantizer& quantizer, double seconds) {
  const double done = quantizer.fraction();
  const double left = done > 0 ? seconds / done - seconds : 0;
  return concat("quantize: ", quantizer.stage_name(), ", ", static_cast<int>(done * 100), " %, ",
                static_cast<int>(left + 0.5), " s left");
}

Result<QuantizeOptions::Method> method_of(const Options& options) {
  using Method = QuantizeOptions::Method;
  if (options.method.empty()) return options.quantize.calibration_path.empty() ? Method::kRtn : Method::kAwq;
  if (options.method == "awq") return Method::kAwq;
  if (options.method == "rtn") return Method::kRtn;
  if (options.method == "gptq") return Method::kGptq;
  return fail(ErrorCode::kUnsupported, "--method must be awq, rtn or gptq, found '", printable(options.method), "'");
}

Status run(const Options& options) {
  QuantizeFolderOptions quantize = options.quantize;
  SUTRA_ASSIGN(quantize.quantize.method, method_of(options));
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  catch_interrupts();
#ifdef M_MMAP_THRESHOLD
  // Stages free what they took. Left to itself glibc begins to keep such pieces, and others of other sizes do not fit in.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
  SUTRA_ASSIGN(const QuantizeReport report,
               quantize_folder(options.model, options.out, quantize, [&](const Quantizer& quantizer) {
                 show_progress(progress_line(quantizer, seconds()));
                 return go_on();
               }));
  show_progress({});
  if (options.json) {
    print_json(describe(report, seconds()));
  } else {
    std::printf("%llu bytes became %llu; the quantised matrices shrank %.2f times against float32; %.2f s\n",
                static_cast<unsigned long long>(report.bytes_before),
                static_cast<unsigned long long>(report.bytes_after), report.compression, seconds());
  }
  return {};
}

}  // namespace

Run add_quantize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  QuantizeFolderOptions& quantize = options->quantize;
  app.add_option("--model", options->model, "model folder, .safetensors, .pth or .gguf file")->required();
  app.add_option("--out", options->out, "folder to write")->required();
  app.add_option("--method", options->method,
                 "awq; rtn: round to nearest; gptq; without it, awq with a calibration text");
  app.add_option("--bits", quantize.quantize.bits, "bits of a weight: 4 or 8; or 3, to compare, in the room of 4")
      ->capture_default_str();
  app.add_option("--group-size", quantize.quantize.group_size, "weights that share a scale: 32, 64, 128")
      ->capture_default_str();
  app.add_flag("--keep-embeddings", quantize.quantize.keep_embeddings,
               "leaves embeddings and head in float: programs that read AutoAWQ's files load the result");
  app.add_option("--calibration", quantize.calibration_path, "text like that the model is for");
  app.add_option("--calibration-sequences", quantize.calibration.n_sequences, "pieces taken from it")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--ctx", quantize.calibration.n_context, "most tokens of a piece")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--tokenizer", quantize.tokenizer_path, "tokenizer that is not beside the model");
  app.add_option("--override", quantize.overrides, "key=value: replaces a value of the config");
  app.add_option("--threads", quantize.n_threads, "threads")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_flag("--json", options->json, "one JSON object");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
