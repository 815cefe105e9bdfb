// Figures of a bench: quantiles are exact, and what was not measured is not made up.
#include <catch2/catch.hpp>

#include "cli/bench/figures.h"

using namespace cli::bench;

TEST_CASE("quantiles are of what was measured") {
  CHECK_FALSE(Latencies().quantiles());
  Latencies latencies;
  for (int i = 1000; i >= 1; --i) latencies.add(std::chrono::microseconds(i * 1000));
  const auto q = latencies.quantiles();
  REQUIRE(q);
  CHECK(q->p50 == 500);
  CHECK(q->p95 == 950);
  CHECK(q->p99 == 990);
  CHECK(q->p999 == 999);
  CHECK(q->max == 1000);
  CHECK(q->mean == 500.5);

  Latencies one;
  one.add(std::chrono::microseconds(7));
  CHECK(one.quantiles()->p50 == 0.007);
  CHECK(one.quantiles()->max == 0.007);
}

TEST_CASE("figures in words and as JSON") {
  Figures figures;
  figures.records = 2000;
  figures.bytes = 2 << 20;
  figures.seconds = 2;
  CHECK(text_of("consumed", figures) == "consumed 2000 records in 2.00 s: 1000 a second, 1.0 MiB/s\n");
  CHECK(json_of(figures).find("\"latency_ms\": null") != std::string::npos);
  figures.failed = 3;
  figures.latency = Quantiles{.mean = 1, .p50 = 1, .p95 = 2, .p99 = 3, .p999 = 4, .max = 5};
  CHECK(text_of("produced", figures).find("; 3 failed") != std::string::npos);
  CHECK(text_of("produced", figures).find("p99.9 4.00, max 5.00") != std::string::npos);
  CHECK(json_of(figures).find("\"records_per_second\": 1000.0") != std::string::npos);
}
