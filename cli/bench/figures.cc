#include "cli/bench/figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace cli::bench {

void Latencies::add(std::chrono::microseconds took) {
  constexpr int64_t most = std::numeric_limits<uint32_t>::max();
  all_.push_back(static_cast<uint32_t>(std::clamp<int64_t>(took.count(), 0, most)));
}

std::optional<Quantiles> Latencies::quantiles() const {
  if (all_.empty()) return std::nullopt;
  std::vector<uint32_t> sorted = all_;
  std::ranges::sort(sorted);
  // The smallest that at least that share does not exceed.
  const auto at = [&](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    return static_cast<double>(sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1]) / 1000;
  };
  const double sum = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  return Quantiles{.mean = sum / static_cast<double>(sorted.size()) / 1000,
                   .p50 = at(0.5),
                   .p95 = at(0.95),
                   .p99 = at(0.99),
                   .p999 = at(0.999),
                   .max = static_cast<double>(sorted.back()) / 1000};
}

namespace {

double per_second(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

}  // namespace

std::string text_of(std::string_view verb, const Figures& figures) {
  constexpr double mebibyte = 1 << 20;
  std::string text = fmt::format("{} {} records in {:.2f} s: {:.0f} a second, {:.1f} MiB/s{}\n", verb, figures.records,
                                 figures.seconds, per_second(figures.records, figures.seconds),
                                 per_second(figures.bytes, figures.seconds) / mebibyte,
                                 figures.failed > 0 ? fmt::format("; {} failed", figures.failed) : "");
  if (const auto& l = figures.latency) {
    text += fmt::format("latency in ms: mean {:.2f}, p50 {:.2f}, p95 {:.2f}, p99 {:.2f}, p99.9 {:.2f}, max {:.2f}\n",
                        l->mean, l->p50, l->p95, l->p99, l->p999, l->max);
  }
  return text;
}

std::string json_of(const Figures& figures) {
  nlohmann::ordered_json all = {{"records", figures.records},
                                {"bytes", figures.bytes},
                                {"failed", figures.failed},
                                {"seconds", figures.seconds},
                                {"records_per_second", per_second(figures.records, figures.seconds)},
                                {"bytes_per_second", per_second(figures.bytes, figures.seconds)},
                                {"latency_ms", nullptr}};
  if (const auto& l = figures.latency) {
    all["latency_ms"] = {{"mean", l->mean}, {"p50", l->p50},   {"p95", l->p95},
                         {"p99", l->p99},   {"p999", l->p999}, {"max", l->max}};
  }
  return all.dump(2) + "\n";
}

std::string_view json_shape() {
  return R"({"records": 0, "bytes": 0, "failed": 0, "seconds": 0.0, "records_per_second": 0.0, "bytes_per_second": 0.0,
 "latency_ms": {"mean": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0, "p999": 0.0, "max": 0.0} or null}
)";
}

}  // namespace cli::bench
