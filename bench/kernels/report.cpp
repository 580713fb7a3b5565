#include "bench/kernels/report.h"

#include <cstdio>
#include <ctime>

#include "base/text.h"

namespace sutra::bench {
namespace {

#if defined(__EMSCRIPTEN__)
constexpr std::string_view kEngine = "node";
#else
constexpr std::string_view kEngine = "native";
#endif

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace

void Report::begin(size_t n_threads) {
  char today[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(today, sizeof today, "%Y-%m-%d", std::gmtime(&now));
  date_ = today;
  const std::string head = concat("{\"threads\": ", n_threads, ", \"rows\": [");
  std::puts(csv_machine_.empty() ? head.c_str() : "date,machine,engine,family,variant,case,value,unit");
}

void Report::add(std::string_view family, std::string_view variant, std::string_view case_name,
                 std::initializer_list<Figure> figures) {
  std::string out;
  if (csv_machine_.empty()) {
    out = concat(first_ ? "  " : ",\n  ", "{\"family\": \"", family, "\", \"variant\": \"", variant, "\", \"case\": \"",
                 case_name, "\"");
    for (const Figure& figure : figures) out += concat(", \"", figure.unit, "\": ", number(figure.value));
    out += "}";
  } else {
    for (const Figure& figure : figures) {
      out += concat(date_, ",", csv_machine_, ",", kEngine, ",", family, ",", variant, ",", case_name, ",",
                    number(figure.value), ",", figure.unit, "\n");
    }
  }
  first_ = false;
  std::fputs(out.c_str(), stdout);
  std::fflush(stdout);
}

void Report::end() {
  if (csv_machine_.empty()) std::puts("\n]}");
}

}  // namespace sutra::bench
