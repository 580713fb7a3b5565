#include <chrono>
#include <cstdio>

#include "cli/command.h"
#include "runtime/quantize_folder.h"

namespace sutra::cli {
namespace {

struct Options {
  std::string model, out, method = "rtn";
  int bits = 4;
  QuantizeOptions quantize;
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
      row["output_error"] = tensor.relative_error;
    } else {
      row["kept_because"] = tensor.kept_because;
    }
    tensors.push_back(std::move(row));
  }
  return {{"tensors", std::move(tensors)},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after},
          {"compression", report.compression},
          {"seconds", seconds}};
}

Status run(const Options& options) {
  if (options.method != "rtn") {
    return fail(ErrorCode::kUnsupported, "--method must be rtn, found '", printable(options.method), "'");
  }
  if (options.bits != 4) return fail(ErrorCode::kUnsupported, "--bits must be 4, found ", options.bits);
  const auto start = std::chrono::steady_clock::now();
  catch_interrupts();
  SUTRA_ASSIGN(
      const QuantizeReport report,
      quantize_folder(options.model, options.out, options.quantize,
                      [](size_t n_done, size_t n_tensors, const QuantizedTensor& last) {
                        show_progress(concat("quantize: ", n_done, " of ", n_tensors, " tensors, ", last.name));
                        return go_on();
                      }));
  show_progress({});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.json) {
    print_json(describe(report, seconds));
  } else {
    std::printf("%llu bytes became %llu; the quantised matrices shrank %.2f times against float32; %.2f s\n",
                static_cast<unsigned long long>(report.bytes_before),
                static_cast<unsigned long long>(report.bytes_after), report.compression, seconds);
  }
  return {};
}

}  // namespace

Run add_quantize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--model", options->model, "float model folder")->required();
  app.add_option("--out", options->out, "folder to write")->required();
  app.add_option("--method", options->method, "rtn: round to nearest")->capture_default_str();
  app.add_option("--bits", options->bits, "bits of a weight")->capture_default_str();
  app.add_option("--group-size", options->quantize.group_size, "weights that share a scale: 32, 64, 128")
      ->capture_default_str();
  app.add_flag("--json", options->json, "one JSON object");
  return [options] { return run(*options); };
}

}  // namespace sutra::cli
