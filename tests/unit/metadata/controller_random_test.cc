// Random histories of one controller: brokers come, go, crash cleanly and uncleanly, leaders propose ISRs, operators
// meddle. After every step the sentences below must hold. A failure prints its seed.
#include <catch2/catch.hpp>

#include "controller/metadata/controller_state.h"
#include "controller/metadata/election.h"
#include "support/seeds.h"

using namespace controller::metadata;
using common::model::SeededRandom;

namespace {

using std::chrono::milliseconds;

class NoKeys final : public ConfigSchema {
 public:
  Result<void> validate(const ConfigResource&, std::string_view, std::string_view) const override { return {}; }
  bool is_list(ResourceType, std::string_view) const override { return false; }
  std::optional<std::string> default_value(ResourceType, std::string_view) const override { return std::nullopt; }
};

bool in(const std::vector<BrokerId>& members, BrokerId id) {
  return std::find(members.begin(), members.end(), id) != members.end();
}

// Which broker's log is known to be complete, kept beside the controller by an independent rule: whoever is in the ISR
// when records can commit (ISR >= minISR) must hold them; an unclean restart may lose them.
struct Process {
  bool alive = false;
  uint64_t incarnation = 0;
  std::optional<BrokerEpoch> epoch;   // as registered in this life
  std::optional<BrokerEpoch> marker;  // epoch under which its logs were closed
};

// A run that met nothing proves nothing.
struct Seen {
  int unclean_restarts = 0;
  int eligible_elections = 0;
  int longest_log_elections = 0;
  int leaders_returned = 0;
  int reassigned = 0;
  int turned_back = 0;
  int new_members_kept = 0;
};
Seen seen;

class History {
 public:
  explicit History(uint64_t seed) : random_(seed) {
    options_.replication_factor_default = 3;
    options_.min_isr_default = 2;
    options_.rebalance_interval = milliseconds(300);
    options_.rebalance_settle = milliseconds(200);
    activate(std::nullopt);
    apply(state_->bootstrap());
    for (int id = 1; id <= brokers; ++id) start(id, true);
    for (int i = 0; i < 5; ++i) create();
  }

  void step() {
    const int id = 1 + static_cast<int>(random_.below(brokers));
    switch (random_.below(16)) {
      case 0:
        crash(id);
        break;
      case 1:
        start(id, random_.below(3) > 0);
        break;
      case 2:
        propose_isr();
        break;
      case 3:
        propose_isr();
        break;
      case 4:
        propose_isr();
        break;
      case 5:
        heartbeat(id, true, false);
        break;
      case 6:
        heartbeat(id, false, random_.below(3) == 0);
        break;
      case 7:
        elect();
        break;
      case 8:
        if (random_.below(6) == 0) failover();
        break;
      case 9:
        set_min_isr();
        break;
      case 10:
        if (random_.below(10) == 0) recreate();
        break;
      case 11:
        reassign();
        break;
      default:
        pass(milliseconds(5 + random_.below(400)));
        break;
    }
    for (int b = 1; b <= brokers; ++b) {
      if (processes_[b].alive && random_.below(3) > 0) heartbeat(b, false, false);
    }
  }

 private:
  static constexpr int brokers = 5;

  void activate(std::optional<BrokerId> previous) {
    ActivationStart start;
    start.image = committed_;
    start.next_index = LogIndex{(committed_.offset() ? committed_.offset()->value : -1) + 2};
    start.cluster_id = Uuid::from_halves(1, 1);
    start.previous_controller = previous;
    state_ = std::make_unique<ControllerState>(options_, schema_, random_, std::move(start), now_);
  }
  void failover() { activate(BrokerId{1 + static_cast<int>(random_.below(brokers))}); }

  void crash(int id) {
    Process& p = processes_[id];
    if (!p.alive) return;
    p.alive = false;
    p.marker = p.epoch;
    if (p.epoch) state_->on_stream_lost(BrokerId{id}, *p.epoch, now_);
  }

  void start(int id, bool clean) {
    Process& p = processes_[id];
    if (p.alive) return;
    RegisterBroker r;
    r.broker_id = BrokerId{id};
    r.cluster_id = Uuid::from_halves(1, 1);
    r.incarnation_id = Uuid::from_halves(static_cast<uint64_t>(id), ++p.incarnation);
    r.directories = {Uuid::from_halves(7, static_cast<uint64_t>(id))};
    r.listeners = {{"PLAINTEXT", "h", 1, SecurityProtocol::plaintext}};
    r.features = {{metadata_version_feature, {1, 1}}};
    if (clean) r.previous_broker_epoch = p.marker;
    const auto answer = std::get<RegisterBrokerAnswer>(handle(r));
    if (answer.error.code != ErrorCode::none) return;
    const bool first = !p.marker;
    p.alive = true;
    p.epoch = answer.broker_epoch;
    if (clean || first) return;
    ++seen.unclean_restarts;
    for (const auto& [topic_id, topic] : committed_.topics()) {  // R44, R45
      for (const auto& [index, state] : topic->partitions) {
        REQUIRE_FALSE(in(state->isr, BrokerId{id}));
        REQUIRE_FALSE(in(state->elr, BrokerId{id}));
      }
    }
  }

  void heartbeat(int id, bool want_fence, bool want_shutdown) {
    Process& p = processes_[id];
    if (!p.alive || !p.epoch) return;
    BrokerHeartbeat b;
    b.broker_id = BrokerId{id};
    b.broker_epoch = *p.epoch;
    b.metadata_offset = committed_.offset();
    b.ready = true;
    b.want_fence = want_fence;
    b.want_shutdown = want_shutdown;
    for (const LogEndQuery& q : queries_[id]) {
      b.log_ends.push_back({q.partition, q.leader_epoch, LeaderEpoch{1},
                            common::model::Offset{static_cast<int64_t>(random_.below(100))}});
    }
    const auto answer = std::get<BrokerHeartbeatAnswer>(handle(b));
    queries_[id] = answer.log_end_queries;
    if (answer.may_shut_down) {
      p.alive = false;
      p.marker = p.epoch;
    }
  }

  void create() {
    CreateTopics r;
    CreateTopics::Topic t;
    t.name = fmt::format("t{}", ++topics_made_);
    t.partition_count = 1 + static_cast<int32_t>(random_.below(3));
    t.replication_factor = static_cast<int16_t>(1 + random_.below(4));
    r.topics = {t};
    handle(r);
  }
  void recreate() {
    const auto& names = state_->image().topic_names();
    if (!names.empty()) {
      DeleteTopics r;
      DeleteTopics::Topic t;
      t.name = names.begin()->first;
      r.topics = {t};
      // Every other one is kept for a while: what must hold of a topic holds of those, too.
      if (topics_made_ % 2 == 0) r.keep = milliseconds(topics_made_ % 4 == 0 ? 3'000 : 600'000);
      handle(r);
    }
    create();
  }

  // A leader drops members, or adds replicas that are in service, as leaders do.
  void propose_isr() {
    const auto* topic = any_topic();
    if (topic == nullptr) return;
    const PartitionIndex index{static_cast<int32_t>(random_.below(topic->partitions.size()))};
    const PartitionState p = *topic->partition(index);
    if (!p.leader || !processes_[p.leader->value].alive) return;
    AlterPartition r;
    r.broker_id = *p.leader;
    r.broker_epoch = processes_[p.leader->value].epoch.value_or(BrokerEpoch{0});
    AlterPartition::Partition a;
    a.topic_id = topic->id;
    a.partition = index;
    a.leader_epoch = p.leader_epoch;
    a.partition_epoch = p.partition_epoch;
    for (const BrokerId m : p.replicas) {
      if (m != *p.leader && random_.below(3) == 0) continue;
      const BrokerImage* b = state_->image().broker(m);
      a.isr.push_back({m, b != nullptr ? std::optional(b->epoch) : std::nullopt});
    }
    r.partitions = {a};
    handle(r);
  }

  void reassign() {
    const auto* topic = any_topic();
    if (topic == nullptr) return;
    AlterPartitionReassignments r;
    AlterPartitionReassignments::Partition p;
    p.partition = {topic->name, PartitionIndex{static_cast<int32_t>(random_.below(topic->partitions.size()))}};
    if (random_.below(4) > 0) {
      p.replicas.emplace();
      const int first = static_cast<int>(random_.below(brokers));
      const int count = 1 + static_cast<int>(random_.below(4));
      for (int i = 0; i < count; ++i) p.replicas->push_back(BrokerId{1 + (first + i) % brokers});
    }
    r.partitions = {p};
    handle(r);
  }

  void elect() {
    ElectLeaders r;
    r.type = ElectionType::preferred;
    handle(r);
  }

  void set_min_isr() {
    const auto* topic = any_topic();
    if (topic == nullptr) return;
    AlterConfigs r;
    AlterConfigs::Resource resource;
    resource.resource = {ResourceType::topic, topic->name};
    resource.changes = {{"min.insync.replicas", ConfigOperation::set, fmt::format("{}", 1 + random_.below(3))}};
    r.resources = {resource};
    handle(r);
  }

  void pass(milliseconds time) {
    for (const Instant end = now_ + time; now_ < end; now_ += milliseconds(20)) {
      for (Decision& d : state_->on_tick(now_)) apply(std::move(d));
      for (const ProbeOrder& probe : state_->take_probes(now_)) {
        const bool alive = processes_[probe.broker_id.value].alive;
        state_->on_probe(probe.broker_id, probe.epoch, alive ? ProbeResult::connected : ProbeResult::refused, now_);
      }
    }
  }

  const TopicImage* any_topic() {
    const auto& topics = state_->image().topics();
    if (topics.empty()) return nullptr;
    auto at = topics.begin();
    for (uint64_t skip = random_.below(topics.size()); skip > 0; --skip) ++at;
    return at->second.get();
  }

  ControllerAnswer handle(const ControllerRequest& request) {
    proposed_ = std::holds_alternative<AlterPartition>(request);
    Decision d = state_->handle(request, now_);
    proposed_min_isr_ = std::holds_alternative<AlterConfigs>(request);
    ControllerAnswer answer = d.answer;
    apply(std::move(d));
    proposed_ = proposed_min_isr_ = false;
    return answer;
  }

  void apply(Decision d) {
    if (d.records.empty()) return;
    const MetadataImage before = committed_;
    auto applied = controller::metadata::apply(before, d.records, d.index);
    REQUIRE(applied);
    committed_ = applied->image;
    REQUIRE(image_from_records(to_records(committed_), *committed_.offset()).value() == committed_);
    for (const auto& [topic, indexes] : applied->delta.partitions) {
      for (const PartitionIndex i : indexes) {
        const PartitionState* old = before.partition(topic, i);
        if (old == nullptr) continue;
        check_change(*old, *committed_.partition(topic, i));
        check_replicas(*old, *committed_.partition(topic, i),
                       min_isr(committed_, committed_.topic_by_id(topic)->name, options_));
      }
    }
    check_image();
  }

  // R40: who counts leaves the replicas only with the others in sync, and then under a new leader epoch.
  void check_replicas(const PartitionState& old, const PartitionState& now, size_t wanted_min_isr) {
    std::vector<BrokerId> gone;
    for (const BrokerId m : old.replicas) {
      if (!in(now.replicas, m)) gone.push_back(m);
    }
    for (const BrokerId m : now.isr) REQUIRE(in(now.replicas, m));
    if (gone.empty()) {
      if (is_reassigning(now) && now.adding == now.removing) ++seen.new_members_kept;
      return;
    }
    if (old.leader) REQUIRE(now.leader_epoch > old.leader_epoch);
    // New ones that do not count may be let go at any time.
    const bool none_counts = std::all_of(
        gone.begin(), gone.end(), [&](BrokerId m) { return in(old.adding, m) && !in(old.isr, m) && !in(old.elr, m); });
    if (none_counts) return;
    REQUIRE_FALSE(is_reassigning(now));
    REQUIRE(now.isr.size() >= std::min(wanted_min_isr, now.replicas.size()));
    REQUIRE(now.recovery_state == RecoveryState::recovered);
    const bool back = now.replicas.size() == original_replicas(old).size() &&
                      std::all_of(now.replicas.begin(), now.replicas.end(),
                                  [&](BrokerId m) { return in(original_replicas(old), m); });
    if (!back) REQUIRE(now.isr.size() == now.replicas.size());
    ++(back ? seen.turned_back : seen.reassigned);
  }

  void check_change(const PartitionState& old, const PartitionState& now) {
    // R36: neither epoch ever goes back, the partition epoch counts every change, the leader epoch every change of
    // leader.
    REQUIRE(now.partition_epoch > old.partition_epoch);
    REQUIRE(now.leader_epoch >= old.leader_epoch);
    if (now.leader != old.leader) REQUIRE(now.leader_epoch > old.leader_epoch);
    // R37: only a leader's proposal grows an ISR, but for one eligible or recovered replica becoming leader of an empty
    // one.
    for (const BrokerId m : now.isr) {
      if (in(old.isr, m) || proposed_) continue;
      REQUIRE(now.leader == m);
      REQUIRE(now.isr.size() == 1);
      REQUIRE((in(old.elr, m) || now.recovery_state == RecoveryState::recovering));
    }
    // R43: nobody becomes eligible who was in neither ISR nor ELR.
    for (const BrokerId m : now.elr) REQUIRE((in(old.isr, m) || in(old.elr, m)));
    // R39: no unclean leader without last-known replicas having been asked (unclean election is off here).
    if (now.recovery_state == RecoveryState::recovering && old.recovery_state == RecoveryState::recovered) {
      REQUIRE(old.isr.empty());
      REQUIRE(old.elr.empty());
      REQUIRE(in(old.last_known_elr, *now.leader));
      ++seen.longest_log_elections;
    } else if (old.isr.empty() && !now.isr.empty()) {
      ++seen.eligible_elections;
    }
    if (old.leader && now.leader == now.replicas.front() && old.leader != now.leader && in(old.isr, *old.leader) &&
        in(now.isr, *old.leader)) {
      ++seen.leaders_returned;
    }
  }

  void check_image() {
    for (const auto& [id, topic] : committed_.topics()) {
      for (const auto& [index, p] : topic->partitions) {
        REQUIRE_FALSE(invalid(*p));
        // R29, R25: the fenced and the leaving are in no ISR and lead nothing.
        for (const BrokerId m : p->isr) REQUIRE(committed_.is_active(m));
        // R38: whoever can lead, leads.
        if (!p->leader) REQUIRE(p->isr.empty());
        if (!p->leader) {
          for (const BrokerId m : p->elr) REQUIRE_FALSE(committed_.is_active(m));
        }
        // R43: a full ISR has no eligible others.
        if (p->isr.size() >= std::min(min_isr(committed_, topic->name, options_), original_replicas(*p).size())) {
          REQUIRE(p->elr.empty());
          REQUIRE(p->last_known_elr.empty());
        }
      }
    }
    std::set<BrokerEpoch> epochs;
    for (const auto& [id, b] : committed_.brokers()) REQUIRE(epochs.insert(b->epoch).second);  // R24
  }

  SeededRandom random_;
  NoKeys schema_;
  ControllerOptions options_;
  std::unique_ptr<ControllerState> state_;
  MetadataImage committed_;
  Instant now_{};
  std::map<int, Process> processes_;
  std::map<int, std::vector<LogEndQuery>> queries_;
  int topics_made_ = 0;
  bool proposed_ = false;
  bool proposed_min_isr_ = false;
};

}  // namespace

TEST_CASE("random histories of a controller keep its promises") {
  const test_support::Seeds seeds = test_support::seeds_to_run("NARU_SEED", 60);
  for (uint64_t seed = seeds.first; seed < seeds.end(); ++seed) {
    INFO("rerun with NARU_SEED=" << seed);
    History history(seed);
    for (int i = 0; i < 300; ++i) history.step();
  }
  if (seeds.is_chosen) return;
  CHECK(seen.unclean_restarts > 0);
  CHECK(seen.eligible_elections > 0);
  CHECK(seen.longest_log_elections > 0);
  CHECK(seen.leaders_returned > 0);
  CHECK(seen.reassigned > 0);
  CHECK(seen.turned_back > 0);
  CHECK(seen.new_members_kept > 0);
}

TEST_CASE("a cluster that lost its agreed minISR gets one with its next controller (R43, R48)") {
  const ControllerOptions options{.min_isr_default = 2};
  const NoKeys schema;
  SeededRandom random(1);
  const Uuid cluster = Uuid::from_halves(1, 1);
  const auto written_for = [&](const std::vector<MetadataRecord>& records) {
    auto begun = controller::metadata::apply(MetadataImage{}, records, LogIndex{1});
    REQUIRE(begun);
    ControllerState state(options, schema, random,
                          {.image = begun->image, .next_index = LogIndex{2}, .cluster_id = cluster}, Instant{});
    return state.bootstrap().records.size();
  };
  const ConfigRecord agreed{{ResourceType::broker, ""}, "min.insync.replicas", "1"};
  REQUIRE(written_for({ClusterRecord{cluster}}) == 1);
  REQUIRE(written_for({ClusterRecord{cluster}, agreed}) == 0);
}
