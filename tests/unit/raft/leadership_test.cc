// What a leader makes of what it hears of its peers.
#include "controller/raft/leadership.h"

#include <catch2/catch.hpp>

#include "raft/sim_node.h"

namespace raft_test {

TEST_CASE("a voter whose process has ended answers no more, however lately it did (R12)") {
  const Instant now{std::chrono::hours(1)};
  Config config;
  config.self = key_of(1, 1);
  const VoterSet voters = voters_of({1, 2, 3});
  Leadership leadership(config, LogIndex(5), voters, LogIndex(5), now);
  REQUIRE(leadership.in_contact(voters, now) == 1);  // none of the others has answered in this term
  leadership.find(key_of(2, 1))->on_contact(1, now);
  leadership.find(key_of(3, 1))->on_contact(1, now);
  REQUIRE(leadership.in_contact(voters, now) == 3);
  leadership.note_gone(BrokerId(3));
  REQUIRE(leadership.in_contact(voters, now) == 2);
  REQUIRE(leadership.in_contact(voters.without(key_of(2, 1)), now) == 1);
  leadership.find(key_of(3, 1))->on_contact(2, now);  // it has come back
  REQUIRE(leadership.in_contact(voters, now) == 3);
}

}  // namespace raft_test
