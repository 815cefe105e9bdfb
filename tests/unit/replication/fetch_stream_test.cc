// The two ends of a fetch stream together, without a transport: what is said, and what is left unsaid.
#include "replication/stream_pair.h"

using namespace test_support;

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
  const auto follow = [&](int n) { fetcher.follow(StreamPair::id(n), std::make_shared<FakeFollower>()); };
  for (int n = 0; n < 3; ++n) follow(n);
  for (int n = 3; n < 8; ++n) {
    REQUIRE_FALSE(fetcher.is_worn_out());
    follow(n);
    fetcher.unfollow(StreamPair::id(n));
  }
  REQUIRE(fetcher.is_worn_out());
  REQUIRE(fetcher.size() == 3);
  // Many that are all followed still are no reason.
  for (int n = 8; n < 11; ++n) follow(n);
  REQUIRE_FALSE(fetcher.is_worn_out());
}

TEST_CASE("a follower catches up, acknowledges by asking, and then both are silent") {
  StreamPair p;
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
  StreamPair p;
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
  StreamPair p(options);
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
  StreamPair p;
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
  StreamPair p;
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
  StreamPair p;
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
  StreamPair p;
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
  p.session.on_replica_created(StreamPair::id(1));
  REQUIRE(p.down());
  REQUIRE(later.log.size() == 3);
}

TEST_CASE("one partition's failure does not stop the others") {
  StreamPair p;
  p.lead(0).append(10);
  p.lead(1).append(10);
  FakeFollower& bad = p.follow(0);
  FakeFollower& good = p.follow(1);
  bad.outcome = Applied::back_off;
  p.settle();
  REQUIRE(good.log.size() == 10);
  REQUIRE(bad.answers == 1);
  REQUIRE(p.fetcher.next_deadline() == p.now + 100ms);
  p.leaders[StreamPair::id(1)]->append(10);
  p.settle();
  REQUIRE(good.log.size() == 20);
  REQUIRE(bad.answers == 1);
  p.now += 100ms;
  bad.outcome.reset();
  p.settle();
  REQUIRE(bad.log.size() == 10);

  // The leader cannot read one of its logs.
  p.leaders[StreamPair::id(0)]->read_error = ErrorCode::kafka_storage_error;
  p.leaders[StreamPair::id(0)]->append(5);
  p.leaders[StreamPair::id(1)]->append(5);
  p.settle();
  REQUIRE(good.log.size() == 25);
}

TEST_CASE("records that a follower cannot append leave the credit to the others (R69)") {
  LeaderFetchOptions options;
  options.credit_bytes = 2000;
  options.partition_bytes = 1000;
  StreamPair p(options);
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
  p.leaders[StreamPair::id(2)]->append(5000);
  p.settle();
  REQUIRE(good.log.size() == 10000);

  full.outcome.reset();  // there is room again: as much as it can take
  p.now += 100ms;
  p.settle();
  REQUIRE(full.log.size() == 5000);
  REQUIRE(p.leaders[StreamPair::id(0)]->read_sizes.back() == 999);
}

TEST_CASE("metadata that comes later makes a waiting partition ask again before its patience ends") {
  StreamPair p;
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
  StreamPair p;
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
  StreamPair p;
  FakeLeader& leader = p.lead(0);
  leader.append(10);
  p.follow(0);
  p.up();
  auto in_flight = p.session.next_frame(p.now);
  REQUIRE(in_flight);
  p.fetcher.unfollow(StreamPair::id(0));
  REQUIRE(p.fetcher.on_frame(std::move(*in_flight), p.now).has_value());
  p.settle();
  REQUIRE(p.session.open_slots() == 0);
  REQUIRE(p.session.bytes_unanswered() == 0);
  REQUIRE(leader.observer_count() == 0);

  // Followed and given up before anything was said.
  p.follow(0);
  p.fetcher.unfollow(StreamPair::id(0));
  FakeFollower& follower = p.follow(0);
  p.settle();
  REQUIRE(follower.log.size() == 10);
  REQUIRE(p.session.open_slots() == 1);
}

TEST_CASE("a leader is told who gives a partition up, and not that of a stream that ends (R56)") {
  std::shared_ptr<FakeLeader> leader;
  {
    StreamPair p;
    p.lead(0);
    leader = p.leaders.at(StreamPair::id(0));
    p.follow(0);
    p.settle();
    REQUIRE(leader->observer_count() == 1);
  }
  REQUIRE(leader->observer_count() == 0);
  REQUIRE(leader->left.empty());

  StreamPair p;
  p.leaders[StreamPair::id(0)] = leader;
  p.follow(0);
  p.settle();
  p.fetcher.unfollow(StreamPair::id(0));
  p.settle();
  REQUIRE(leader->observer_count() == 0);
  REQUIRE(leader->left.size() == 1);
  REQUIRE(leader->left[0].first == BrokerId(2));
  REQUIRE(leader->left[0].second == BrokerEpoch(200));
}

TEST_CASE("old frames are dropped, and nonsense ends the stream") {
  StreamPair p;
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
  StreamPair p;
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
  StreamPair p(options);
  p.lead(0).append(2000);
  p.leaders.at(StreamPair::id(0))->is_cold = true;
  const auto former = p.leaders.at(StreamPair::id(0));
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
  auto p = std::make_unique<StreamPair>();
  FakeLeader& leader = p->lead(0);
  leader.is_cold = true;
  leader.append(10);
  p->follow(0);
  p->settle();
  auto keep = p->leaders[StreamPair::id(0)];
  p.reset();
  REQUIRE(keep->observer_count() == 0);
  keep->cold_reads.at(0)();
}
