#include "broker/arrivals.h"

#include <memory>

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

TEST_CASE("Who asked once and is silent on a connection that stands is named once") {
  Arrivals arrivals;
  const auto connection = std::make_shared<int>(0);
  const Instant start(seconds(1000));
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "app", start, connection));
  REQUIRE(arrivals.silent(start + seconds(29)).empty());
  const auto silent = arrivals.silent(start + seconds(31));
  REQUIRE(silent.size() == 1);
  CHECK((silent[0].host == "172.18.0.9" && silent[0].client_id == "app" && silent[0].since == seconds(31)));
  REQUIRE_FALSE(arrivals.watching());
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "app", start + seconds(40), connection));
  REQUIRE(arrivals.silent(start + seconds(80)).empty());  // once
}

TEST_CASE("Silence says nothing of who has gone, came before, or has no address to miss") {
  Arrivals arrivals;
  const auto stands = std::make_shared<int>(0);
  const Instant start(seconds(1000));
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "gone", start, std::make_shared<int>(0)));
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "came by what it is told", start));
  REQUIRE_FALSE(arrivals.asked("127.0.0.1", "on this machine", start, stands));
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "idle", start, stands));
  arrivals.arrived("172.18.0.9", "idle");
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "idle", start + seconds(1), stands));  // it looks for news now and then
  REQUIRE(arrivals.silent(start + seconds(50)).empty());
}

TEST_CASE("Silence says nothing of a producer that waits for something to send, where others of its host have come") {
  Arrivals arrivals;
  const auto stands = std::make_shared<int>(0);
  const Instant start(seconds(1000));
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "producer", start, stands));
  REQUIRE_FALSE(arrivals.asked("172.18.0.10", "producer", start, stands));
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "consumer", start, stands));
  arrivals.arrived("172.18.0.9", "consumer", std::make_shared<int>(0));
  // One that stays where it asked, as a tool may, has not been where it was told to go.
  REQUIRE_FALSE(arrivals.asked("172.18.0.10", "tool", start, stands));
  arrivals.arrived("172.18.0.10", "tool", stands);
  const auto silent = arrivals.silent(start + seconds(50));
  REQUIRE(silent.size() == 1);
  CHECK((silent[0].host == "172.18.0.10" && silent[0].client_id == "producer"));
}

TEST_CASE("A broker that has seen many clients come still tells of one that does not, some time later") {
  Arrivals arrivals;
  const auto stands = std::make_shared<int>(0);
  Instant now(seconds(1000));
  for (int i = 0; i < 1000; ++i) {
    const std::string job = "job-" + std::to_string(i);
    REQUIRE_FALSE(arrivals.asked("10.0.0.1", job, now, stands));
    arrivals.arrived("10.0.0.1", job, std::make_shared<int>(0));
  }
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "app", now, stands));
  REQUIRE(arrivals.silent(now + seconds(31)).empty());  // it may be one that came and could not be remembered
  now += seconds(2 * 3600);
  REQUIRE_FALSE(arrivals.asked("172.18.0.9", "app", now, stands));
  REQUIRE(arrivals.silent(now + seconds(31)).size() == 1);
}
