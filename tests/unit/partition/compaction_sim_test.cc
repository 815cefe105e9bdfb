// Three replicas of a compacted topic under faults, in simulated time: kills, loss of power, cuts, broken streams,
// lagging followers, and a cleaner on every broker that never rests. Whatever happens: what was ever below a high
// watermark is either there, unchanged, or was superseded by a newer committed record of its key; in the end every
// replica says the same of every key, the newest; and the logs have stayed small (R64, R80, R107).
//
//   NARU_SEED=n runs one seed, NARU_SEEDS=n that many from 1 on.
#include <cstdlib>
#include <map>

#include <catch2/catch.hpp>

#include "common/records/batch_builder.h"
#include "partition/replica_batches.h"
#include "partition/sim_cluster.h"
#include "support/seeds.h"

using namespace sim;
using namespace std::chrono_literals;
using broker::partition::Acks;
using broker::partition::ProduceOptions;
using broker::partition::ProduceResult;
using common::model::Buffer;
using common::model::ErrorCode;
using common::model::LeaderEpoch;
using common::model::Offset;

namespace {

struct Probes {
  uint64_t acknowledged = 0, kills = 0, power_losses = 0, cuts = 0, compactions = 0, gaps_replicated = 0,
           superseded = 0;
};

class Run {
 public:
  Run(uint64_t seed, Probes& probes) : world_(seed), probes_(probes), cluster_(world_, options(seed)) {}

  void go() {
    advance(1s);
    topic_ = cluster_.create_topic("table");
    advance(1s);
    keep_writing();
    keep_harming();
    advance(25s);
    harming_ = false;
    heal();
    const Instant limit = world_.now() + 60s;
    while (!cluster_.is_whole(topic_) && world_.now() < limit) advance(100ms);
    REQUIRE(cluster_.is_whole(topic_));
    advance(2s);
    writing_ = false;
    advance(5s);
    // Some cleaners are slow; in the end every log is small.
    const Instant patience = world_.now() + 600s;
    while (!is_small() && world_.now() < patience) advance(1s);
    REQUIRE(is_small());
    check_end();
  }

 private:
  static ClusterOptions options(uint64_t seed) {
    TopicSettings s;
    s.min_isr = 2;
    s.log.segment_bytes = 1500 + 500 * (seed % 4);
    s.log.index_interval_bytes = 200;
    s.log.allow_offset_gaps = true;  // as broker/topic_settings.cc
    s.log.retention_ms.reset();
    s.log.delete_old_segments = false;
    s.log.file_delete_delay = 500ms;
    s.sync_before_ack = true;  // all may lose power at once
    s.log.flush_messages = 1;
    broker::partition::CleaningSettings cleaning;
    cleaning.min_dirty_ratio = seed % 3 == 0 ? 0.5 : 0.1;
    cleaning.delete_retention = 100h;  // what a tombstone says must not be forgotten by this test
    if (seed % 2 == 0) cleaning.stored.codec = common::records::Codec::lz4;
    s.cleaning = cleaning;
    broker::cleaner::CleanerLimits limits;
    limits.backoff = 100ms;
    limits.io_buffer_bytes = 1;  // the smallest steps
    limits.io_bytes_per_second = seed % 4 == 1 ? 20'000 : 1e300;
    // A run then comes a few batches further, and reads all of the clean part for it.
    if (seed % 5 == 0) {
      limits.map_bytes = 24 * 14;
      limits.io_bytes_per_second = 1e300;
    }
    return {.brokers = 3, .settings = s, .cleaner = limits};
  }

  void advance(Duration d) {
    world_.run_until(world_.now() + d, [this] { check_step(); });
  }

  // ---- workload ----

  static common::Awaitable<void> write(std::shared_ptr<Partition> partition, Buffer batch, ProduceOptions options,
                                       std::function<void(ProduceResult)> done) {
    ProduceResult result = co_await partition->produce(std::move(batch), options);
    done(std::move(result));
  }

  void keep_writing() {
    if (!writing_) return;
    const auto leader = cluster_.state(topic_).leader;
    if (leader && cluster_.node(*leader).is_alive()) write_some(cluster_.node(*leader));
    world_.after(world_.between(500us, 8ms), [this] { keep_writing(); });
  }

  void write_some(Node& node) {
    common::records::BatchBuilder builder;
    const auto count = 1 + world_.below(3);
    for (uint64_t i = 0; i < count; ++i) {
      const std::string key = fmt::format("key {}", world_.below(10));
      const std::string value = fmt::format("{}:{}", next_value_++, std::string(world_.below(100), '.'));
      common::records::NewRecord record;
      record.timestamp = TimestampMs(1000);
      record.key = common::model::as_bytes(key);
      if (!world_.chance(10)) record.value = common::model::as_bytes(value);
      builder.add(record);
    }
    const Buffer batch = builder.build();
    node.on_shard_of(topic_, [this, &node, batch, life = node.life()] {
      const auto partition = node.partition(topic_);
      if (!partition) return;
      ProduceOptions options;
      options.acks = Acks::all;
      options.deadline = world_.now() + 1s;
      partition->shard().spawn("write", write(partition, batch, options, [this, &node, life](const ProduceResult& r) {
                                 if (node.life() != life || r.error != ErrorCode::none) return;
                                 ++probes_.acknowledged;
                                 acknowledged_to_ = std::max(acknowledged_to_, r.last_offset->next());
                               }));
    });
  }

  // ---- faults ----

  void keep_harming() {
    if (!harming_) return;
    const auto nodes = cluster_.nodes();
    Node& a = *nodes[world_.below(nodes.size())];
    Node& b = *nodes[world_.below(nodes.size())];
    switch (world_.below(6)) {
      case 0:
      case 1:
        if (a.is_alive()) kill(a);
        break;
      case 2:
        if (world_.chance(25)) {
          for (Node* node : nodes) {
            if (node->is_alive()) kill(*node);
          }
        }
        break;
      case 3:
        if (&a != &b) {
          ++probes_.cuts;
          cluster_.cut(a.id(), b.id());
          world_.after(world_.between(10ms, 4s), [this] { cluster_.heal_all(); });
        }
        break;
      case 4:
        if (&a != &b) cluster_.break_streams(a.id(), b.id());
        break;
      default:
        break;
    }
    world_.after(world_.between(20ms, 1000ms), [this] { keep_harming(); });
  }

  void kill(Node& node) {
    const bool power = world_.chance(50);
    power ? ++probes_.power_losses : ++probes_.kills;
    probes_.compactions += node.compactions();
    node.die(power ? Node::Death::lost_power : Node::Death::killed);
    world_.after(world_.between(5ms, 5s), [&node] {
      if (!node.is_alive()) node.start();
    });
  }

  void heal() {
    cluster_.heal_all();
    for (Node* node : cluster_.nodes()) {
      if (!node->is_alive()) node->start();
    }
  }

  // ---- invariants ----

  struct Record {
    LeaderEpoch epoch;
    std::string key;
    std::optional<std::string> value;
    friend bool operator==(const Record&, const Record&) = default;
  };
  using Records = std::map<Offset, Record>;
  struct Seen {
    uint64_t life = 0;
    LeaderEpoch epoch{-1};
    Offset high_watermark;
    Offset verified;
  };

  void check_step() {
    for (Node* node : cluster_.nodes()) {
      Seen& seen = seen_[node->id()];
      const auto partition = node->partition(topic_);
      if (!partition) continue;
      if (seen.life != node->life()) seen = {.life = node->life()};
      const Offset hw = partition->high_watermark();
      REQUIRE(hw <= partition->log_end_offset());
      if (seen.epoch == partition->leader_epoch()) REQUIRE(hw >= seen.high_watermark);
      seen.epoch = partition->leader_epoch();
      seen.high_watermark = hw;
      if (hw > seen.verified) verify(*partition, seen, hw);
    }
  }

  void verify(Partition& partition, Seen& seen, Offset upto) {
    const Records records = read(partition, seen.verified, upto);
    for (const auto& [offset, record] : records) {
      INFO(fmt::format("offset {} changed", offset));
      if (offset < committed_to_) {
        const auto known = committed_.find(offset);
        REQUIRE(known != committed_.end());
        REQUIRE(known->second == record);
      } else {
        committed_.emplace(offset, record);
        newest_[record.key] = offset;
      }
    }
    // Whoever commits first has it all: nothing of it was sealed, let alone compacted.
    if (upto > committed_to_) {
      for (Offset o = committed_to_; o < upto; o = o.next()) {
        INFO(fmt::format("offset {} is missing where it was committed", o));
        REQUIRE(committed_.contains(o));
      }
      committed_to_ = upto;
    }
    for (auto it = committed_.lower_bound(seen.verified); it != committed_.end() && it->first < upto; ++it) {
      if (records.contains(it->first)) continue;
      INFO(fmt::format("{} of {} is gone from below {}", it->first, it->second.key, upto));
      REQUIRE(newest_.at(it->second.key) > it->first);
      ++probes_.superseded;
    }
    seen.verified = upto;
  }

  Records read(Partition& partition, Offset from, Offset upto) {
    Records out;
    for_each_batch(partition, from, upto, [&](const common::records::BatchView& batch, Offset reached) {
      if (batch.base_offset() > reached && reached > from) ++probes_.gaps_replicated;
      const auto walked = common::records::for_each_record(batch, {}, [&](const common::records::Record& r) {
        if (r.offset < from || r.offset >= upto) return;
        Record record{batch.leader_epoch(), std::string(common::model::as_text(*r.key)), {}};
        if (r.value) record.value = std::string(common::model::as_text(*r.value));
        out.emplace(r.offset, std::move(record));
      });
      REQUIRE(walked.has_value());
    });
    return out;
  }

  void check_end() {
    REQUIRE(acknowledged_to_ <= committed_to_);
    REQUIRE(newest_.size() == 10);
    for (Node* node : cluster_.nodes()) {
      const auto partition = node->partition(topic_);
      REQUIRE(partition);
      probes_.compactions += node->compactions();
      INFO("broker " << node->id().value);
      REQUIRE(partition->log_end_offset() == committed_to_);
      std::map<std::string, std::pair<Offset, std::optional<std::string>>> last;
      for (const auto& [offset, record] : read(*partition, Offset(0), committed_to_)) {
        REQUIRE(committed_.at(offset) == record);
        last[record.key] = {offset, record.value};
      }
      for (const auto& [key, offset] : newest_) {
        INFO("key " << key);
        REQUIRE(last.contains(key));
        REQUIRE(last[key].first == offset);
        REQUIRE(last[key].second == committed_.at(offset).value);
      }
    }
  }

  // Ten keys, whatever was written: the active segment, what the dirty ratio allows, and crumbs.
  bool is_small() {
    uint64_t all_bytes = 0;
    for (const auto& [offset, record] : committed_) all_bytes += 70 + record.value.value_or("").size();
    const uint64_t bound = std::max<uint64_t>(all_bytes / 3, 20'000);
    for (Node* node : cluster_.nodes()) {
      const auto partition = node->partition(topic_);
      if (!partition || static_cast<uint64_t>(partition->describe().size_bytes) >= bound) return false;
    }
    return true;
  }

  World world_;
  Probes& probes_;
  Cluster cluster_;
  TopicIdPartition topic_;
  bool writing_ = true;
  bool harming_ = true;
  uint64_t next_value_ = 0;
  Offset acknowledged_to_;
  std::map<BrokerId, Seen> seen_;
  Records committed_;
  Offset committed_to_;
  std::map<std::string, Offset> newest_;
};

}  // namespace

TEST_CASE("replicas of a compacted topic survive faults and stay small") {
  common::configure_logging(std::getenv("NARU_LOG") != nullptr ? common::LogLevel::info : common::LogLevel::off,
                            common::LogFormat::text);
  Probes probes;
  const test_support::Seeds seeds = test_support::seeds_to_run("NARU_SEED", 5);
  for (uint64_t seed = seeds.first; seed < seeds.end(); ++seed) {
    INFO("rerun with NARU_SEED=" << seed);
    Run(seed, probes).go();
  }
  WARN(
      fmt::format("{} acknowledged, {} kills, {} losses of power, {} cuts; {} compactions, {} gaps read, {} records "
                  "superseded",
                  probes.acknowledged, probes.kills, probes.power_losses, probes.cuts, probes.compactions,
                  probes.gaps_replicated, probes.superseded));
  if (!seeds.is_chosen) {
    REQUIRE(probes.acknowledged > 100 * seeds.count);
    REQUIRE(probes.compactions > 10 * seeds.count);
    REQUIRE(probes.gaps_replicated > 0);
    REQUIRE(probes.superseded > 0);
    REQUIRE(probes.kills + probes.power_losses > seeds.count);
  }
}
