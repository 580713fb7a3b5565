// Rows of figures on stdout, as one JSON object or as CSV.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace sutra::bench {

struct Figure {
  double value;
  std::string_view unit;
};

class Report {
 public:
  // Not empty: CSV lines for bench/results, under that machine's name.
  explicit Report(std::string csv_machine) : csv_machine_(std::move(csv_machine)) {}
  void begin(size_t n_threads);
  void add(std::string_view family, std::string_view variant, std::string_view case_name,
           std::initializer_list<Figure> figures);
  void end();

 private:
  std::string csv_machine_;
  std::string date_;
  bool first_ = true;
};

}  // namespace sutra::bench
