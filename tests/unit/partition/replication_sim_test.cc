// Three replicas under faults, in simulated time: kills, loss of power, cuts, broken streams, late metadata, lost
// answers of the controller. Whatever happens: no acknowledged record is lost or moved, an idempotent producer's
// records are there once, what was ever below a high watermark never changes, and in the end all logs are the same.
//
//   NARU_SEED=n runs one seed, NARU_SEEDS=n that many from 1 on.
#include <algorithm>
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
using broker::partition::Role;
using common::model::Buffer;
using common::model::ErrorCode;
using common::model::LeaderEpoch;
using common::model::Offset;

namespace {

struct Probes {  // what the runs came across; a test that never saw a fault proves nothing
  uint64_t acknowledged = 0, unknown = 0, refused = 0, kills = 0, power_losses = 0, cuts = 0, isolations = 0,
           leader_changes = 0, duplicates = 0;
};

class Run {
 public:
  enum class Durability { page_cache, synced };

  Run(uint64_t seed, Durability durability)
      : world_(seed), durability_(durability), cluster_(world_, {.brokers = 3, .settings = settings()}) {}

  void go(Probes& probes) {
    probes_ = &probes;
    advance(1s);
    topic_ = cluster_.create_topic("orders");
    advance(1s);
    for (int p = 0; p < 2; ++p) next_of_producer(p);
    keep_writing();
    keep_harming();
    advance(20s);
    harming_ = false;
    heal();
    const Instant limit = world_.now() + 60s;
    while (!cluster_.is_whole(topic_) && world_.now() < limit) advance(100ms);
    INFO(describe());
    REQUIRE(cluster_.is_whole(topic_));
    advance(2s);
    writing_ = false;
    advance(3s);
    INFO(describe());
    check_end();
  }

 private:
  TopicSettings settings() const {
    TopicSettings s;
    s.min_isr = 2;
    s.log.segment_bytes = 3000;
    s.log.index_interval_bytes = 200;
    s.log.retention_ms.reset();
    s.sync_before_ack = durability_ == Durability::synced;
    if (s.sync_before_ack) s.log.flush_messages = 1;
    return s;
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

  // `done` is called unless the process died: then nobody knows.
  void send(Node& node, Buffer batch, std::function<void(ProduceResult)> done) {
    ProduceOptions options;
    options.acks = Acks::all;
    options.deadline = world_.now() + 1s;
    node.on_shard_of(topic_,
                     [this, &node, life = node.life(), batch = std::move(batch), options, done = std::move(done)] {
                       const auto partition = node.partition(topic_);
                       if (!partition) {
                         ProduceResult none;
                         none.error = ErrorCode::not_leader_or_follower;
                         return done(none);
                       }
                       auto alive_done = [&node, life, done](ProduceResult r) {
                         if (node.life() == life) done(std::move(r));
                       };
                       partition->shard().spawn("write", write(partition, batch, options, std::move(alive_done)));
                     });
  }

  static Buffer batch_of(const std::vector<std::string>& values, std::optional<common::records::ProducerStamp> stamp) {
    common::records::BatchOptions options;
    options.producer = stamp;
    common::records::BatchBuilder builder(options);
    for (const std::string& v : values) {
      builder.add({.timestamp = TimestampMs(1000), .key = {}, .value = common::model::as_bytes(v), .headers = {}});
    }
    return builder.build();
  }

  // Free writes also go astray. An idempotent producer that was acknowledged in an epoch never goes back to a leader of
  // an older one, as clients do not.
  enum class Aim { good, poor };
  Node* probable_leader(Aim aim) {
    const auto leader = cluster_.state(topic_).leader;
    if (!leader && aim == Aim::good) return nullptr;
    if (!leader || (aim == Aim::poor && world_.chance(10))) {
      const auto nodes = cluster_.nodes();
      Node* any = nodes[world_.below(nodes.size())];
      return any->is_alive() ? any : nullptr;
    }
    Node& node = cluster_.node(*leader);
    return node.is_alive() ? &node : nullptr;
  }

  void keep_writing() {
    if (!writing_) return;
    if (Node* node = probable_leader(Aim::poor)) {
      std::vector<std::string> values;
      const auto count = 1 + world_.below(3);
      for (uint64_t i = 0; i < count; ++i)
        values.push_back(fmt::format("free:{}:{}", next_value_++, std::string(world_.below(200), '.')));
      send(*node, batch_of(values, std::nullopt), [this, values](const ProduceResult& r) { on_answer(values, r); });
    }
    world_.after(world_.between(500us, 8ms), [this] { keep_writing(); });
  }

  void on_answer(const std::vector<std::string>& values, const ProduceResult& r) {
    if (r.error == ErrorCode::none) {
      ++probes_->acknowledged;
      for (size_t i = 0; i < values.size(); ++i) acknowledged_[values[i]] = *r.first_offset + static_cast<int64_t>(i);
    } else if (r.error == ErrorCode::not_enough_replicas) {
      ++probes_->refused;  // definite: never visible
      for (const std::string& v : values) refused_.insert(v);
    } else {
      ++probes_->unknown;
    }
  }

  // An idempotent producer with one batch in flight: sends it until it is acknowledged.
  void next_of_producer(int p) {
    if (!writing_) return;
    const int32_t sequence = sequences_[p];
    const std::vector<std::string> values = {fmt::format("p{}:{}", p, sequence),
                                             fmt::format("p{}:{}", p, sequence + 1)};
    attempt(p, values, sequence, ++attempts_[p], world_.now());
  }
  void attempt(int p, std::vector<std::string> values, int32_t sequence, uint64_t number, Instant since) {
    if (attempts_[p] != number) return;
    const auto again = [this, p, values, sequence, since](Duration pause) {
      const uint64_t next = ++attempts_[p];
      world_.after(pause, [this, p, values, sequence, next, since] { attempt(p, values, sequence, next, since); });
    };
    Node* node = probable_leader(Aim::good);
    if (node == nullptr) return again(10ms);
    // No answer within its patience: the connection is dead.
    world_.after(2s, [this, p, number, again] {
      if (attempts_[p] == number) again(0ms);
    });
    const common::records::ProducerStamp stamp{common::model::ProducerId(100 + p), common::model::ProducerEpoch(0),
                                               sequence};
    send(*node, batch_of(values, stamp), [this, p, values, sequence, number, again](const ProduceResult& r) {
      if (attempts_[p] != number) return;
      REQUIRE(r.error != ErrorCode::out_of_order_sequence_number);
      REQUIRE(r.error != ErrorCode::invalid_producer_epoch);
      if (r.error != ErrorCode::none) return again(5ms);
      on_answer(values, r);
      sequences_[p] = sequence + 2;
      ++attempts_[p];
      next_of_producer(p);
    });
  }

  // ---- faults ----

  void keep_harming() {
    if (!harming_) return;
    const auto nodes = cluster_.nodes();
    Node& a = *nodes[world_.below(nodes.size())];
    Node& b = *nodes[world_.below(nodes.size())];
    switch (world_.below(7)) {
      case 0:
      case 1:
        if (a.is_alive()) {
          const bool power = world_.chance(50) && may_lose_power();
          power ? ++probes_->power_losses : ++probes_->kills;
          if (power) tainted_ = a.id();
          a.die(power ? Node::Death::lost_power : Node::Death::killed);
          restart_later(a);
        }
        break;
      case 2:
        if (world_.chance(20)) {  // all of them
          for (Node* node : nodes) {
            if (!node->is_alive()) continue;
            const bool power = durability_ == Durability::synced && world_.chance(50);
            power ? ++probes_->power_losses : ++probes_->kills;
            node->die(power ? Node::Death::lost_power : Node::Death::killed);
            restart_later(*node);
          }
        }
        break;
      case 3:
        if (&a != &b) {
          ++probes_->cuts;
          cluster_.cut(a.id(), b.id());
          world_.after(world_.between(10ms, 4s), [this] { cluster_.heal_all(); });
        }
        break;
      case 4:
        if (&a != &b) cluster_.break_streams(a.id(), b.id());
        break;
      case 5:
        ++probes_->isolations;
        cluster_.isolate_from_controller(world_.chance(60) ? cluster_.state(topic_).leader.value_or(a.id()) : a.id(),
                                         world_.now() + world_.between(100ms, 4s));
        break;
      default:
        break;  // a quiet time
    }
    world_.after(world_.between(20ms, 1000ms), [this] { keep_harming(); });
  }

  // Without syncs one machine may lose its memory, and the next one when the first holds everything again.
  bool may_lose_power() {
    if (durability_ == Durability::synced) return true;
    if (tainted_ && !cluster_.is_whole(topic_)) return false;
    tainted_.reset();
    return true;
  }

  void restart_later(Node& node) {
    world_.after(world_.between(5ms, 3s), [&node] {
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
    std::string value;
    friend bool operator==(const Record&, const Record&) = default;
  };
  struct Seen {
    uint64_t life = 0;
    LeaderEpoch epoch{-1};
    Role role = Role::none;
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
      REQUIRE(partition->log_start_offset() <= hw);
      REQUIRE(hw <= partition->log_end_offset());
      if (seen.epoch == partition->leader_epoch() && seen.role == partition->role()) {
        REQUIRE(hw >= seen.high_watermark);  // R50; and never on a follower, for no election here is unclean
      } else if (partition->is_leader() && last_leader_ != std::pair(node->id(), partition->leader_epoch())) {
        last_leader_ = {node->id(), partition->leader_epoch()};
        ++probes_->leader_changes;
        const auto [known, is_new] = leader_of_epoch_.emplace(partition->leader_epoch(), node->id());
        REQUIRE((is_new || known->second == node->id()));  // one leader for each epoch
      }
      seen.epoch = partition->leader_epoch();
      seen.role = partition->role();
      seen.high_watermark = hw;
      if (hw > seen.verified) verify(*partition, seen, hw);
    }
  }

  // What is below any replica's high watermark is the same everywhere and for ever.
  void verify(Partition& partition, Seen& seen, Offset upto) {
    const std::vector<Record> records = read(partition, seen.verified, upto);
    for (size_t i = 0; i < records.size(); ++i) {
      const auto offset = static_cast<size_t>(seen.verified.value) + i;
      if (offset < committed_.size()) {
        INFO(fmt::format("offset {} changed", offset));
        REQUIRE(committed_[offset].value == records[i].value);
        REQUIRE(committed_[offset].epoch == records[i].epoch);
      } else {
        REQUIRE(partition.is_leader());  // nobody else may know first
        committed_.push_back(records[i]);
      }
    }
    REQUIRE(records.size() == static_cast<size_t>(upto - seen.verified));
    seen.verified = upto;
  }

  static std::vector<Record> read(Partition& partition, Offset from, Offset upto) {
    std::vector<Record> out;
    for_each_batch(partition, from, upto, [&](const common::records::BatchView& batch, Offset reached) {
      const auto walked = common::records::for_each_record(batch, {}, [&](const common::records::Record& r) {
        if (r.offset < reached || r.offset >= upto) return;
        out.push_back({batch.leader_epoch(), std::string(common::model::as_text(*r.value))});
      });
      REQUIRE(walked.has_value());
    });
    return out;
  }

  void check_end() {
    std::optional<std::vector<Record>> first;
    for (Node* node : cluster_.nodes()) {
      const auto partition = node->partition(topic_);
      REQUIRE(partition);
      std::vector<Record> all = read(*partition, Offset(0), partition->log_end_offset());
      if (!first)
        first = std::move(all);
      else
        REQUIRE(*first == all);  // after the dust has settled, also beyond the high watermark
    }
    std::map<std::string, size_t> found;
    for (size_t i = 0; i < first->size(); ++i) {
      const std::string& value = (*first)[i].value;
      INFO("twice: " << value);
      REQUIRE((found.emplace(value, i).second || value.starts_with("free:")));
    }
    for (const auto& [value, offset] : acknowledged_) {
      INFO("acknowledged at " << offset.value << ": " << value);
      REQUIRE(static_cast<size_t>(offset.value) < first->size());
      REQUIRE((*first)[static_cast<size_t>(offset.value)].value == value);
    }
    for (const std::string& value : refused_) REQUIRE_FALSE(found.contains(value));
    for (int p = 0; p < 2; ++p) {
      for (int32_t s = 0; s < sequences_[p]; ++s) REQUIRE(found.contains(fmt::format("p{}:{}", p, s)));
    }
  }

  std::string describe() {
    std::string text;
    const auto& state = cluster_.state(topic_);
    text += fmt::format("leader {} epoch {}/{}\n", state.leader ? state.leader->value : -1, state.leader_epoch,
                        state.partition_epoch);
    for (const auto& b : state.isr) text += fmt::format(" isr {}", b);
    for (Node* node : cluster_.nodes()) {
      const auto p = node->partition(topic_);
      text += fmt::format("\nbroker {} {}", node->id(), node->is_alive() ? "alive" : "dead");
      if (p) {
        text += fmt::format(" role {} epoch {} leo {} hw {}", static_cast<int>(p->role()), p->leader_epoch(),
                            p->log_end_offset(), p->high_watermark());
      }
    }
    const size_t from = cluster_.controller_log.size() > 15 ? cluster_.controller_log.size() - 15 : 0;
    for (size_t i = from; i < cluster_.controller_log.size(); ++i) text += "\n" + cluster_.controller_log[i];
    return text;
  }

  World world_;
  const Durability durability_;
  Cluster cluster_;
  TopicIdPartition topic_;
  Probes* probes_ = nullptr;
  bool writing_ = true;
  bool harming_ = true;
  std::optional<BrokerId> tainted_;
  uint64_t next_value_ = 0;
  std::map<int, int32_t> sequences_;
  std::map<int, uint64_t> attempts_;
  std::map<std::string, Offset> acknowledged_;
  std::set<std::string> refused_;
  std::map<BrokerId, Seen> seen_;
  std::vector<Record> committed_;
  std::map<LeaderEpoch, BrokerId> leader_of_epoch_;
  std::pair<BrokerId, LeaderEpoch> last_leader_;
};

void run_seeds(Run::Durability durability) {
  common::configure_logging(std::getenv("NARU_LOG") != nullptr ? common::LogLevel::info : common::LogLevel::off,
                            common::LogFormat::text);
  Probes probes;
  const test_support::Seeds seeds = test_support::seeds_to_run("NARU_SEED", 3);
  for (uint64_t seed = seeds.first; seed < seeds.end(); ++seed) {
    INFO("rerun with NARU_SEED=" << seed);
    Run run(seed, durability);
    run.go(probes);
  }
  WARN(
      fmt::format("{} acknowledged, {} unknown, {} refused; {} kills, {} losses of power, {} cuts, {} isolations, {} "
                  "leader changes",
                  probes.acknowledged, probes.unknown, probes.refused, probes.kills, probes.power_losses, probes.cuts,
                  probes.isolations, probes.leader_changes));
  if (!seeds.is_chosen) {
    REQUIRE(probes.acknowledged > 100 * seeds.count);
    REQUIRE(probes.leader_changes > seeds.count);
    REQUIRE(probes.kills > seeds.count);
  }
}

// Two topics of three replicas that are written in turn: their segments have the same offsets, epochs and sizes.
class Sisters {
 public:
  Sisters() : cluster_(world_, {.brokers = 3, .settings = settings()}) {
    advance(1s);
    for (const char* name : {"orders", "returns"}) topics_.push_back(cluster_.create_topic(name));
    advance(1s);
    for (char c = 'a'; c < 'u'; ++c) {
      for (size_t t = 0; t < 2; ++t) write(t, std::string(30, static_cast<char>(t == 0 ? c : c - 'a' + 'A')));
      advance(50ms);
    }
    advance(2s);
    REQUIRE(is_whole());
  }

  // One that leads neither.
  Node& follower() {
    for (Node* node : cluster_.nodes()) {
      const auto leads = [&](const TopicIdPartition& topic) { return cluster_.state(topic).leader == node->id(); };
      if (std::ranges::none_of(topics_, leads)) return *node;
    }
    FAIL("two topics have three leaders");
    return *cluster_.nodes().front();
  }
  void write(size_t topic, const std::string& value) {
    const TopicIdPartition id = topics_[topic];
    Node& node = cluster_.node(*cluster_.state(id).leader);
    common::records::BatchBuilder builder({});
    builder.add({.timestamp = TimestampMs(1000), .key = {}, .value = common::model::as_bytes(value), .headers = {}});
    node.on_shard_of(id, [this, &node, id, batch = builder.build()] {
      node.partition(id)->shard().spawn("write", keep(node.partition(id), batch, world_.now() + 1s));
    });
  }
  std::string content(Node& node, size_t topic) {
    const auto partition = node.partition(topics_[topic]);
    REQUIRE(partition);
    auto read = partition->read_for_follower(BrokerId(9), Offset(0), 1 << 20);
    REQUIRE(read.has_value());
    REQUIRE_FALSE(read->cold);
    return std::string(read->records.flatten().text());
  }
  Node& leader(size_t topic) { return cluster_.node(*cluster_.state(topics_[topic]).leader); }
  bool is_whole() {
    return std::ranges::all_of(topics_, [&](const TopicIdPartition& topic) { return cluster_.is_whole(topic); });
  }
  void advance(Duration d) {
    world_.run_until(world_.now() + d, [] {});
  }

 private:
  static TopicSettings settings() {
    TopicSettings s;
    s.min_isr = 2;
    s.log.retention_ms.reset();
    return s;
  }
  static common::Awaitable<void> keep(std::shared_ptr<Partition> partition, Buffer batch, Instant deadline) {
    ProduceOptions options;
    options.acks = Acks::all;
    options.deadline = deadline;
    const ProduceResult result = co_await partition->produce(std::move(batch), options);
    REQUIRE(result.error == ErrorCode::none);
  }

  World world_{1};
  Cluster cluster_;
  std::vector<TopicIdPartition> topics_;
};

}  // namespace

TEST_CASE("a segment of another partition is found when its broker follows again, and joins nothing (R59)") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  Sisters s;
  Node& harmed = s.follower();
  const std::string right = s.content(s.leader(0), 0);
  REQUIRE(s.content(harmed, 0) == right);
  harmed.die(Node::Death::killed);
  const bool ends_earlier = GENERATE(false, true);
  const std::string segment = "-0/00000000000000000000.log";
  const Buffer other = harmed.disk().content("data/returns" + segment);
  const size_t batches = 20;
  REQUIRE(other.size() % batches == 0);
  harmed.disk().overwrite("data/orders" + segment,
                          other.view().first(ends_earlier ? other.size() / batches * 15 : other.size()));
  harmed.start();
  s.advance(2s);  // it has left the ISR
  for (int i = 0; i < 300 && !s.is_whole(); ++i) s.advance(100ms);
  REQUIRE(s.is_whole());
  s.advance(1s);
  REQUIRE(s.content(harmed, 0) == right);
  REQUIRE(s.content(s.leader(0), 0) == right);
  REQUIRE(s.content(harmed, 1) == s.content(s.leader(1), 1));
  REQUIRE(std::ranges::any_of(harmed.disk().paths(),
                              [](const std::string& path) { return path.find("-damaged/") != std::string::npos; }));
}

TEST_CASE("replicas survive faults, page cache only") {
  run_seeds(Run::Durability::page_cache);
}
TEST_CASE("replicas survive faults, synced before acknowledged") {
  run_seeds(Run::Durability::synced);
}
