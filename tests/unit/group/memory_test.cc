// How much memory whoever asks for memberships can make a broker hold (R109), over all of its coordinators.
#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "broker/group/coordinator.h"

using namespace broker::group;
using std::chrono::minutes;

namespace {

const Moment now{Instant(std::chrono::hours(1)), TimestampMs(1'700'000'000'000)};

// Asks for a member id in a group that nobody has heard of.
ErrorCode ask_for_id(GroupCoordinator& coordinator, uint64_t number) {
  JoinRequest join;
  join.group = fmt::format("group-{}", number);
  join.session_timeout = minutes(1);
  join.rebalance_timeout = minutes(1);
  join.protocol_type = "consumer";
  join.protocols.push_back({"range", {}});
  join.fresh_id = common::model::Uuid::from_halves(1, number);
  const Effects effects = coordinator.handle(RequestToken(number), std::move(join), now);
  REQUIRE(effects.answers.size() == 1);
  return std::get<JoinAnswer>(effects.answers.front().answer).error;
}

}  // namespace

TEST_CASE("coordinators of one broker share the memory for members, and give it back") {
  GroupConfig config;
  config.broker_memory = std::make_shared<std::atomic<size_t>>(0);
  config.broker_memory_max = 100'000;
  auto first = std::make_unique<GroupCoordinator>(config);
  auto second = std::make_unique<GroupCoordinator>(config);
  (void)first->start(now);
  (void)second->start(now);
  uint64_t number = 1;
  ErrorCode error = ask_for_id(*first, number);
  REQUIRE(error == ErrorCode::member_id_required);
  for (; error == ErrorCode::member_id_required; error = ask_for_id(*first, ++number)) REQUIRE(number < 10'000);
  REQUIRE(error == ErrorCode::group_max_size_reached);
  REQUIRE(ask_for_id(*second, 1) == ErrorCode::group_max_size_reached);
  REQUIRE(config.broker_memory->load() == first->memory_bytes());

  SECTION("when they are unloaded") {
    first.reset();
  }
  SECTION("when what was asked for is not taken") {
    (void)first->on_time({now.now + minutes(2), now.wall});
  }
  REQUIRE(config.broker_memory->load() == 0);
  REQUIRE(ask_for_id(*second, 2) == ErrorCode::member_id_required);
  second.reset();
  REQUIRE(config.broker_memory->load() == 0);
}
