// Quantiles are right within a bucket, whose width is a quarter of its beginning.
#include <catch2/catch.hpp>

#include "common/histogram.h"

using common::Histogram;
using namespace std::chrono_literals;

TEST_CASE("a quantile is the upper end of its bucket") {
  Histogram h;
  for (int i = 0; i < 99; ++i) h.observe(1ms);
  h.observe(100ms);
  CHECK(h.count() == 100);
  CHECK(h.sum_seconds() == Approx(0.199));
  CHECK(h.quantile_seconds(0.5) >= 0.001);
  CHECK(h.quantile_seconds(0.5) <= 0.00125);
  CHECK(h.quantile_seconds(0.99) <= 0.00125);
  CHECK(h.quantile_seconds(1.0) >= 0.1);
  CHECK(h.quantile_seconds(1.0) <= 0.125);
}

TEST_CASE("every value falls into a bucket whose end lies just above it") {
  for (uint64_t us = 0; us < (uint64_t{1} << 31); us = us + us / 7 + 1) {
    Histogram h;
    h.observe(std::chrono::microseconds(us));
    const double end = h.quantile_seconds(1.0) * 1e6;
    CAPTURE(us, end);
    REQUIRE(end > static_cast<double>(us));
    REQUIRE(end <= static_cast<double>(us) * 1.25 + 1);
  }
}

TEST_CASE("cumulative counts at powers of two, differences and sums") {
  Histogram h;
  h.observe(63us);
  h.observe(64us);
  h.observe(2h);  // beyond the last bucket's begin: counted there
  CHECK(h.below_power(6) == 1);
  CHECK(h.below_power(7) == 2);
  const Histogram before = h;
  h.observe(1ms);
  CHECK(h.since(before).count() == 1);
  Histogram both = before;
  both.merge(h);
  CHECK(both.count() == 7);
  CHECK(Histogram().quantile_seconds(0.5) == 0);
}
