// What an election would do, and what it would cost.
#include <catch2/catch.hpp>

#include "cli/elect_plan.h"

using namespace cli;
using Kind = Election::Kind;
using Ids = std::vector<int32_t>;

namespace {

std::vector<BrokerFacts> brokers(const Ids& down) {
  std::vector<BrokerFacts> all;
  for (const int32_t id : {1, 2, 3}) {
    BrokerFacts broker;
    broker.id = id;
    broker.fenced = std::find(down.begin(), down.end(), id) != down.end();
    all.push_back(broker);
  }
  return all;
}

PartitionFacts partition(std::optional<int32_t> leader, Ids isr) {
  PartitionFacts p;
  p.replicas = {1, 2, 3};
  p.leader = leader;
  p.isr = std::move(isr);
  return p;
}

Election uncleanly(const Ids& down, const PartitionFacts& p) {
  return plan_unclean(brokers(down), {p}).front();
}

}  // namespace

TEST_CASE("an unclean election leaves alone what is led") {
  const Election e = uncleanly({}, partition(1, {1}));
  CHECK(e.kind == Kind::needless);
  CHECK(e.leader == 1);
  CHECK_FALSE(e.next);
}

TEST_CASE("whoever is up leads where those that hold everything are down") {
  const Election e = uncleanly({1}, partition(std::nullopt, {1}));
  CHECK(e.kind == Kind::unclean);
  CHECK(e.next == 2);
  CHECK(e.live == Ids{2, 3});
  CHECK(e.given_up == Ids{1});
}

TEST_CASE("those that are eligible hold everything too") {
  PartitionFacts p = partition(std::nullopt, {});
  p.eligible = {3};
  const Election clean = uncleanly({1}, p);
  CHECK(clean.kind == Kind::clean);
  CHECK(clean.next == 3);
  CHECK(uncleanly({3}, p).given_up == Ids{3});
}

TEST_CASE("the better guess is who was last known to hold everything, the last a copy that cannot be used") {
  PartitionFacts p = partition(std::nullopt, {});
  p.last_known_eligible = {3};
  CHECK(uncleanly({}, p).next == 3);
  CHECK(uncleanly({3}, p).next == 1);
  p.offline = {1, 3};
  CHECK(uncleanly({}, p).next == 2);
  CHECK(uncleanly({2}, p).next == 3);
}

TEST_CASE("a broker that is up and has lost its copy does not lead, and what it held is lost") {
  PartitionFacts p = partition(std::nullopt, {});
  p.last_known_eligible = {2};
  PartitionFacts in_sync = partition(std::nullopt, {2});
  in_sync.index = 1;
  PartitionFacts led = partition(1, {1});
  led.index = 2;
  std::vector<PartitionFacts> all{p, in_sync, led};
  // Broker 3 has not answered.
  note_lost_copies(all, {.sizes = {{{0, 1}, 100}, {{1, 1}, 100}, {{2, 1}, 100}}, .told = {1, 2}});
  CHECK(all[0].offline == Ids{2});
  CHECK(all[2].offline.empty());
  const auto elections = plan_unclean(brokers({}), all);
  CHECK((elections[0].kind == Kind::unclean && elections[0].next == 1));
  CHECK((elections[1].kind == Kind::unclean && elections[1].next == 1));
  CHECK(elections[1].given_up == Ids{2});
}

TEST_CASE("nobody is elected where all are down") {
  const Election e = uncleanly({1, 2, 3}, partition(std::nullopt, {1}));
  CHECK(e.kind == Kind::impossible);
  CHECK_FALSE(e.next);
}

TEST_CASE("the preferred replica leads if it is up and in sync") {
  const auto preferably = [](const Ids& down, const PartitionFacts& p) {
    return plan_preferred(brokers(down), {p}).front();
  };
  CHECK(preferably({}, partition(1, {1, 2})).kind == Kind::needless);
  const Election e = preferably({}, partition(2, {1, 2}));
  CHECK(e.kind == Kind::clean);
  CHECK(e.next == 1);
  CHECK(preferably({}, partition(2, {2, 3})).kind == Kind::impossible);
  CHECK(preferably({1}, partition(2, {1, 2})).kind == Kind::impossible);
}

TEST_CASE("what is lost is said with who holds it") {
  PartitionFacts nobody_complete = partition(std::nullopt, {});
  nobody_complete.index = 1;
  PartitionFacts led = partition(3, {3});
  led.index = 2;
  const auto elections = plan_unclean(brokers({1}), {partition(std::nullopt, {1}), nobody_complete, led});
  CHECK(unclean_text(elections, {{{0, 2}, 2048}, {{0, 3}, 0}, {{1, 2}, 100}}) ==
        "PARTITION  LEADER  WOULD LEAD  COPIES THAT ARE UP    LOST\n"
        "        0       -           2  2 (2.0 KiB), 3 (0 B)  what only broker 1 holds\n"
        "        1       -           2  2 (100 B), 3          what broker 2 does not hold\n"
        "        2       3           -  2, 3                  nothing: it has a leader\n");
}
