// What a leader sends to replicas that are not in sync: no faster than the pace and the throttles allow (KIP-73).
#include "replication/stream_pair.h"

using namespace test_support;

namespace {

// A second is 1,000 bytes, and two turns are more than what may go at once.
CatchUpPaceOptions slow_pace() {
  CatchUpPaceOptions slow;
  slow.rate_first = slow.rate_least = slow.rate_most = 1000;
  slow.burst = 500;
  slow.turn_bytes = 400;
  return slow;
}

}  // namespace

TEST_CASE("a follower that is not in sync waits for the pace; one that is does not") {
  CatchUpPace pace(slow_pace());
  LeaderFetchOptions options;
  options.pace = &pace;
  StreamPair pair(options);
  FakeLeader& behind = pair.lead(0);
  behind.follower_in_sync = false;
  behind.append(2000);
  FakeLeader& current = pair.lead(1);
  FakeFollower& joins = pair.follow(0);
  FakeFollower& member = pair.follow(1);
  pair.settle();
  CHECK(joins.log.size() == 800);  // the burst was not used up by the first turn
  current.append(5000);
  pair.settle();
  CHECK(member.log.size() == 5000);
  CHECK(joins.log.size() == 800);

  // It goes on when the pace says, without a further event.
  REQUIRE(pair.session.next_deadline());
  REQUIRE(*pair.session.next_deadline() > pair.now);
  pair.now = *pair.session.next_deadline();
  pair.settle();
  CHECK(joins.log.size() == 1200);

  // In the ISR it is a member like any other.
  behind.follower_in_sync = true;
  pair.now += 1s;
  pair.settle();
  CHECK(joins.log.size() == 2000);
}

TEST_CASE("what an operator throttles goes at that rate; other replicas do not wait for it") {
  CatchUpPace pace;  // would send all of it at once
  SendThrottle throttle;
  throttle.set_rate(1000);
  LeaderFetchOptions options;
  options.pace = &pace;
  options.partition_bytes = 400;
  options.throttle = &throttle;
  options.is_throttled = [](const TopicIdPartition& id) { return id == StreamPair::id(0); };
  StreamPair pair(options);
  FakeLeader& moved = pair.lead(0);
  moved.follower_in_sync = false;
  moved.append(2000);
  FakeLeader& returning = pair.lead(1);
  returning.follower_in_sync = false;
  returning.append(2000);
  FakeFollower& throttled = pair.follow(0);
  FakeFollower& free = pair.follow(1);
  pair.settle();
  CHECK(throttled.log.size() == 400);
  CHECK(free.log.size() == 2000);

  // It goes on when the throttle says, without a further event.
  REQUIRE(pair.session.next_deadline());
  CHECK(throttle.ready_at() == pair.now + 400ms);
  pair.now = throttle.ready_at();
  pair.settle();
  CHECK(throttled.log.size() == 800);

  // Taken away, it holds nobody.
  throttle.set_rate(SendThrottle::unlimited);
  pair.session.on_throttle_changed();
  pair.settle();
  CHECK(throttled.log.size() == 2000);
}

TEST_CASE("a member of the ISR does not wait for the throttle, and a refusal does not either") {
  SendThrottle throttle;
  throttle.set_rate(1);
  LeaderFetchOptions options;
  options.partition_bytes = 400;
  options.throttle = &throttle;
  options.is_throttled = [](const TopicIdPartition&) { return true; };
  StreamPair pair(options);
  FakeLeader& current = pair.lead(0);
  current.append(1000);
  FakeLeader& moved = pair.lead(1);
  moved.follower_in_sync = false;
  moved.append(1000);
  FakeFollower& member = pair.follow(0);
  FakeFollower& joins = pair.follow(1);
  pair.settle();
  CHECK(member.log.size() == 1000);
  CHECK(joins.log.size() == 400);  // and waits for minutes

  // Its leader's epoch ends meanwhile: it hears of that at once.
  moved.change_role(true, 2);
  pair.settle();
  REQUIRE_FALSE(pair.last_down.answers.empty());
  CHECK(pair.last_down.answers.back().answer.error == ErrorCode::fenced_leader_epoch);
}

TEST_CASE("of what is on the disk, no more is read than the throttle lets through") {
  SendThrottle throttle;
  throttle.set_rate(1000);
  LeaderFetchOptions options;
  options.partition_bytes = 400;
  options.throttle = &throttle;
  options.is_throttled = [](const TopicIdPartition&) { return true; };
  StreamPair pair(options);
  for (int n = 0; n < 3; ++n) {
    FakeLeader& moved = pair.lead(n);
    moved.follower_in_sync = false;
    moved.is_cold = true;
    moved.append(1000);
    pair.follow(n);
  }
  pair.settle();
  CHECK(pair.cold_reads() == 1);  // the others would hold what they read until their turns come
  // What was read has been paid for, and goes at once.
  pair.leaders[StreamPair::id(0)]->cold_reads.at(0)();
  pair.settle();
  CHECK(pair.followers[StreamPair::id(0)]->log.size() == 400);
  CHECK(pair.cold_reads() == 1);
  CHECK(throttle.ready_at() == pair.now + 400ms);
  pair.now = throttle.ready_at();
  pair.settle();
  CHECK(pair.cold_reads() == 2);
  CHECK(pair.leaders[StreamPair::id(1)]->cold_reads.size() == 1);  // each in its turn
}

TEST_CASE("of what is on the disk, no more is read than the pace lets through") {
  CatchUpPace pace(slow_pace());
  LeaderFetchOptions options;
  options.pace = &pace;
  StreamPair pair(options);
  for (int n = 0; n < 4; ++n) {
    FakeLeader& behind = pair.lead(n);
    behind.follower_in_sync = false;
    behind.is_cold = true;
    behind.append(1000);
    pair.follow(n);
  }
  pair.settle();
  CHECK(pair.cold_reads() == 2);  // the burst was not used up by the first
  // What was read has been paid for, and goes at once.
  for (int n = 0; n < 2; ++n) pair.leaders[StreamPair::id(n)]->cold_reads.at(0)();
  pair.settle();
  for (int n = 0; n < 2; ++n) CHECK(pair.followers[StreamPair::id(n)]->log.size() == 400);
  CHECK(pair.cold_reads() == 2);
  pair.now = pace.ready_at();
  pair.settle();
  CHECK(pair.cold_reads() == 3);
  CHECK(pair.leaders[StreamPair::id(2)]->cold_reads.size() == 1);  // each in its turn
}

TEST_CASE("a partition that is smaller than what is read at once pays the throttle for what it is") {
  SendThrottle throttle;
  throttle.set_rate(1000);
  LeaderFetchOptions options;
  options.partition_bytes = 400;
  options.throttle = &throttle;
  options.is_throttled = [](const TopicIdPartition&) { return true; };
  StreamPair pair(options);
  FakeLeader& moved = pair.lead(0);
  moved.follower_in_sync = false;
  moved.is_cold = true;
  moved.append(100);
  FakeFollower& follower = pair.follow(0);
  pair.settle();
  CHECK(throttle.ready_at() == pair.now + 400ms);
  REQUIRE(moved.cold_reads.size() == 1);
  moved.cold_reads[0]();
  pair.settle();
  CHECK(follower.log.size() == 100);
  CHECK(throttle.ready_at() == pair.now + 100ms);

  // And one whose next batch is larger than that pays for all of it.
  pair.now += 1h;
  moved.append(1000);
  pair.settle();
  REQUIRE(moved.cold_reads.size() == 2);
  CHECK(throttle.ready_at() == pair.now + 400ms);
  moved.batch_bytes = 900;
  moved.cold_reads[1]();
  pair.settle();
  CHECK(follower.log.size() == 1000);
  CHECK(throttle.ready_at() == pair.now + 900ms);
}

TEST_CASE("what was paid for and is not sent is given back, however the read ends") {
  SendThrottle of_leader;
  of_leader.set_rate(1000);
  SendThrottle of_follower;
  of_follower.set_rate(500);
  LeaderFetchOptions options;
  options.partition_bytes = 400;
  options.throttle = &of_leader;
  options.is_throttled = [](const TopicIdPartition&) { return true; };
  options.follower_throttle = [&](BrokerId) { return &of_follower; };
  options.is_throttled_for = [](const TopicIdPartition&, BrokerId) { return true; };
  auto pair = std::make_unique<StreamPair>(options);
  FakeLeader& moved = pair->lead(0);
  moved.follower_in_sync = false;
  moved.is_cold = true;
  moved.append(1000);
  FakeFollower& follower = pair->follow(0);
  pair->settle();
  const Instant now = pair->now;
  REQUIRE(moved.cold_reads.size() == 1);
  REQUIRE(of_leader.ready_at() == now + 400ms);
  REQUIRE(of_follower.ready_at() == now + 800ms);

  SECTION("the partition is not followed any more") {
    pair->fetcher.unfollow(StreamPair::id(0));
    pair->settle();
    CHECK(pair->session.bytes_unanswered() == 0);
    moved.cold_reads[0]();  // it comes all the same
    CHECK(pair->session.bytes_unanswered() == 0);
  }
  SECTION("the stream ends") {
    const auto keep = pair->leaders[StreamPair::id(0)];
    pair.reset();
    keep->cold_reads.at(0)();
  }
  SECTION("something else is asked for during the read") {
    follower.change([&] { follower.log.assign(3, 'x'); });
    pair->settle();
    moved.cold_reads[0]();
  }
  SECTION("something else is asked for after the read, before the answer") {
    moved.cold_reads[0]();
    follower.change([&] { follower.log.assign(3, 'x'); });
    REQUIRE(pair->up());
  }
  CHECK(of_leader.ready_at() == now);
  CHECK(of_follower.ready_at() == now);
}

TEST_CASE("who waits for the throttle on another stream comes before the one that it let through last") {
  SendThrottle throttle;
  throttle.set_rate(1000);
  LeaderFetchOptions options;
  options.partition_bytes = 400;
  options.throttle = &throttle;
  options.is_throttled = [](const TopicIdPartition&) { return true; };
  StreamPair first(options);
  StreamPair second(options);
  for (StreamPair* pair : {&first, &second}) {
    for (int n = 0; n < 2; ++n) {
      FakeLeader& moved = pair->lead(n);
      moved.follower_in_sync = false;
      moved.append(1000);
      pair->follow(n);
    }
    pair->settle();
    pair->now += LeaderFetchOptions{}.high_watermark_delay;
    pair->settle();
  }
  CHECK(first.followers[StreamPair::id(0)]->log.size() == 400);
  CHECK(second.followers[StreamPair::id(0)]->log.empty());
  CHECK(first.session.next_deadline() > throttle.ready_at());
  CHECK(second.session.next_deadline() == throttle.ready_at());
  second.now = throttle.ready_at();
  second.settle();
  CHECK(second.followers[StreamPair::id(0)]->log.size() == 400);
  CHECK(first.session.next_deadline() == throttle.ready_at());
  CHECK(second.session.next_deadline() > throttle.ready_at());
}

TEST_CASE("what a follower may be sent goes at that rate, and what the leader throttles too waits for both") {
  SendThrottle of_leader;
  of_leader.set_rate(1000);
  SendThrottle of_follower;
  of_follower.set_rate(500);
  LeaderFetchOptions options;
  options.partition_bytes = 400;
  options.throttle = &of_leader;
  options.is_throttled = [](const TopicIdPartition& id) { return id == StreamPair::id(0); };
  options.follower_throttle = [&](BrokerId follower) { return follower == BrokerId(2) ? &of_follower : nullptr; };
  options.is_throttled_for = [](const TopicIdPartition& id, BrokerId follower) {
    return follower == BrokerId(2) && id != StreamPair::id(2);
  };
  StreamPair pair(options);
  for (int n = 0; n < 3; ++n) {
    FakeLeader& moved = pair.lead(n);
    moved.follower_in_sync = false;
    moved.append(1000);
    pair.follow(n);
  }
  const auto has = [&](int n) { return pair.followers[StreamPair::id(n)]->log.size(); };
  pair.settle();
  CHECK(has(0) == 400);
  CHECK(has(1) == 0);
  CHECK(has(2) == 1000);  // no topic names it
  CHECK(of_leader.ready_at() == pair.now + 400ms);
  CHECK(of_follower.ready_at() == pair.now + 800ms);

  pair.now += 400ms;  // the leader's would let it
  pair.settle();
  CHECK(has(0) == 400);
  pair.now += 401ms;  // each in its turn
  pair.settle();
  CHECK(has(0) == 400);
  CHECK(has(1) == 400);
  pair.now += 801ms;
  pair.settle();
  CHECK(has(0) == 800);

  of_follower.set_rate(SendThrottle::unlimited);
  pair.session.on_throttle_changed();
  pair.settle();
  CHECK(has(1) == 1000);
  CHECK(has(0) == 800);  // for the leader's half a second more
}
