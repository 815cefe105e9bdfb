// Prometheus' text format (version 0.0.4), written family by family. Pure; thread-compatible.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/histogram.h"

namespace broker::http {

// A count as a sample has it. Exact up to 2^53.
template <class T>
  requires std::is_arithmetic_v<T>
[[nodiscard]] double number(T value) {
  return static_cast<double>(value);
}

class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Begins a family; all its samples follow before the next one begins. `type`: counter, gauge, summary, histogram.
  void family(std::string_view name, std::string_view type, std::string_view help);
  void sample(Labels labels, double value) { sample_of({}, labels, value); }
  void sample(double value) { sample_of({}, {}, value); }
  // Of a summary: quantiles 0.5, 0.95, 0.99, 0.999 of `recent` in milliseconds, sum and count of `all`.
  void summary_ms(Labels labels, const common::Histogram& all, const common::Histogram& recent);
  // Of a summary without quantiles.
  void sum_and_count(Labels labels, double sum, double count);
  // Of a histogram, in seconds.
  void histogram(Labels labels, const common::Histogram& all);

  [[nodiscard]] std::string take() { return std::move(text_); }
  [[nodiscard]] size_t samples() const { return samples_; }

 private:
  void sample_of(std::string_view suffix, Labels labels, double value, std::string_view extra_name = {},
                 std::string_view extra_value = {});
  void number(double value);

  std::string text_;
  std::string name_;
  size_t samples_ = 0;
};

}  // namespace broker::http
