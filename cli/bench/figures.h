// What a bench has measured: how many in which time, and how long each took. Pure; thread-compatible.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cli::bench {

// In milliseconds.
struct Quantiles {
  double mean = 0;
  double p50 = 0;
  double p95 = 0;
  double p99 = 0;
  double p999 = 0;
  double max = 0;
};

// Every one is kept, in microseconds: quantiles are exact, and a million take four megabytes.
class Latencies {
 public:
  void add(std::chrono::microseconds took);
  // None: nothing was measured.
  [[nodiscard]] std::optional<Quantiles> quantiles() const;

 private:
  std::vector<uint32_t> all_;
};

struct Figures {
  uint64_t records = 0;
  uint64_t bytes = 0;  // of values
  uint64_t failed = 0;
  double seconds = 0;
  std::optional<Quantiles> latency;
};

// "produced 100000 records ...", and a line of latencies.
[[nodiscard]] std::string text_of(std::string_view verb, const Figures& figures);
// {"records": ..., ...}
[[nodiscard]] std::string json_of(const Figures& figures);
[[nodiscard]] std::string_view json_shape();

}  // namespace cli::bench
