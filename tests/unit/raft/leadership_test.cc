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

TEST_CASE("a leader is confirmed by answers to what it sent lately, not by answers that come late (R33)") {
  Instant now{std::chrono::hours(1)};
  Config config;
  config.self = key_of(1, 1);
  const VoterSet voters = voters_of({1, 2, 3});
  const LogView log({}, {});
  const std::optional<Snapshot> no_snapshot;
  const LeaderView view{Term(2), log, voters, no_snapshot, LogIndex(0)};
  Leadership leadership(config, LogIndex(0), voters, LogIndex(0), now);
  std::vector<Message> out;
  leadership.send_heartbeats(view, now, out);
  REQUIRE_FALSE(leadership.is_confirmed(voters, now));
  leadership.find(key_of(2, 1))->on_contact(1, now);
  REQUIRE(leadership.is_confirmed(voters, now));
  REQUIRE(leadership.is_confirmed(voters, now + config.leader_silence));
  leadership.send_heartbeats(view, now + config.heartbeat, out);

  // It stands still. Its timers begin anew, and the answer to the second round, which has waited, is contact.
  const Duration pause = std::chrono::seconds(10);
  now += pause;
  leadership.shift(pause);
  leadership.find(key_of(2, 1))->on_contact(2, now);
  REQUIRE(leadership.majority_contact(voters, now) == now);
  REQUIRE_FALSE(leadership.is_confirmed(voters, now));
  leadership.send_heartbeats(view, now, out);
  REQUIRE_FALSE(leadership.is_confirmed(voters, now));
  leadership.find(key_of(3, 1))->on_contact(3, now);
  REQUIRE(leadership.is_confirmed(voters, now));
  REQUIRE(Leadership(config, LogIndex(0), voters_of({1}), LogIndex(0), now).is_confirmed(voters_of({1}), now));
}

}  // namespace raft_test
