#include "broker/http/metrics_text.h"

#include <cmath>

#include <fmt/format.h>

namespace broker::http {

namespace {

// Backslash, quote and line feed are escaped in label values.
void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
}

}  // namespace

void MetricsText::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void MetricsText::number(double value) {
  constexpr double exact = 9007199254740992.0;
  if (std::floor(value) == value && std::abs(value) < exact) {
    fmt::format_to(std::back_inserter(text_), "{}\n", static_cast<int64_t>(value));
  } else {
    fmt::format_to(std::back_inserter(text_), "{:.9g}\n", value);
  }
}

void MetricsText::sample_of(std::string_view suffix, Labels labels, double value, std::string_view extra_name,
                            std::string_view extra_value) {
  ++samples_;
  text_ += name_;
  text_ += suffix;
  char before = '{';
  const auto label = [&](std::string_view name, std::string_view content) {
    text_.push_back(before);
    before = ',';
    text_ += name;
    text_ += "=\"";
    append_escaped(text_, content);
    text_.push_back('"');
  };
  for (const auto& [name, content] : labels) label(name, content);
  if (!extra_name.empty()) label(extra_name, extra_value);
  if (before == ',') text_.push_back('}');
  text_.push_back(' ');
  number(value);
}

void MetricsText::summary_ms(Labels labels, const common::Histogram& all, const common::Histogram& recent) {
  for (const auto& [text, q] : {std::pair{"0.5", 0.5}, {"0.95", 0.95}, {"0.99", 0.99}, {"0.999", 0.999}}) {
    sample_of({}, labels, recent.quantile_seconds(q) * 1000, "quantile", text);
  }
  sample_of("_sum", labels, all.sum_seconds() * 1000);
  sample_of("_count", labels, static_cast<double>(all.count()));
}

void MetricsText::sum_and_count(Labels labels, double sum, double count) {
  sample_of("_sum", labels, sum);
  sample_of("_count", labels, count);
}

void MetricsText::histogram(Labels labels, const common::Histogram& all) {
  constexpr int first = 6;  // 64 us
  constexpr int last = 24;  // 16.8 s
  for (int power = first; power <= last; ++power) {
    sample_of("_bucket", labels, static_cast<double>(all.below_power(power)), "le",
              fmt::format("{:.9g}", std::ldexp(1e-6, power)));
  }
  sample_of("_bucket", labels, static_cast<double>(all.count()), "le", "+Inf");
  sample_of("_sum", labels, all.sum_seconds());
  sample_of("_count", labels, static_cast<double>(all.count()));
}

}  // namespace broker::http
