// The two ends of a fetch stream together, without a transport: what is said, and what is left unsaid.
#include <map>
#include <memory>

#include <catch2/catch.hpp>

#include "broker/replication/follower_fetcher.h"
#include "broker/replication/leader_fetch_session.h"
#include "broker/replication/patience.h"
#include "replication/fake_replicas.h"

using namespace broker::replication;
using namespace test_support;
using namespace std::chrono_literals;
using common::model::PartitionIndex;

namespace {

struct Pair {
  explicit Pair(LeaderFetchOptions options = {})
      : session(
            [] {
              FollowerHello hello;
              hello.node_id = BrokerId(2);
              hello.broker_epoch = BrokerEpoch(200);
              return hello;
            }(),
            options, [this](const TopicIdPartition& id) { return find(id); }, [this] { ++leader_work; }),
        fetcher({}, [this] { ++follower_work; }) {}

  static TopicIdPartition id(int n) { return {.topic_id = Uuid::from_halves(7, 7), .partition = PartitionIndex(n)}; }

  std::shared_ptr<LeaderReplica> find(const TopicIdPartition& id) {
    const auto found = leaders.find(id);
    return found != leaders.end() ? found->second : nullptr;
  }
  FakeLeader& lead(int n) {
    leaders[id(n)] = std::make_shared<FakeLeader>();
    return *leaders[id(n)];
  }
  FakeFollower& follow(int n) {
    followers[id(n)] = std::make_shared<FakeFollower>();
    fetcher.follow(id(n), followers[id(n)]);
    return *followers[id(n)];
  }

  // One frame in each direction, if there is one.
  bool up() {
    const bool has_work = fetcher.has_work(now);
    auto frame = fetcher.next_frame(now);
    if (!frame) return false;
    REQUIRE(has_work);
    last_up = *frame;
    REQUIRE(session.on_frame(*frame, now).has_value());
    return true;
  }
  bool down() {
    const bool has_work = session.has_work(now);
    auto frame = session.next_frame(now);
    if (!frame) return false;
    REQUIRE(has_work);
    last_down = *frame;
    REQUIRE(fetcher.on_frame(std::move(*frame), now).has_value());
    return true;
  }
  // Until both are silent; returns the number of frames.
  int settle() {
    int frames = 0;
    for (bool more = true; more;) {
      more = false;
      if (up()) more = true, ++frames;
      if (down()) more = true, ++frames;
      REQUIRE(frames < 10000);
    }
    REQUIRE_FALSE(fetcher.has_work(now));
    REQUIRE_FALSE(session.has_work(now));
    return frames;
  }

  std::map<TopicIdPartition, std::shared_ptr<FakeLeader>> leaders;
  std::map<TopicIdPartition, std::shared_ptr<FakeFollower>> followers;
  Instant now = Instant{} + 1h;
  int leader_work = 0;
  int follower_work = 0;
  FollowerFrame last_up;
  LeaderFrame last_down;
  LeaderFetchSession session;
  FollowerFetcher fetcher;
};

}  // namespace

TEST_CASE("patience grows with every silence, so that a frame on a slow link arrives at last") {
  Patience patience(2s);
  Instant now{};
  REQUIRE(patience.current() == 2s);
  patience.on_silence(now += 2s);
  patience.on_heard(now += 1s);  // the hello of the next connection restores nothing
  REQUIRE(patience.current() == 4s);
  for (int i = 0; i < 10; ++i) patience.on_silence(now += 1s);
  REQUIRE(patience.current() == 32s);
  patience.on_heard(now += 60s);
  REQUIRE(patience.current() == 32s);
  patience.on_heard(now += 1s);
  REQUIRE(patience.current() == 2s);
}

// Topics that come and go would fill both ends with numbers, until the leader refuses the next one.
TEST_CASE("a stream is worn out once most of its numbers are of partitions that are gone") {
  FollowerFetcher fetcher({.slots_before_anew = 8}, [] {});
  const auto follow = [&](int n) { fetcher.follow(Pair::id(n), std::make_shared<FakeFollower>()); };
  for (int n = 0; n < 3; ++n) follow(n);
  for (int n = 3; n < 8; ++n) {
    REQUIRE_FALSE(fetcher.is_worn_out());
    follow(n);
    fetcher.unfollow(Pair::id(n));
  }
  REQUIRE(fetcher.is_worn_out());
  REQUIRE(fetcher.size() == 3);
  // Many that are all followed still are no reason.
  for (int n = 8; n < 11; ++n) follow(n);
  REQUIRE_FALSE(fetcher.is_worn_out());
}

TEST_CASE("a follower catches up, acknowledges by asking, and then both are silent") {
  Pair p;
  FakeLeader& leader = p.lead(0);
  leader.append(3000);
  FakeFollower& follower = p.follow(0);
  p.settle();
  REQUIRE(follower.log == leader.log);
  REQUIRE(leader.positions.size() == 2);  // from 0, from 3000
  REQUIRE(leader.positions.back().fetch_offset == Offset(3000));
  REQUIRE(leader.positions.back().broker_epoch == BrokerEpoch(200));

  p.now += 1h;
  p.settle();  // the first high watermark, which was being collected
  p.now += 1h;
  const int work = p.leader_work + p.follower_work;
  REQUIRE(p.settle() == 0);  // an idle partition costs nothing
  REQUIRE_FALSE(p.session.next_deadline());
  REQUIRE_FALSE(p.fetcher.next_deadline());
  REQUIRE(p.leader_work + p.follower_work == work);

  leader.append(5);
  REQUIRE(p.leader_work > 0);
  REQUIRE(p.down());
  REQUIRE(follower.log.size() == 3005);
}

TEST_CASE("at most one unanswered answer for each partition; partitions do not wait for each other") {
  Pair p;
  FakeLeader& a = p.lead(0);
  FakeLeader& b = p.lead(1);
  FakeFollower& fa = p.follow(0);
  FakeFollower& fb = p.follow(1);
  p.settle();
  a.append(10);
  REQUIRE(p.down());
  a.append(10);
  REQUIRE_FALSE(p.session.next_frame(p.now));  // the follower has not answered yet
  b.append(10);
  REQUIRE(p.down());
  REQUIRE(fb.log.size() == 10);
  REQUIRE(p.up());
  REQUIRE(p.last_up.positions.size() == 2);  // both answers in one frame
  REQUIRE(p.down());
  REQUIRE(fa.log.size() == 20);
}

TEST_CASE("unanswered bytes stay within the credit, and every partition gets its turn") {
  LeaderFetchOptions options;
  options.credit_bytes = 3000;
  options.partition_bytes = 1000;
  options.frame_bytes = 2000;
  Pair p(options);
  for (int n = 0; n < 8; ++n) p.lead(n).append(5000);
  for (int n = 0; n < 8; ++n) p.follow(n);
  REQUIRE(p.up());
  std::vector<uint32_t> served;
  for (int frames = 0; auto frame = p.session.next_frame(p.now); ++frames) {
    REQUIRE(frames < 10);
    size_t bytes = 0;
    for (const SlotAnswer& answer : frame->answers) {
      bytes += answer.records.size();
      served.push_back(answer.slot);
    }
    REQUIRE(bytes <= 2000);
    REQUIRE(p.fetcher.on_frame(std::move(*frame), p.now).has_value());
  }
  REQUIRE(served == std::vector<uint32_t>{0, 1, 2});
  REQUIRE(p.session.bytes_unanswered() == 3000);

  // Who was served waits behind the others.
  REQUIRE(p.up());
  REQUIRE(p.down());
  REQUIRE(p.last_down.answers.size() == 2);
  REQUIRE(p.last_down.answers[0].slot == 3);
  REQUIRE(p.last_down.answers[1].slot == 4);
  p.settle();
  for (const auto& [id, follower] : p.followers) REQUIRE(follower->log.size() == 5000);
  REQUIRE(p.session.bytes_unanswered() == 0);
}

TEST_CASE("high watermarks that move alone are collected, and never sent to a log that does not match") {
  Pair p;
  FakeLeader& a = p.lead(0);
  FakeLeader& b = p.lead(1);
  a.append(10);
  b.append(10);
  FakeFollower& fa = p.follow(0);
  FakeFollower& fb = p.follow(1);
  p.settle();
  p.now += 1s;
  p.settle();
  a.commit(5);
  a.commit(10);
  REQUIRE_FALSE(p.down());
  const int work = p.leader_work;
  b.commit(10);
  REQUIRE(p.leader_work == work);  // one that is being waited for takes it along
  REQUIRE_FALSE(p.down());
  REQUIRE(p.session.next_deadline() == p.now + LeaderFetchOptions{}.high_watermark_delay);
  p.now += LeaderFetchOptions{}.high_watermark_delay;
  REQUIRE(p.down());
  REQUIRE(p.last_down.answers.empty());
  REQUIRE(p.last_down.high_watermarks.size() == 2);
  REQUIRE(fa.high_watermark == Offset(10));
  REQUIRE(fb.high_watermark == Offset(10));

  // R62: found diverging; until the follower has cut its log it learns no high watermark.
  fa.change([&] { fa.epoch = LeaderEpoch(2); });
  a.change_role(true, 2);
  a.diverging_once = EpochEnd{LeaderEpoch(1), Offset(4)};
  REQUIRE(p.up());
  a.commit(9);
  p.now += 1s;
  auto frame = p.session.next_frame(p.now);
  REQUIRE(frame);
  REQUIRE(frame->answers.size() == 1);
  REQUIRE(frame->answers[0].answer.diverging);
  REQUIRE(frame->high_watermarks.empty());
}

TEST_CASE("what a leader counts is told to a follower that has everything already (D2)") {
  Pair p;
  FakeLeader& leader = p.lead(0);
  leader.append(10);
  FakeFollower& follower = p.follow(0);
  p.settle();
  p.now += 1s;
  p.settle();
  REQUIRE_FALSE(follower.leader_counts_synced);
  leader.counts_synced = true;
  leader.commit(leader.high_watermark.value);  // observers are told
  REQUIRE_FALSE(p.down());                     // it is collected, as a high watermark is
  p.now += 1s;
  p.settle();
  REQUIRE(follower.leader_counts_synced);
}

TEST_CASE("a high watermark that was to be told is not, once the log turns out to differ (R62)") {
  Pair p;
  FakeLeader& a = p.lead(0);
  a.append(10);
  FakeFollower& f = p.follow(0);
  p.settle();
  p.now += 1s;
  p.settle();
  a.commit(5);  // noted, and collected for a moment
  f.change([&] { f.epoch = LeaderEpoch(2); });
  a.change_role(true, 2);
  a.diverging_once = EpochEnd{LeaderEpoch(1), Offset(4)};
  REQUIRE(p.up());
  p.now += 1s;
  size_t told = 0;
  while (auto frame = p.session.next_frame(p.now)) told += frame->high_watermarks.size();
  REQUIRE(told == 0);
}

TEST_CASE("a leader that learns of its leadership after its followers serves them at once") {
  Pair p;
  FakeLeader& leader = p.lead(0);
  leader.append(10);
  leader.leads = false;
  FakeFollower& follower = p.follow(0);
  follower.change([&] { follower.epoch = LeaderEpoch(4); });
  p.settle();
  REQUIRE(follower.log.empty());
  leader.change_role(true, 4);
  REQUIRE(p.down());
  REQUIRE(follower.log.size() == 10);

  // The replica does not even exist yet.
  FakeFollower& later = p.follow(1);
  p.settle();
  FakeLeader& made = p.lead(1);
  made.append(3);
  p.session.on_replica_created(Pair::id(1));
  REQUIRE(p.down());
  REQUIRE(later.log.size() == 3);
}

TEST_CASE("one partition's failure does not stop the others") {
  Pair p;
  p.lead(0).append(10);
  p.lead(1).append(10);
  FakeFollower& bad = p.follow(0);
  FakeFollower& good = p.follow(1);
  bad.outcome = Applied::back_off;
  p.settle();
  REQUIRE(good.log.size() == 10);
  REQUIRE(bad.answers == 1);
  REQUIRE(p.fetcher.next_deadline() == p.now + 100ms);
  p.leaders[Pair::id(1)]->append(10);
  p.settle();
  REQUIRE(good.log.size() == 20);
  REQUIRE(bad.answers == 1);
  p.now += 100ms;
  bad.outcome.reset();
  p.settle();
  REQUIRE(bad.log.size() == 10);

  // The leader cannot read one of its logs.
  p.leaders[Pair::id(0)]->read_error = ErrorCode::kafka_storage_error;
  p.leaders[Pair::id(0)]->append(5);
  p.leaders[Pair::id(1)]->append(5);
  p.settle();
  REQUIRE(good.log.size() == 25);
}

TEST_CASE("records that a follower cannot append leave the credit to the others (R69)") {
  LeaderFetchOptions options;
  options.credit_bytes = 2000;
  options.partition_bytes = 1000;
  Pair p(options);
  for (int n = 0; n < 3; ++n) p.lead(n).append(5000);
  FakeFollower& full = p.follow(0);
  FakeFollower& also_full = p.follow(1);
  FakeFollower& good = p.follow(2);
  full.outcome = also_full.outcome = Applied::back_off;
  p.settle();
  REQUIRE(p.session.bytes_unanswered() == 2000);  // what the two are sent before it is known
  p.now += 100ms;
  p.settle();
  REQUIRE(full.answers == 2);
  REQUIRE(also_full.answers == 2);
  REQUIRE(good.log.size() == 5000);
  p.leaders[Pair::id(2)]->append(5000);
  p.settle();
  REQUIRE(good.log.size() == 10000);

  full.outcome.reset();  // there is room again: as much as it can take
  p.now += 100ms;
  p.settle();
  REQUIRE(full.log.size() == 5000);
  REQUIRE(p.leaders[Pair::id(0)]->read_sizes.back() == 999);
}

TEST_CASE("metadata that comes later makes a waiting partition ask again before its patience ends") {
  Pair p;
  FakeLeader& leader = p.lead(0);
  leader.epoch = LeaderEpoch(2);
  leader.append(10);
  FakeFollower& follower = p.follow(0);
  follower.outcome = Applied::await_metadata;
  p.settle();  // FENCED_LEADER_EPOCH
  REQUIRE(follower.answers == 1);
  follower.outcome.reset();
  follower.change([&] { follower.epoch = LeaderEpoch(2); });
  p.settle();
  REQUIRE(follower.log.size() == 10);
}

TEST_CASE("work of the disk is waited for") {
  Pair p;
  FakeLeader& leader = p.lead(0);
  leader.is_cold = true;
  leader.append(10);
  FakeFollower& follower = p.follow(0);
  p.settle();
  REQUIRE(leader.cold_reads.size() == 1);
  leader.append(5);  // meanwhile
  p.settle();
  REQUIRE(leader.cold_reads.size() == 1);
  leader.cold_reads[0]();
  REQUIRE(p.down());
  REQUIRE(follower.log.size() == 15);

  // The follower restarts its log: it answers when that is done.
  leader.is_cold = false;
  follower.outcome = Applied::busy;
  p.settle();
  leader.append(5);
  p.settle();
  const size_t answers = follower.answers;
  leader.append(5);
  p.settle();
  REQUIRE(follower.answers == answers);
  follower.outcome.reset();
  follower.change([] {});
  p.settle();
  REQUIRE(follower.log.size() == 25);
}

TEST_CASE("a partition that is given up is forgotten on both sides, whatever is under way") {
  Pair p;
  FakeLeader& leader = p.lead(0);
  leader.append(10);
  p.follow(0);
  p.up();
  auto in_flight = p.session.next_frame(p.now);
  REQUIRE(in_flight);
  p.fetcher.unfollow(Pair::id(0));
  REQUIRE(p.fetcher.on_frame(std::move(*in_flight), p.now).has_value());
  p.settle();
  REQUIRE(p.session.open_slots() == 0);
  REQUIRE(p.session.bytes_unanswered() == 0);
  REQUIRE(leader.observer_count() == 0);

  // Followed and given up before anything was said.
  p.follow(0);
  p.fetcher.unfollow(Pair::id(0));
  FakeFollower& follower = p.follow(0);
  p.settle();
  REQUIRE(follower.log.size() == 10);
  REQUIRE(p.session.open_slots() == 1);
}

TEST_CASE("a leader is told who gives a partition up, and not that of a stream that ends (R56)") {
  std::shared_ptr<FakeLeader> leader;
  {
    Pair p;
    p.lead(0);
    leader = p.leaders.at(Pair::id(0));
    p.follow(0);
    p.settle();
    REQUIRE(leader->observer_count() == 1);
  }
  REQUIRE(leader->observer_count() == 0);
  REQUIRE(leader->left.empty());

  Pair p;
  p.leaders[Pair::id(0)] = leader;
  p.follow(0);
  p.settle();
  p.fetcher.unfollow(Pair::id(0));
  p.settle();
  REQUIRE(leader->observer_count() == 0);
  REQUIRE(leader->left.size() == 1);
  REQUIRE(leader->left[0].first == BrokerId(2));
  REQUIRE(leader->left[0].second == BrokerEpoch(200));
}

TEST_CASE("old frames are dropped, and nonsense ends the stream") {
  Pair p;
  p.lead(0).append(10);
  p.follow(0);
  p.up();
  REQUIRE(p.session.on_frame(p.last_up, p.now).has_value());  // again: dropped (R23)
  REQUIRE(p.session.open_slots() == 1);
  REQUIRE(p.down());
  REQUIRE(p.fetcher.on_frame(p.last_down, p.now).has_value());  // the other direction too

  FollowerFrame bad;
  bad.sequence = 100;
  bad.positions.push_back({.slot = 9});
  REQUIRE_FALSE(p.session.on_frame(bad, p.now).has_value());
  bad = {};
  bad.sequence = 101;
  bad.opened.push_back({.slot = 7});
  REQUIRE_FALSE(p.session.on_frame(bad, p.now).has_value());
  bad = {};
  bad.sequence = 102;
  bad.positions.push_back({.slot = 0, .answers = 5});
  REQUIRE_FALSE(p.session.on_frame(bad, p.now).has_value());

  LeaderFrame worse;
  worse.sequence = 100;
  worse.answers.push_back({.slot = 3, .number = 1});
  REQUIRE_FALSE(p.fetcher.on_frame(worse, p.now).has_value());
}

TEST_CASE("what the disk reads is what is asked for: a follower's sync does not throw it away") {
  Pair p;
  FakeLeader& leader = p.lead(0);
  leader.is_cold = true;
  leader.append(10);
  FakeFollower& follower = p.follow(0);
  p.settle();
  REQUIRE(leader.cold_reads.size() == 1);

  SECTION("it says during the read what it has synced") {
    follower.change([&] { follower.durable = Offset(7); });
    p.settle();
    REQUIRE(leader.positions.back().durable_offset == Offset(7));
    leader.cold_reads[0]();
  }
  SECTION("it says so after the read, before the answer") {
    leader.cold_reads[0]();
    follower.change([&] { follower.durable = Offset(7); });
    REQUIRE(p.up());
    REQUIRE(leader.positions.back().durable_offset == Offset(7));
  }
  SECTION("it asks for something else: read again") {
    follower.change([&] { follower.log.assign(3, 'x'); });
    p.settle();
    leader.cold_reads[0]();
    p.settle();
    REQUIRE(leader.cold_reads.size() == 2);
    leader.cold_reads[1]();
    p.settle();
    REQUIRE(follower.log.size() == 10);
    return;
  }
  p.settle();
  REQUIRE(follower.log.size() == 10);
  REQUIRE(leader.cold_reads.size() == 1);
}

TEST_CASE("a read of the disk that goes with its replica holds up neither the next one nor the credit") {
  LeaderFetchOptions options;
  options.credit_bytes = 1000;
  options.partition_bytes = 1000;
  Pair p(options);
  p.lead(0).append(2000);
  p.leaders.at(Pair::id(0))->is_cold = true;
  const auto former = p.leaders.at(Pair::id(0));
  FakeFollower& follower = p.follow(0);
  p.settle();
  REQUIRE(former->cold_reads.size() == 1);
  REQUIRE(p.session.bytes_unanswered() == 1000);

  FakeLeader& next = p.lead(0);
  next.append(300);
  former->change_role(false, 1);
  CHECK(former->observer_count() == 0);
  p.settle();
  CHECK(follower.log == next.log);
  CHECK(p.session.bytes_unanswered() == 0);

  // It comes all the same, while the next one is read.
  next.is_cold = true;
  next.append(100);
  p.settle();
  REQUIRE(next.cold_reads.size() == 1);
  former->cold_reads.front()();
  p.settle();
  CHECK(follower.log.size() == 300);
  next.cold_reads.front()();
  p.settle();
  CHECK(follower.log == next.log);
  CHECK(p.session.bytes_unanswered() == 0);
}

TEST_CASE("a session that ends while the disk reads for it leaves nothing behind") {
  auto p = std::make_unique<Pair>();
  FakeLeader& leader = p->lead(0);
  leader.is_cold = true;
  leader.append(10);
  p->follow(0);
  p->settle();
  auto keep = p->leaders[Pair::id(0)];
  p.reset();
  REQUIRE(keep->observer_count() == 0);
  keep->cold_reads.at(0)();
}

TEST_CASE("a follower that is not in sync waits for the pace; one that is does not") {
  CatchUpPaceOptions slow;
  slow.rate_first = slow.rate_least = slow.rate_most = 1000;
  slow.burst = 500;
  slow.turn_bytes = 400;
  CatchUpPace pace(slow);
  LeaderFetchOptions options;
  options.pace = &pace;
  Pair pair(options);
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
  options.is_throttled = [](const TopicIdPartition& id) { return id == Pair::id(0); };
  Pair pair(options);
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
  Pair pair(options);
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
  Pair pair(options);
  for (int n = 0; n < 3; ++n) {
    FakeLeader& moved = pair.lead(n);
    moved.follower_in_sync = false;
    moved.is_cold = true;
    moved.append(1000);
    pair.follow(n);
  }
  const auto reads = [&] {
    size_t all = 0;
    for (const auto& [id, leader] : pair.leaders) all += leader->cold_reads.size();
    return all;
  };
  pair.settle();
  CHECK(reads() == 1);  // the others would hold what they read until their turns come
  // What was read has been paid for, and goes at once.
  pair.leaders[Pair::id(0)]->cold_reads.at(0)();
  pair.settle();
  CHECK(pair.followers[Pair::id(0)]->log.size() == 400);
  CHECK(reads() == 1);
  CHECK(throttle.ready_at() == pair.now + 400ms);
  pair.now = throttle.ready_at();
  pair.settle();
  CHECK(reads() == 2);
  CHECK(pair.leaders[Pair::id(1)]->cold_reads.size() == 1);  // each in its turn
}

TEST_CASE("of what is on the disk, no more is read than the pace lets through") {
  CatchUpPaceOptions slow;
  slow.rate_first = slow.rate_least = slow.rate_most = 1000;
  slow.burst = 500;
  slow.turn_bytes = 400;
  CatchUpPace pace(slow);
  LeaderFetchOptions options;
  options.pace = &pace;
  Pair pair(options);
  for (int n = 0; n < 4; ++n) {
    FakeLeader& behind = pair.lead(n);
    behind.follower_in_sync = false;
    behind.is_cold = true;
    behind.append(1000);
    pair.follow(n);
  }
  const auto reads = [&] {
    size_t all = 0;
    for (const auto& [id, leader] : pair.leaders) all += leader->cold_reads.size();
    return all;
  };
  pair.settle();
  CHECK(reads() == 2);  // the burst was not used up by the first
  // What was read has been paid for, and goes at once.
  for (int n = 0; n < 2; ++n) pair.leaders[Pair::id(n)]->cold_reads.at(0)();
  pair.settle();
  for (int n = 0; n < 2; ++n) CHECK(pair.followers[Pair::id(n)]->log.size() == 400);
  CHECK(reads() == 2);
  pair.now = pace.ready_at();
  pair.settle();
  CHECK(reads() == 3);
  CHECK(pair.leaders[Pair::id(2)]->cold_reads.size() == 1);  // each in its turn
}

TEST_CASE("a partition that is smaller than what is read at once pays the throttle for what it is") {
  SendThrottle throttle;
  throttle.set_rate(1000);
  LeaderFetchOptions options;
  options.partition_bytes = 400;
  options.throttle = &throttle;
  options.is_throttled = [](const TopicIdPartition&) { return true; };
  Pair pair(options);
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
  auto pair = std::make_unique<Pair>(options);
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
    pair->fetcher.unfollow(Pair::id(0));
    pair->settle();
    CHECK(pair->session.bytes_unanswered() == 0);
    moved.cold_reads[0]();  // it comes all the same
    CHECK(pair->session.bytes_unanswered() == 0);
  }
  SECTION("the stream ends") {
    const auto keep = pair->leaders[Pair::id(0)];
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
  Pair first(options);
  Pair second(options);
  for (Pair* pair : {&first, &second}) {
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
  CHECK(first.followers[Pair::id(0)]->log.size() == 400);
  CHECK(second.followers[Pair::id(0)]->log.empty());
  CHECK(first.session.next_deadline() > throttle.ready_at());
  CHECK(second.session.next_deadline() == throttle.ready_at());
  second.now = throttle.ready_at();
  second.settle();
  CHECK(second.followers[Pair::id(0)]->log.size() == 400);
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
  options.is_throttled = [](const TopicIdPartition& id) { return id == Pair::id(0); };
  options.follower_throttle = [&](BrokerId follower) { return follower == BrokerId(2) ? &of_follower : nullptr; };
  options.is_throttled_for = [](const TopicIdPartition& id, BrokerId follower) {
    return follower == BrokerId(2) && id != Pair::id(2);
  };
  Pair pair(options);
  for (int n = 0; n < 3; ++n) {
    FakeLeader& moved = pair.lead(n);
    moved.follower_in_sync = false;
    moved.append(1000);
    pair.follow(n);
  }
  const auto has = [&](int n) { return pair.followers[Pair::id(n)]->log.size(); };
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
