// Where replicas go when partitions are moved.
#include <catch2/catch.hpp>

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
