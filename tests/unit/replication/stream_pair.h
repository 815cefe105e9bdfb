// The two ends of a fetch stream, for tests: what one says is heard by the other when the test carries it over.
#pragma once
#include <map>
#include <memory>

#include <catch2/catch.hpp>

#include "broker/replication/follower_fetcher.h"
#include "broker/replication/leader_fetch_session.h"
#include "broker/replication/patience.h"
#include "replication/fake_replicas.h"

namespace test_support {

using namespace broker::replication;
using namespace std::chrono_literals;
using common::model::PartitionIndex;

struct StreamPair {
  explicit StreamPair(LeaderFetchOptions options = {})
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
  // How often a leader has read of its disk.
  [[nodiscard]] size_t cold_reads() const {
    size_t all = 0;
    for (const auto& [id, leader] : leaders) all += leader->cold_reads.size();
    return all;
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

}  // namespace test_support
