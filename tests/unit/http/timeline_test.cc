// The metadata log in words, and what a page that comes back is told.
#include <algorithm>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "broker/api/last_change.h"
#include "broker/http/cluster_json.h"
#include "broker/http/service.h"
#include "broker/http/timeline.h"
#include "common/clock.h"
#include "controller/quorum/metadata_codec.h"

using namespace broker::http;
namespace metadata = controller::metadata;
namespace raft = controller::raft;
using common::model::BrokerId;
using common::model::LogIndex;
using common::model::PartitionIndex;
using common::model::Term;
using common::model::TopicId;
using nlohmann::json;

namespace {

const TopicId orders = TopicId::from_halves(1, 2);

std::vector<BrokerId> ids(std::initializer_list<int32_t> numbers) {
  std::vector<BrokerId> out;
  for (const int32_t n : numbers) out.push_back(BrokerId(n));
  return out;
}

struct Cluster {
  Cluster() {
    std::vector<metadata::MetadataRecord> records;
    for (const BrokerId id : ids({1, 2, 3})) {
      metadata::RegisterBrokerRecord broker;
      broker.broker_id = id;
      records.push_back(broker);
      records.push_back(metadata::UnfenceBrokerRecord{id, {}});
    }
    records.push_back(metadata::TopicRecord{orders, "orders"});
    for (int32_t p = 0; p < 3; ++p) {
      metadata::PartitionRecord partition{.topic_id = orders, .partition = PartitionIndex(p), .state = {}};
      partition.state.replicas = ids({1, 2, 3});
      partition.state.isr = ids({1, 2, 3});
      partition.state.leader = BrokerId(1);
      records.push_back(partition);
    }
    begin = commit(records);
  }
  // One entry of the log.
  BatchStory commit(const std::vector<metadata::MetadataRecord>& records) {
    return tell(editor, records, LogIndex(next++));
  }
  static metadata::PartitionChangeRecord change(int32_t p) {
    return {.topic_id = orders, .partition = PartitionIndex(p)};
  }

  metadata::ImageEditor editor{metadata::MetadataImage()};
  int64_t next = 5;
  BatchStory begin;
};

bool says(const BatchStory& story, const std::string& kind, const std::string& text, const std::string& reason) {
  return std::ranges::any_of(
      story.events, [&](const TimelineEvent& e) { return e.kind == kind && e.text == text && e.reason == reason; });
}

}  // namespace

TEST_CASE("a fenced broker explains the elections and ISR changes of its batch") {
  Cluster cluster;
  auto moved = Cluster::change(0);
  moved.leader = metadata::LeaderChoice{BrokerId(2)};
  moved.isr = ids({2, 3});
  auto shrunk = Cluster::change(1);
  shrunk.isr = ids({2, 3});
  shrunk.leader = metadata::LeaderChoice{BrokerId(3)};
  const BatchStory story = cluster.commit({metadata::FenceBrokerRecord{BrokerId(1), {}}, moved, shrunk});
  CHECK(says(story, "fence", "broker 1 is fenced", "its process is gone, or nothing was heard of it for a session"));
  CHECK(says(story, "election", "orders-0: leader 1 \u2192 2", "broker 1 is fenced"));
  CHECK(says(story, "election", "orders-1: leader 1 \u2192 3", "broker 1 is fenced"));
  CHECK(says(story, "isr", "2 partitions: in sync 1,2,3 \u2192 2,3 (orders-0, ...)", "broker 1 is fenced"));
  REQUIRE(story.partitions.size() == 2);
  CHECK(story.partitions[0].state.leader == BrokerId(2));
  REQUIRE(story.brokers.size() == 1);
  CHECK(story.brokers[0].fenced);
}

TEST_CASE("a fence says why") {
  const metadata::FenceBrokerRecord fence{BrokerId(1), {}};
  Cluster replaced;
  metadata::RegisterBrokerRecord again;
  again.broker_id = BrokerId(1);
  CHECK(says(replaced.commit({fence, again}), "fence", "broker 1 is fenced", "a new process has taken its place"));
  Cluster removed;
  CHECK(says(removed.commit({fence, metadata::UnregisterBrokerRecord{BrokerId(1), {}}}), "fence", "broker 1 is fenced",
             "it is removed from the cluster"));
  Cluster left;
  (void)left.commit({metadata::BrokerShutdownRecord{BrokerId(1), {}}});
  CHECK(says(left.commit({fence}), "fence", "broker 1 is fenced", "it has shut down in order"));
}

TEST_CASE("a fence says what the controller went by") {
  using metadata::FenceReason;
  const auto story_of = [](FenceReason reason) {
    Cluster cluster;
    return cluster.commit({metadata::FenceBrokerRecord{BrokerId(1), {}, reason}});
  };
  const std::string text = "broker 1 is fenced";
  CHECK(says(story_of(FenceReason::refused), "fence", text, "its process is gone: its address refuses connections"));
  CHECK(
      says(story_of(FenceReason::lost_stream), "fence", text, "its connection broke, and its machine does not answer"));
  CHECK(says(story_of(FenceReason::silent), "fence", text, "silent: nothing was heard of it for a session"));
  CHECK(says(story_of(FenceReason::own_wish), "fence", text, "it asked for it: it cannot serve"));
  CHECK(says(story_of(FenceReason::stalled), "fence", text, "it speaks, but its work stands still"));
  CHECK(story_of(FenceReason::silent).sessions_lost == 1);
  CHECK(story_of(FenceReason::stalled).sessions_lost == 0);
}

TEST_CASE("a leader that moves away because it is slow says so, also to its preferred replica") {
  Cluster cluster;
  auto away = Cluster::change(0);
  away.leader = metadata::LeaderChoice{BrokerId(2), metadata::LeaderReason::slow};
  CHECK(says(cluster.commit({away}), "election", "orders-0: leader 1 \u2192 2",
             "broker 1 is slow: it writes far more slowly than the others"));
  auto back = Cluster::change(0);
  back.leader = metadata::LeaderChoice{BrokerId(1), metadata::LeaderReason::slow};
  CHECK(says(cluster.commit({back}), "election", "orders-0: leader 2 \u2192 1",
             "broker 2 is slow: it writes far more slowly than the others"));
}

TEST_CASE("reasons that are no fence") {
  Cluster cluster;
  auto behind = Cluster::change(0);
  behind.isr = ids({1, 2});
  CHECK(says(cluster.commit({behind}), "isr", "orders-0: in sync 1,2,3 \u2192 1,2", "3 fell behind"));
  auto back = Cluster::change(0);
  back.isr = ids({1, 2, 3});
  CHECK(says(cluster.commit({back}), "isr", "orders-0: in sync 1,2 \u2192 1,2,3", "3 caught up"));
  auto away = Cluster::change(0);
  away.leader = metadata::LeaderChoice{BrokerId(2)};
  CHECK(says(cluster.commit({metadata::BrokerShutdownRecord{BrokerId(1), {}}, away}), "election",
             "orders-0: leader 1 \u2192 2", "broker 1 is leaving"));
  auto preferred = Cluster::change(0);
  preferred.leader = metadata::LeaderChoice{BrokerId(1)};
  CHECK(says(cluster.commit({preferred}), "election", "orders-0: leader 2 \u2192 1",
             "its preferred replica is in sync again"));
  auto nobody = Cluster::change(0);
  nobody.leader = metadata::LeaderChoice{};
  CHECK(says(cluster.commit({nobody}), "election", "orders-0: leader 1 \u2192 nobody",
             "no replica in sync is in service"));
}

TEST_CASE("how many partitions there are is told when that changes") {
  Cluster cluster;
  CHECK(cluster.begin.partition_count == 3);
  CHECK_FALSE(cluster.commit({Cluster::change(0)}).partition_count);
  metadata::PartitionRecord more{.topic_id = orders, .partition = PartitionIndex(3), .state = {}};
  more.state.replicas = more.state.isr = ids({1, 2});
  more.state.leader = BrokerId(1);
  const BatchStory grown = cluster.commit({more});
  CHECK(grown.partition_count == 4);
  CHECK(json::parse(json_of(grown, 7, 0))["partition_count"] == 4);
  const BatchStory gone = cluster.commit({metadata::RemoveTopicRecord{orders}});
  CHECK(gone.partition_count == 0);
  CHECK(json::parse(json_of(gone, 8, 0))["partition_count"] == 0);
}

TEST_CASE("a topic that goes is named") {
  Cluster cluster;
  const BatchStory story = cluster.commit({metadata::RemoveTopicRecord{orders}});
  CHECK(story.gone_topics == std::vector<std::string>{"orders"});
  CHECK(says(story, "topic", "topic orders is deleted", ""));
}

TEST_CASE("a topic that is kept goes from the page, and comes back to it whole") {
  Cluster cluster;
  const metadata::ConfigResource of_orders{metadata::ResourceType::topic, "orders"};
  const std::string mark(metadata::kept_key);
  const BatchStory gone = cluster.commit({metadata::ConfigRecord{of_orders, mark, "1+60000"}});
  CHECK(gone.gone_topics == std::vector<std::string>{"orders"});
  CHECK(gone.partition_count == 0);
  CHECK(says(gone, "topic", "topic orders is deleted", "it can be restored for a while"));
  CHECK(cluster.commit({Cluster::change(0)}).partitions.empty());  // its replicas go on, and no page shows them

  const BatchStory back = cluster.commit({metadata::ConfigRecord{of_orders, mark, std::nullopt}});
  CHECK(back.gone_topics.empty());
  CHECK(back.partition_count == 3);
  CHECK(back.partitions.size() == 3);
  CHECK(says(back, "topic", "topic orders is restored", ""));

  (void)cluster.commit({metadata::ConfigRecord{of_orders, mark, "1+60000"}});
  CHECK(cluster.commit({metadata::RemoveTopicRecord{orders}}).gone_topics.empty());  // told when it was deleted
}

TEST_CASE("the last change is what clients have to follow, and not what was before this process") {
  common::SystemClock clock;
  boost::asio::io_context io;
  const auto shard = common::make_manual_shard(0, clock, io);
  Timeline timeline(*shard);
  broker::api::LastChange last_change;
  timeline.set_last_change(&last_change);
  int64_t next = 0;
  const auto commit = [&](const std::vector<metadata::MetadataRecord>& records) {
    raft::Entry entry;
    entry.index = LogIndex(next++);
    entry.term = Term(1);
    entry.payload = controller::quorum::encode_records(records);
    timeline.on_committed({entry});
  };
  metadata::RegisterBrokerRecord first;
  first.broker_id = BrokerId(1);
  metadata::RegisterBrokerRecord second;
  second.broker_id = BrokerId(2);
  metadata::PartitionRecord partition{.topic_id = orders, .partition = PartitionIndex(0), .state = {}};
  partition.state.replicas = ids({1, 2});
  partition.state.isr = ids({1, 2});
  partition.state.leader = BrokerId(1);
  commit({first, second, metadata::TopicRecord{orders, "orders"}, partition});
  CHECK_FALSE(last_change.told());
  timeline.go_live();
  auto moved = Cluster::change(0);
  moved.leader = metadata::LeaderChoice{BrokerId(2)};
  moved.isr = ids({2});
  commit({metadata::FenceBrokerRecord{BrokerId(1), {}}, moved});
  REQUIRE(last_change.told());
  CHECK(last_change.told()->text == "orders-0: leader 1 -> 2");
  CHECK(last_change.told()->reason == "broker 1 is fenced");
  commit({metadata::ConfigRecord{{metadata::ResourceType::broker, ""}, "k", "v"}});
  CHECK(last_change.told()->text == "orders-0: leader 1 -> 2");

  REQUIRE(last_change.down().size() == 1);  // the other one has been fenced since before this process began
  const common::model::Instant since = last_change.down().at(BrokerId(1));
  metadata::RegisterBrokerRecord again = first;
  again.epoch = common::model::BrokerEpoch(100);
  commit({again});
  REQUIRE(last_change.down().size() == 1);
  CHECK(last_change.down().at(BrokerId(1)) == since);  // with that it has not come back
  commit({metadata::UnfenceBrokerRecord{BrokerId(1), again.epoch}});
  CHECK(last_change.down().empty());

  // That it comes back is told by a snapshot only: when it goes the next time it has not been down since now.
  commit({metadata::FenceBrokerRecord{BrokerId(1), again.epoch}});
  REQUIRE(last_change.down().size() == 1);
  const Cluster later;
  timeline.on_snapshot(controller::quorum::encode_snapshot(later.editor.image()), LogIndex(100));
  CHECK(last_change.down().empty());
}

TEST_CASE("a page goes on from the offset that it has seen, or starts over") {
  common::SystemClock clock;
  boost::asio::io_context io;
  const auto shard = common::make_manual_shard(0, clock, io);
  Timeline timeline(*shard);
  timeline.go_live();
  std::vector<raft::Entry> entries;
  for (int64_t i = 0; i < 3000; ++i) {
    raft::Entry entry;
    entry.index = LogIndex(i);
    entry.term = Term(1);
    if (i == 0) {
      entry.kind = raft::EntryKind::leader_change;
    } else {
      entry.payload = controller::quorum::encode_records(
          {metadata::ConfigRecord{{metadata::ResourceType::broker, ""}, "k", std::to_string(i)}});
    }
    entries.push_back(entry);
  }
  timeline.on_committed(entries);
  CHECK(timeline.offset() == 2999);
  const auto rest = timeline.since(2990);
  REQUIRE(rest);
  REQUIRE(rest->size() == 9);
  CHECK(rest->front().offset == 2991);
  CHECK(json::parse(*rest->front().json)["events"][0]["text"] == "k of all brokers is set");
  CHECK(timeline.since(2999)->empty());
  CHECK_FALSE(timeline.since(500));                                // no longer kept
  CHECK_FALSE(timeline.since(5000));                               // not here yet
  timeline.on_committed({entries.begin() + 2900, entries.end()});  // seen already
  CHECK(timeline.offset() == 2999);
  CHECK(timeline.recent().size() == 200);
}

TEST_CASE("an image for pages: addresses, states, and only problems where there is too much to draw") {
  Cluster cluster;
  const json all = topics_json(cluster.editor.image(), 100);
  CHECK(all[0]["name"] == "orders");
  CHECK(all[0]["partitions"].size() == 3);
  CHECK(all[0]["partitions"][0]["leader"] == 1);
  auto behind = Cluster::change(1);
  behind.isr = ids({1, 2});
  (void)cluster.commit({behind});
  const json few = topics_json(cluster.editor.image(), 2);
  CHECK(few[0]["count"] == 3);
  REQUIRE(few[0]["partitions"].size() == 1);
  CHECK(few[0]["partitions"][0]["p"] == 1);
  metadata::RegisterBrokerRecord broker;
  broker.broker_id = BrokerId(4);
  broker.cluster_endpoint = {"inner", 19092};
  broker.listeners = {{.name = "PLAINTEXT", .host = "outer", .port = 9092}, {.name = "HTTP", .host = "", .port = 9644}};
  const json shown = broker_json(broker);
  CHECK(shown["http"] == "inner:9644");
  CHECK(shown["listeners"][0]["address"] == "outer:9092");
  broker.listeners[1].host = any_host;
  CHECK(broker_json(broker)["http"] == ":9644");
  // Without advertised.listeners a broker registers the networks that it is in.
  broker.listeners = {{.name = "PLAINTEXT", .host = "192.0.2.2/24", .port = 9092},
                      {.name = "PLAINTEXT", .host = "fd00::2/64", .port = 9092},
                      {.name = "PLAINTEXT", .host = "", .port = 9092}};
  const json networks = broker_json(broker)["listeners"];
  CHECK(networks[0]["address"] == "192.0.2.2:9092");
  CHECK(networks[1]["address"] == "[fd00::2]:9092");
  CHECK(networks[2]["address"] == "inner:9092");
}
