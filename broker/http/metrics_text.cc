#include "broker/http/metrics_text.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace broker::http {

namespace {

unsigned at(std::string_view text, size_t i) {
  return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
}

// Bytes of the character of UTF-8 that `text` begins with; 0: it is none (overlong, a surrogate, cut off, ...).
size_t utf8_length(std::string_view text) {
  const auto follows = [&](size_t i, unsigned least = 0x80, unsigned most = 0xbf) {
    return at(text, i) >= least && at(text, i) <= most;
  };
  const unsigned first = at(text, 0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  if (first < 0xe0) return follows(1) ? 2 : 0;
  if (first < 0xf0) {
    const bool second = follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
    return second && follows(2) ? 3 : 0;
  }
  const bool second = follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
  return second && follows(2) && follows(3) ? 4 : 0;
}

// Backslash, quote and line feed are escaped in label values. Names of groups and of client libraries are whatever
// bytes clients have sent, and Prometheus refuses a whole scrape for one label that is no UTF-8: such a byte is shown
// as \xff, so that two names stay two.
void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const char c = text.front();
    const size_t length = utf8_length(text);
    if (length == 0) {
      fmt::format_to(std::back_inserter(out), "\\\\x{:02x}", static_cast<unsigned char>(c));
    } else if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\' || c == '"') out.push_back('\\');
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
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
    // As many digits as it takes: nine leave a time since 1970 ten seconds wide.
    fmt::format_to(std::back_inserter(text_), "{}\n", value);
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
