// What a leader does about its voters by itself, as a table: who is replaced, who is added, and who must be left alone.
#include <catch2/catch.hpp>

#include "controller/raft/upkeep.h"
#include "raft/sim_node.h"

namespace raft_test {
namespace {

using namespace std::chrono_literals;

const Instant now{1h};

struct Quorum {
  Quorum() {
    status.role = Role::leader;
    status.voters = voters_of({1, 2, 3});
    for (int id = 1; id <= 4; ++id) registered[BrokerId(id)] = voter_of(id).endpoint;
    voter(1, 0s);
    voter(2, 0s);
  }
  void voter(int id, Duration silent) {
    status.replicas.push_back({key_of(id, 1), true, LogIndex(9), now - silent, now - silent});
  }
  void observer(int id, int life, Duration behind) {
    status.replicas.push_back({key_of(id, life), false, LogIndex(9), now, now - behind});
  }
  std::optional<Upkeep> decide() const { return decide_upkeep(status, registered, now); }

  QuorumStatus status;
  std::map<BrokerId, Endpoint> registered;
};

}  // namespace

TEST_CASE("a voter is replaced once another directory of its id follows and it has been silent") {
  Quorum quorum;
  quorum.voter(3, 4s);
  CHECK_FALSE(quorum.decide());  // it is away: nobody takes its place
  quorum.observer(4, 1, 0s);
  CHECK_FALSE(quorum.decide());  // nor anybody with another id
  quorum.observer(3, 2, 2s);
  CHECK_FALSE(quorum.decide());  // not before it has caught up
  quorum.observer(3, 3, 0s);
  CHECK(quorum.decide() == Upkeep(ReplaceLostVoter{key_of(3, 1)}));
  quorum.status.role = Role::follower;
  CHECK_FALSE(quorum.decide());
}

TEST_CASE("a voter that answers is not replaced, whoever else calls itself by its id") {
  Quorum quorum;
  quorum.voter(3, 1s);
  quorum.observer(3, 2, 0s);
  CHECK_FALSE(quorum.decide());
}

TEST_CASE("the last voter is not replaced") {
  Quorum quorum;
  quorum.status.voters = voters_of({3});
  quorum.status.replicas.clear();
  quorum.voter(3, 4s);
  quorum.observer(3, 2, 0s);
  CHECK_FALSE(quorum.decide());
}

TEST_CASE("an awaited id is added under the directory that follows now, where it has registered") {
  Quorum quorum;
  quorum.status.voters = voters_of({1, 2}).awaiting(BrokerId(3));
  CHECK_FALSE(quorum.decide());
  quorum.observer(3, 2, 5s);
  CHECK_FALSE(quorum.decide());
  quorum.observer(3, 3, 0s);
  CHECK(quorum.decide() == Upkeep(AddAwaitedVoter{voter_of(3, 3)}));
  quorum.registered.erase(BrokerId(3));
  CHECK_FALSE(quorum.decide());
}

TEST_CASE("an awaited id finds no place among five") {
  Quorum quorum;
  quorum.status.voters = voters_of({1, 2, 4, 5, 6}).awaiting(BrokerId(3));
  quorum.observer(3, 2, 0s);
  CHECK_FALSE(quorum.decide());
}

TEST_CASE("a voter that has registered elsewhere is written down there") {
  Quorum quorum;
  quorum.voter(3, 0s);
  CHECK_FALSE(quorum.decide());
  quorum.registered[BrokerId(2)] = {"elsewhere", 9093};
  CHECK(quorum.decide() == Upkeep(MoveVoter{key_of(2, 1), {"elsewhere", 9093}}));
}

}  // namespace raft_test
