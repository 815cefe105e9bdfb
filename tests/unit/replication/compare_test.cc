// What a follower's copy ends with is compared with the leader's before any of its positions counts (R59).
#include "replication/stream_pair.h"

using namespace test_support;

namespace {

// A follower that has the first half of what the leader has, and tells what it ends with.
struct Half : StreamPair {
  Half() : leader(lead(0)), follower(follow(0)) {
    leader.append(10);
    follower.log = "xxxxx";
    follower.checksum = 7;
  }
  FakeLeader& leader;
  FakeFollower& follower;
};

}  // namespace

TEST_CASE("no position counts, and nothing is sent, before what the copy ends with was compared (R59)") {
  Half p;
  p.leader.compares_later = true;
  p.settle();
  REQUIRE(p.leader.compared == std::vector{BatchIdentity{Offset(4), Offset(4), LeaderEpoch(1), 7}});
  p.follower.change([&] { p.follower.durable = Offset(3); });
  p.leader.append(2);
  p.leader.commit(2);
  p.now += 1s;
  p.settle();
  REQUIRE(p.leader.positions.empty());
  REQUIRE(p.follower.answers == 0);
  REQUIRE(p.follower.high_watermark == Offset(0));
  REQUIRE(p.leader.compared.size() == 1);

  p.leader.comparisons.at(0)();
  REQUIRE(p.leader.positions.size() == 1);
  REQUIRE(p.leader.positions[0].durable_offset == Offset(3));
  p.settle();
  REQUIRE(p.follower.log == p.leader.log);
  p.leader.append(5);
  p.settle();
  REQUIRE(p.follower.log == p.leader.log);
  REQUIRE(p.leader.compared.size() == 1);  // once: the rest is what the leader has sent
}

TEST_CASE("a copy that differs is told so, as often as it asks, and counts for nothing (R59)") {
  Half p;
  p.leader.comparison = Compared::differs;
  p.settle();
  REQUIRE(p.follower.times_refused == 1);
  p.leader.commit(10);
  p.leader.append(2);
  p.now += 100ms;
  p.settle();
  p.now += 1s;
  p.settle();
  REQUIRE(p.follower.times_refused >= 2);
  REQUIRE(p.leader.positions.empty());
  REQUIRE(p.leader.compared.size() == 1);
  REQUIRE(p.follower.log.size() == 5);
  REQUIRE(p.follower.high_watermark == Offset(0));

  // Nobody but a leader says so.
  const size_t refused = p.follower.times_refused;
  p.leader.change_role(false, 1);
  p.now += 1s;
  p.settle();
  REQUIRE(p.follower.times_refused == refused);
}

TEST_CASE("after a cut it is what the copy ends with then that is compared (R59)") {
  Half p;
  p.leader.diverging_once = EpochEnd{LeaderEpoch(1), Offset(3)};
  p.leader.comparison = Compared::differs;
  p.settle();
  REQUIRE(p.leader.compared == std::vector{BatchIdentity{Offset(2), Offset(2), LeaderEpoch(1), 7}});
  REQUIRE(p.leader.positions.empty());
  REQUIRE(p.follower.times_refused == 1);
}

TEST_CASE("a copy that was emptied has nothing to compare (R59)") {
  Half p;
  p.leader.diverging_once = EpochEnd{LeaderEpoch(1), Offset(0)};
  p.settle();
  REQUIRE(p.leader.compared.empty());
  REQUIRE(p.follower.log == p.leader.log);
}

TEST_CASE("a follower says nothing of a partition before it knows what it ends with (R59)") {
  Half p;
  p.follower.reads_its_end = true;
  p.settle();
  REQUIRE(p.session.open_slots() == 1);
  REQUIRE(p.leader.positions.empty());
  p.follower.change([&] { p.follower.reads_its_end = false; });
  p.settle();
  REQUIRE(p.leader.compared.size() == 1);
  REQUIRE(p.follower.log == p.leader.log);
}

TEST_CASE("a comparison of a role that is over, or of a replica that is gone, decides nothing (R59)") {
  Half p;
  p.leader.compares_later = true;
  p.settle();
  REQUIRE(p.leader.comparisons.size() == 1);
  SECTION("the role") {
    p.leader.comparison = Compared::too_late;
    const auto first = p.leader.comparisons[0];
    first();
    REQUIRE(p.leader.positions.empty());
    REQUIRE(p.leader.comparisons.size() == 2);
    p.leader.comparison = Compared::nothing_against;
    p.leader.comparisons[1]();
    p.settle();
    REQUIRE(p.follower.log == p.leader.log);
  }
  SECTION("the replica") {
    const auto former = p.leaders.at(StreamPair::id(0));
    FakeLeader& next = p.lead(0);
    next.append(10);
    former->change_role(false, 1);
    p.settle();
    REQUIRE(next.compared.size() == 1);
    former->comparison = Compared::differs;
    former->comparisons[0]();
    p.settle();
    REQUIRE(p.follower.times_refused == 0);
    REQUIRE(p.follower.log == next.log);
  }
}

TEST_CASE("a session that ends while its leader compares leaves nothing behind") {
  auto p = std::make_unique<Half>();
  p->leader.compares_later = true;
  p->settle();
  const auto keep = p->leaders.at(StreamPair::id(0));
  p.reset();
  keep->comparisons.at(0)();
  REQUIRE(keep->positions.empty());
}

TEST_CASE("others have their turn while what thousands of copies end with is looked at (R59)") {
  constexpr int count = 700;
  StreamPair p;
  for (int n = 0; n < count; ++n) {
    p.lead(n).append(10);
    FakeFollower& follower = p.follow(n);
    follower.log = "xxxxx";
    follower.checksum = 7;
  }
  int turns = 0;
  for (; p.fetcher.has_work(p.now) && turns < count; ++turns) {
    REQUIRE(p.up());
    CHECK(p.last_up.positions.size() <= 64);
    CHECK(p.fetcher.gives_way() == p.fetcher.has_work(p.now));
  }
  CHECK(turns == 11);
  p.settle();
  for (int n = 0; n < count; ++n) {
    CAPTURE(n);
    REQUIRE(p.leaders[StreamPair::id(n)]->compared.size() == 1);
    REQUIRE(p.followers[StreamPair::id(n)]->log == p.leaders[StreamPair::id(n)]->log);
  }
}

TEST_CASE("what cannot be told yet of hundreds of copies holds up nobody else's (R59)") {
  StreamPair p;
  for (int n = 0; n < 300; ++n) {
    p.lead(n).append(10);
    FakeFollower& follower = p.follow(n);
    follower.log = "xxxxx";
    follower.checksum = 7;
    follower.reads_its_end = n < 299;
  }
  REQUIRE(p.up());
  REQUIRE(p.fetcher.gives_way());
  p.settle();
  CHECK_FALSE(p.fetcher.gives_way());
  REQUIRE(p.followers[StreamPair::id(299)]->log == p.leaders[StreamPair::id(299)]->log);
  for (int n = 0; n < 299; ++n) REQUIRE(p.leaders[StreamPair::id(n)]->positions.empty());
}
