// What a leader makes of what it hears of its peers.
#include "controller/raft/leadership.h"

#include <catch2/catch.hpp>

#include "raft/raft_scenario.h"
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

TEST_CASE("a rival that lost confirms to the winner no rounds of the leader before (R17, R33)") {
  RaftScenario world;
  const auto say = [&world](const char* line) { return world.execute(test_support::Command::parse(line, 1)); };
  const auto has = [](const std::string& text, const char* what) { return text.find(what) != std::string::npos; };
  say("cluster voters=(1,2,3)");
  REQUIRE(has(say("run for=1s"), "1: leader term 2"));  // 3 has heard ten rounds of it
  // 3 and 2 stand for the same term, and 2 wins.
  say("isolate 3");
  REQUIRE(has(say("run for=600ms"), "3: prospective term 2"));
  REQUIRE(has(say("send pre-vote-answer from=2 to=3 term=2 asked-in=2 granted"), "3: candidate term 3"));
  say("transfer at=1 to=2");
  REQUIRE(has(say("deliver"), "2: leader term 3"));
  say("heal");
  REQUIRE(has(say("run for=150ms"), "3: follower term 3 leader 2"));
  // Now nobody hears 2 any more, who has led for three rounds.
  say("isolate 2");
  CHECK_FALSE(has(say("read at=2"), "read 1 at"));
  const std::string later = say("run for=2s");
  CHECK(has(later, "2: * read 1 failed"));
  CHECK_FALSE(has(later, "read 1 at"));
}

}  // namespace raft_test
