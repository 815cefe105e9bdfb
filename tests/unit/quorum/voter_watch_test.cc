// Who of the others may have gone on without a broker that nobody answers (R33).
#include "controller/quorum/voter_watch.h"

#include <catch2/catch.hpp>

using common::model::BrokerId;
using common::model::Uuid;
using controller::metadata::ClusterEndpoint;
using controller::metadata::ProbeOrder;
using controller::metadata::ProbeResult;
using controller::quorum::Prober;
using controller::quorum::VoterWatch;
using controller::raft::Voter;
using controller::raft::VoterSet;

namespace {

VoterSet voters(int count) {
  std::vector<Voter> all;
  for (int id = 1; id <= count; ++id) {
    Voter voter;
    voter.key.id = BrokerId{id};
    voter.key.directory = Uuid::from_halves(1, static_cast<uint64_t>(id));
    all.push_back(std::move(voter));
  }
  return VoterSet(std::move(all));
}

// Keeps the questions until the test answers them.
class HeldProber final : public Prober {
 public:
  void probe(const ProbeOrder& order, std::function<void(ProbeResult)> done) override {
    asked[order.broker_id] = std::move(done);
  }
  void answer(int id, ProbeResult result) {
    const auto done = std::move(asked.at(BrokerId{id}));
    asked.erase(BrokerId{id});
    done(result);
  }
  std::map<BrokerId, std::function<void(ProbeResult)>> asked;
};

}  // namespace

TEST_CASE("R33: others may decide unless so many are dead that they are no majority") {
  constexpr ProbeResult dead = ProbeResult::refused, silent = ProbeResult::no_answer, there = ProbeResult::connected;
  using Found = std::map<BrokerId, ProbeResult>;
  const BrokerId self{1}, b{2}, c{3}, d{4}, e{5}, observer{9};
  struct Row {
    VoterSet voters;
    BrokerId self;
    Found found;
    bool expected;
  };
  const std::vector<Row> rows{
      {voters(1), self, {}, false},
      {voters(2), self, {{b, silent}}, false},  // it would need our vote,
      {voters(2), self, {{b, there}}, true},    // which it may have
      {voters(3), self, {}, true},
      {voters(3), self, {{b, silent}, {c, silent}}, true},
      {voters(3), self, {{b, dead}, {c, silent}}, false},
      {voters(3), self, {{b, dead}, {c, there}}, true},
      {voters(3), self, {{b, dead}, {c, dead}}, false},
      {voters(5), self, {{b, dead}, {c, silent}, {d, silent}, {e, silent}}, true},
      {voters(5), self, {{b, dead}, {c, dead}, {d, silent}, {e, silent}}, false},
      {voters(3), observer, {{self, dead}, {b, silent}, {c, silent}}, true},
      {voters(3), observer, {{self, dead}, {b, dead}, {c, there}}, false},
  };
  for (const Row& row : rows) {
    INFO("row " << &row - rows.data());
    REQUIRE(controller::quorum::others_may_decide(row.voters, row.self, row.found) == row.expected);
  }
}

TEST_CASE("R33: what is not known counts as alive, and what was found is forgotten when all is well again") {
  HeldProber prober;
  VoterWatch watch(BrokerId{1}, prober);
  const auto address = [](BrokerId) { return std::optional(ClusterEndpoint{"host", 9093}); };
  REQUIRE(watch.others_may_decide());
  watch.look(voters(3), address);
  REQUIRE(prober.asked.size() == 2);
  prober.answer(2, ProbeResult::refused);
  REQUIRE(watch.others_may_decide());
  prober.answer(3, ProbeResult::refused);
  REQUIRE_FALSE(watch.others_may_decide());

  watch.look(voters(3), address);
  prober.answer(2, ProbeResult::refused);
  REQUIRE_FALSE(watch.others_may_decide());  // until the look is over
  prober.answer(3, ProbeResult::no_answer);
  REQUIRE_FALSE(watch.others_may_decide());
  watch.look(voters(3), address);
  prober.answer(2, ProbeResult::no_answer);
  prober.answer(3, ProbeResult::no_answer);
  REQUIRE(watch.others_may_decide());

  watch.look(voters(3), address);
  prober.answer(2, ProbeResult::refused);
  watch.forget();
  prober.answer(3, ProbeResult::refused);  // too late
  REQUIRE(watch.others_may_decide());
}
