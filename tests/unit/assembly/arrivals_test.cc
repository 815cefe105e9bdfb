#include "broker/arrivals.h"

#include <catch2/catch.hpp>

using broker::Arrivals;
using common::model::Instant;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Asks every `pause` and tells when, if ever, the client was named.
std::optional<int> named_after(Arrivals& arrivals, std::string_view host, int times, milliseconds pause) {
  std::optional<int> named;
  Instant now(seconds(1000));
  for (int i = 1; i <= times; ++i, now += pause) {
    if (arrivals.asked(host, "app", now)) {
      REQUIRE_FALSE(named);  // once
      named = i;
    }
  }
  return named;
}

}  // namespace

TEST_CASE("A client that only ever asks for addresses is named once") {
  Arrivals arrivals;
  // Ten times and ten seconds: whichever comes later.
  REQUIRE(named_after(arrivals, "172.18.0.9", 100, milliseconds(500)) == 21);
  REQUIRE(named_after(arrivals, "172.18.0.9", 100, milliseconds(500)) == std::nullopt);
  REQUIRE(named_after(arrivals, "172.18.0.10", 100, seconds(2)) == 10);
  const auto other = [&](Instant now) { return arrivals.asked("172.18.0.9", "another client there", now); };
  REQUIRE_FALSE(other(Instant(seconds(2000))));
}

TEST_CASE("Who asks seldom, is on this machine, or arrives is not named") {
  Arrivals arrivals;
  REQUIRE(named_after(arrivals, "172.18.0.9", 100, seconds(10)) == std::nullopt);  // at most seven a minute
  REQUIRE(named_after(arrivals, "127.0.0.1", 100, seconds(1)) == std::nullopt);
  REQUIRE(named_after(arrivals, "::1", 100, seconds(1)) == std::nullopt);
  Instant now(seconds(5000));
  for (int i = 0; i < 100; ++i, now += seconds(1)) {
    REQUIRE_FALSE(arrivals.asked("172.18.0.11", "app", now));
    if (i % 5 == 4) arrivals.arrived("172.18.0.11", "app");
  }
}

TEST_CASE("Clients beyond the bound are not watched, and those within still are") {
  Arrivals arrivals;
  const Instant now(seconds(1000));
  for (int i = 0; i < 5000; ++i) REQUIRE_FALSE(arrivals.asked("10.0.0.1", std::to_string(i), now));
  REQUIRE(named_after(arrivals, "10.0.0.1", 55, seconds(1)) == std::nullopt);  // no room
  for (int i = 0; i < 10; ++i) REQUIRE_FALSE(arrivals.asked("10.0.0.1", "7", now + milliseconds(i)));
  REQUIRE(arrivals.asked("10.0.0.1", "7", now + seconds(11)));
}
