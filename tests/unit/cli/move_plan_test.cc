// Where replicas go when partitions are moved.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <catch2/catch.hpp>

#include "cli/drain_plan.h"
#include "cli/move_plan.h"

using namespace cli;

namespace {

std::vector<TopicFacts> topics(std::vector<std::vector<int32_t>> replicas) {
  TopicFacts topic;
  topic.name = "t";
  for (auto& r : replicas) {
    PartitionFacts p;
    p.index = static_cast<int32_t>(topic.partitions.size());
    p.replicas = std::move(r);
    topic.partitions.push_back(std::move(p));
  }
  return {topic};
}

MoveRules among(std::initializer_list<int32_t> brokers) {
  MoveRules rules;
  for (const int32_t id : brokers) rules.allowed.emplace(id, "");
  return rules;
}

std::vector<std::vector<int32_t>> targets(const std::vector<Move>& moves) {
  std::vector<std::vector<int32_t>> all;
  for (const Move& m : moves) all.push_back(m.to);
  return all;
}

}  // namespace

TEST_CASE("what is where it should be is not moved") {
  CHECK(plan_moves(topics({{1, 2, 3}, {2, 3, 1}}), among({1, 2, 3, 4}))->empty());
}

TEST_CASE("a broker that shall hold none gives its replicas to those with the fewest") {
  const auto moves = plan_moves(topics({{1, 2}, {2, 3}, {3, 1}, {1, 2}}), among({1, 2, 4}));
  REQUIRE(moves);
  CHECK(targets(*moves) == std::vector<std::vector<int32_t>>{{2, 4}, {1, 4}});
  CHECK((*moves)[0].partition == 1);
  CHECK((*moves)[0].added() == std::vector<int32_t>{4});
}

TEST_CASE("more and fewer replicas") {
  MoveRules rules = among({1, 2, 3});
  rules.replicas = 3;
  CHECK(targets(*plan_moves(topics({{2}}), rules)) == std::vector<std::vector<int32_t>>{{2, 1, 3}});
  rules.replicas = 1;
  CHECK(targets(*plan_moves(topics({{3, 1, 2}}), rules)) == std::vector<std::vector<int32_t>>{{3}});
  rules.replicas = 4;
  const auto refused = plan_moves(topics({{1}}), rules);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().exit == Exit::usage);
  CHECK(refused.error().message == "t-0 has 4 replicas, and 3 brokers may hold them");
}

TEST_CASE("other racks come first") {
  MoveRules rules;
  rules.allowed = {{1, "a"}, {2, "a"}, {3, "b"}};
  rules.replicas = 2;
  CHECK(targets(*plan_moves(topics({{1}}), rules)) == std::vector<std::vector<int32_t>>{{1, 3}});
}

TEST_CASE("balance evens out, with as few moves as that takes") {
  MoveRules rules = among({1, 2, 3});
  rules.balance = true;
  const auto moves = plan_moves(topics({{1}, {1}, {1}, {1}, {2}, {3}}), rules);
  REQUIRE(moves);
  CHECK(moves->size() == 2);
  std::map<int32_t, int> load;
  for (const Move& m : *moves) ++load[m.to.front()];
  CHECK(load == std::map<int32_t, int>{{2, 1}, {3, 1}});
}

namespace {

// Partitions of which a rack holds more than one copy.
int doubled(const std::vector<std::vector<int32_t>>& replicas, const std::map<int32_t, std::string>& racks) {
  int count = 0;
  for (const auto& ids : replicas) {
    std::set<std::string> seen;
    for (const int32_t id : ids) seen.insert(racks.at(id));
    count += seen.size() < ids.size() ? 1 : 0;
  }
  return count;
}

std::map<int32_t, int> loads(const std::vector<std::vector<int32_t>>& replicas) {
  std::map<int32_t, int> load;
  for (const auto& ids : replicas) {
    for (const int32_t id : ids) ++load[id];
  }
  return load;
}

// Where all partitions lie once the moves are done.
std::vector<std::vector<int32_t>> then(std::vector<std::vector<int32_t>> replicas, const std::vector<Move>& moves) {
  for (const Move& move : moves) replicas[static_cast<size_t>(move.partition)] = move.to;
  return replicas;
}

}  // namespace

TEST_CASE("balance brings no two copies together in a rack") {
  MoveRules rules;
  rules.allowed = {{1, "a"}, {2, "b"}, {3, "c"}, {4, "a"}};
  rules.balance = true;
  // Only 1 can give to 4, though 2 and 3 hold as many.
  const std::vector<std::vector<int32_t>> before(4, {1, 2, 3});
  const auto moves = plan_moves(topics(before), rules);
  REQUIRE(moves);
  const auto after = then(before, *moves);
  CHECK(doubled(after, rules.allowed) == 0);
  CHECK(loads(after) == std::map<int32_t, int>{{1, 2}, {2, 4}, {3, 4}, {4, 2}});
}

TEST_CASE("a pair of brokers that racks keep apart does not end the balancing of the others") {
  MoveRules rules;
  rules.allowed = {{1, "a"}, {2, "b"}, {3, "c"}, {4, "a"}, {5, "b"}, {6, "c"}};
  rules.balance = true;
  const std::vector<std::vector<int32_t>> before(6, {1, 2, 3});
  const auto moves = plan_moves(topics(before), rules);
  REQUIRE(moves);
  const auto after = then(before, *moves);
  CHECK(doubled(after, rules.allowed) == 0);
  CHECK(loads(after) == std::map<int32_t, int>{{1, 3}, {2, 3}, {3, 3}, {4, 3}, {5, 3}, {6, 3}});
}

TEST_CASE("balance moves within a rack, and out of one that has two copies") {
  MoveRules rules;
  rules.allowed = {{1, "a"}, {2, "a"}, {3, "b"}, {4, "b"}};
  rules.balance = true;
  const std::vector<std::vector<int32_t>> before{{1, 2}, {1, 2}, {1, 2}, {1, 2}};
  const auto moves = plan_moves(topics(before), rules);
  REQUIRE(moves);
  const auto after = then(before, *moves);
  CHECK(doubled(after, rules.allowed) < 4);
  CHECK(loads(after) == std::map<int32_t, int>{{1, 2}, {2, 2}, {3, 2}, {4, 2}});
}

TEST_CASE("of fewer replicas those stay that are in different racks") {
  MoveRules rules;
  rules.allowed = {{1, "a"}, {2, "a"}, {3, "b"}};
  rules.replicas = 2;
  CHECK(targets(*plan_moves(topics({{1, 2, 3}, {3, 2, 1}}), rules)) ==
        std::vector<std::vector<int32_t>>{{1, 3}, {3, 2}});
}

TEST_CASE("an undrained broker takes copies of its own rack only, where the others have theirs") {
  MoveRules rules;
  rules.allowed = {{1, "a"}, {2, "b"}, {3, "c"}, {4, "a"}};
  const std::vector<std::vector<int32_t>> before{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 2, 3}, {2, 3, 1}, {3, 1, 2}};
  const auto moves = plan_undrain(topics(before), rules, 4);
  REQUIRE(moves);
  const auto after = then(before, *moves);
  CHECK(doubled(after, rules.allowed) == 0);
  CHECK(loads(after) == std::map<int32_t, int>{{1, 3}, {2, 6}, {3, 6}, {4, 3}});
}

TEST_CASE("a drained broker gives all its replicas away, and nobody else any") {
  const auto moves = plan_drain(topics({{1, 2}, {2, 4}, {3, 1}}), among({1, 2, 4}), 3);
  REQUIRE(moves);
  CHECK(targets(*moves) == std::vector<std::vector<int32_t>>{{1, 4}});
  // 5 is down, which is not what the drain is about.
  const auto beside = plan_drain(topics({{1, 5}, {3, 1}}), among({1, 2, 4}), 3);
  REQUIRE(beside);
  CHECK(beside->size() == 1);
  CHECK((*beside)[0].partition == 1);
}

TEST_CASE("a broker that nobody can stand in for is not drained") {
  const auto moves = plan_drain(topics({{1, 2, 3}}), among({1, 2}), 3);
  REQUIRE_FALSE(moves);
  CHECK(moves.error().message == "broker 3 cannot be emptied: t-0 has 3 replicas, and 2 other brokers are up");
  CHECK(moves.error().next_step.find("--leaders") != std::string::npos);
}

TEST_CASE("a broker that got a replica while it was drained is not said to be empty") {
  CHECK_FALSE(what_is_left(topics({{1, 2}, {2, 4}}), 3));
  const auto left = what_is_left(topics({{1, 2}, {2, 3}}), 3);
  REQUIRE(left);
  CHECK(left->exit == Exit::refused);
  CHECK(left->message == "broker 3 still holds 1 replica: made, or turned back, meanwhile");
}

TEST_CASE("leaderships go to those that have the fewest, and replicas stay") {
  const auto moves = leaders_away(topics({{1, 2, 3}, {1, 2, 3}, {2, 3, 1}, {1}}), among({2, 3}), 1);
  CHECK(targets(moves) == std::vector<std::vector<int32_t>>{{3, 1, 2}, {2, 1, 3}});
  for (const Move& move : moves) CHECK(move.added().empty());
}

TEST_CASE("no leadership goes to a broker that is down") {
  // 4 is down: it has the fewest, and would not be elected.
  const auto moves = leaders_away(topics({{1, 4, 2}, {1, 4, 3}, {2, 1}, {3, 1}, {1, 4}}), among({2, 3}), 1);
  CHECK(targets(moves) == std::vector<std::vector<int32_t>>{{2, 1, 4}, {3, 1, 4}});
  // What the broker leads in place of one that is down goes away too, if there is somebody else.
  std::vector<TopicFacts> led = topics({{4, 1, 2}, {4, 1}, {4, 2, 1}, {1}});
  for (const size_t p : {0u, 1u, 3u}) led.front().partitions[p].leader = 1;
  led.front().partitions[2].leader = 2;
  CHECK(targets(leaders_away(led, among({2, 3}), 1)) == std::vector<std::vector<int32_t>>{{2, 4, 1}});
  CHECK(led_alone(led, among({2, 3}), 1) == 2);
}

TEST_CASE("an undrained broker takes nothing from one that is down") {
  // 5 is being restarted: what it holds stays, though 3 holds nothing, and what it is the first of stays its own.
  const std::vector<TopicFacts> shared = topics({{5, 1}, {1, 5}, {1, 2}, {2, 1}, {1, 2}, {2, 1}});
  const auto moves = plan_undrain(shared, among({1, 2, 3}), 3);
  REQUIRE(moves);
  CHECK_FALSE(moves->empty());
  for (const Move& move : *moves) {
    CHECK(std::count(move.from.begin(), move.from.end(), 5) == 0);
    CHECK(std::count(move.to.begin(), move.to.end(), 3) == 1);
  }
  // Three copies and two brokers that are up are no obstacle: leaderships come back, and none goes to or from 5.
  const auto leaders = plan_undrain(topics({{1, 3, 5}, {1, 5, 3}, {5, 1, 3}, {1, 3, 5}}), among({1, 3}), 3);
  REQUIRE(leaders);
  CHECK(targets(*leaders) == std::vector<std::vector<int32_t>>{{3, 1, 5}});
  const auto too_many = plan_undrain(topics({{3, 5, 1}, {3, 5, 1}, {3, 5, 1}}), among({1, 3}), 3);
  REQUIRE(too_many);
  CHECK(too_many->size() == 2);
  for (const auto& to : targets(*too_many)) CHECK(to.front() == 1);
}

TEST_CASE("an undrained broker is given copies, and the others exchange none") {
  const auto moves = plan_undrain(topics({{1}, {1}, {1}, {1}, {1}, {1}, {2}}), among({1, 2, 3}), 3);
  REQUIRE(moves);
  CHECK_FALSE(moves->empty());
  for (const Move& move : *moves) CHECK(move.to == std::vector<int32_t>{3});
}

TEST_CASE("an undrained broker gets its share of replicas and leaderships") {
  const auto of_leaders = plan_undrain(topics({{2, 1, 3}, {3, 1, 2}, {2, 1, 3}}), among({1, 2, 3}), 1);
  REQUIRE(of_leaders);
  CHECK(targets(*of_leaders) == std::vector<std::vector<int32_t>>{{1, 2, 3}});
  const auto of_replicas = plan_undrain(topics({{1, 2}, {2, 1}, {1, 2}}), among({1, 2, 3}), 3);
  REQUIRE(of_replicas);
  size_t held = 0;
  size_t led = 0;
  for (const auto& to : targets(*of_replicas)) {
    held += static_cast<size_t>(std::count(to.begin(), to.end(), 3));
    led += to.front() == 3 ? 1 : 0;
  }
  CHECK(held == 2);
  CHECK(led == 1);
  // Nothing is left to do when it is done.
  CHECK(plan_undrain(topics({{1, 2, 3}, {3, 1, 2}, {2, 1, 3}}), among({1, 2, 3}), 1)->empty());
}
