// The active controller as scenario files: tests/scenarios/controller. Commands are explained in its README.
#include <algorithm>

#include <catch2/catch.hpp>

#include "controller/metadata/controller_state.h"
#include "support/scenario.h"

using namespace controller::metadata;
using common::model::SeededRandom;
using test_support::Command;
using test_support::ScenarioError;

namespace {

using std::chrono::milliseconds;

// Knows five keys, as much as the rules need.
class FewKeys final : public ConfigSchema {
 public:
  Result<void> validate(const ConfigResource&, std::string_view key, std::string_view value) const override {
    if (key != "min.insync.replicas" && key != "unclean.leader.election.enable" && key != "cleanup.policy" &&
        key != least_lag && key != most_lag) {
      return common::model::fail(ErrorCode::invalid_config, fmt::format("Unknown topic config name: {}", key));
    }
    if (value.empty()) return common::model::fail(ErrorCode::invalid_config, fmt::format("Invalid value for {}", key));
    return {};
  }
  Result<void> validate_together(const ConfigResource&,
                                 const std::map<std::string, std::string, std::less<>>& values) const override {
    const auto least = values.find(least_lag);
    const auto most = values.find(most_lag);
    if (least == values.end() || most == values.end() || std::stoi(least->second) <= std::stoi(most->second)) return {};
    return common::model::fail(ErrorCode::invalid_config, fmt::format("{} > {}", least->second, most->second));
  }
  bool is_list(ResourceType, std::string_view key) const override { return key == "cleanup.policy"; }
  std::optional<std::string> default_value(ResourceType, std::string_view key) const override {
    return key == "cleanup.policy" ? std::optional<std::string>("delete") : std::nullopt;
  }

 private:
  static constexpr std::string_view least_lag = "min.compaction.lag.ms";
  static constexpr std::string_view most_lag = "max.compaction.lag.ms";
};

std::string list(const std::vector<BrokerId>& brokers) {
  return fmt::format("({})", fmt::join(brokers, ","));
}
std::string who(std::optional<BrokerId> broker) {
  return broker ? fmt::format("{}", *broker) : "none";
}

std::string show(const PartitionState& p) {
  std::string text =
      fmt::format("leader={} isr={} epoch={}/{}", who(p.leader), list(p.isr), p.leader_epoch, p.partition_epoch);
  if (!p.elr.empty()) text += " elr=" + list(p.elr);
  if (!p.last_known_elr.empty()) text += " last-known-elr=" + list(p.last_known_elr);
  if (!p.adding.empty()) text += " adding=" + list(p.adding);
  if (!p.removing.empty()) text += " removing=" + list(p.removing);
  if (p.recovery_state == RecoveryState::recovering) text += " recovering";
  return text;
}

std::string show(const Error& error) {
  return error.message.empty() ? fmt::format("{}", error.code) : fmt::format("{}: {}", error.code, error.message);
}

class Scenario {
 public:
  std::string run(const Command& c) {
    lines_.clear();
    if (c.has("at")) now_ = Instant{} + c.duration("at");
    dispatch(c);
    return fmt::format("{}", fmt::join(lines_, "\n"));
  }

 private:
  void dispatch(const Command& c) {
    const std::string& name = c.name();
    if (name == "start") return start(c);
    if (name == "up") return up(c);
    if (name == "register") return register_broker(c);
    if (name == "heartbeat") return heartbeat(c);
    if (name == "run") return run_for(c);
    if (name == "lost") return state().on_stream_lost(broker(c), epoch_of(broker(c)), now_);
    if (name == "witness")
      return state().on_witness(BrokerId{int(c.number("reporter"))}, broker(c), epoch_of(broker(c)), now_);
    if (name == "pause") {
      now_ += c.duration("for");
      return;
    }
    if (name == "failover") return failover(c);
    if (name == "create") return create(c);
    if (name == "delete") return remove(c);
    if (name == "grow") return grow(c);
    if (name == "alter-isr") return alter_isr(c);
    if (name == "elect") return elect(c);
    if (name == "reassign") return reassign(c);
    if (name == "config") return config(c);
    if (name == "ids") return ids(c);
    if (name == "unregister") return unregister(c);
    if (name == "log-end") return log_end(c);
    if (name == "replay") return replay();
    if (name == "show") return show_partitions();
    if (name == "broker") return show_broker(c);
    throw ScenarioError{"unknown command " + name};
  }

  void start(const Command& c) {
    const bool several = c.number_or("voters", 3) >= 3;  // as the configuration's defaults have it
    options_.replication_factor_default = several ? 3 : 1;
    options_.min_isr_default = static_cast<int32_t>(c.number_or("min-isr", several ? 2 : 1));
    options_.auto_leader_rebalance = c.text_or("rebalance", "no") == "yes" ? Enabled::yes : Enabled::no;
    if (c.has("internal")) options_.internal_replication = {{"__consumer_offsets", int16_t(c.number("internal"))}};
    options_.node_id = BrokerId{int(c.number_or("controller", 1))};
    committed_ = {};
    history_.clear();
    activate({}, std::nullopt);
    apply(state().bootstrap());
    quiet();
  }

  void activate(MetadataImage image, std::optional<BrokerId> previous) {
    const int64_t last = image.offset() ? image.offset()->value : -1;
    ActivationStart start;
    start.image = std::move(image);
    start.next_index = LogIndex{last + 2};  // one for the leader change
    start.cluster_id = Uuid::from_halves(1, 1);
    start.previous_controller = previous;
    state_ = std::make_unique<ControllerState>(options_, schema_, random_, std::move(start), now_);
  }

  void failover(const Command& c) {
    const auto previous = c.maybe_number("previous");
    activate(MetadataImage(state().image()), previous ? std::optional(BrokerId{int(*previous)}) : std::nullopt);
  }

  // Brokers registered, caught up and in service, without a word.
  void up(const Command& c) {
    for (const int64_t id : c.numbers("brokers")) {
      RegisterBroker r = registration(int(id));
      r.previous_broker_epoch = maybe_epoch(BrokerId{int(id)});
      if (c.has("rack")) r.rack = c.text("rack");
      handle(r);
      handle(beat(BrokerId{int(id)}));
    }
    quiet();
  }

  RegisterBroker registration(int id) {
    RegisterBroker r;
    r.broker_id = BrokerId{id};
    r.cluster_id = Uuid::from_halves(1, 1);
    r.incarnation_id = Uuid::from_halves(uint64_t(id), ++incarnations_);
    r.directories = {Uuid::from_halves(100, uint64_t(id))};
    r.listeners = {{"PLAINTEXT", fmt::format("b{}", id), 9092, SecurityProtocol::plaintext}};
    r.cluster_endpoint = {fmt::format("b{}", id), 19092};
    r.features = {{metadata_version_feature, {1, 1}}};
    return r;
  }

  void register_broker(const Command& c) {
    const int id = int(c.number("broker"));
    RegisterBroker r = registration(id);
    if (c.has("incarnation"))
      r.incarnation_id = Uuid::from_halves(uint64_t(id), uint64_t(c.number("incarnation")) + 1000);
    if (c.has("directory")) r.directories = {Uuid::from_halves(100, uint64_t(c.number("directory")))};
    if (c.has("directories")) {
      r.directories.clear();
      for (const int64_t d : c.numbers("directories")) r.directories.push_back(Uuid::from_halves(100, uint64_t(d)));
    }
    if (c.has("cluster")) r.cluster_id = Uuid::from_halves(9, uint64_t(c.number("cluster")));
    if (c.has("features"))
      r.features = {{metadata_version_feature, {int16_t(c.number("features")), int16_t(c.number("features"))}}};
    if (c.has("clean")) r.previous_broker_epoch = maybe_epoch(r.broker_id);
    const auto answer = std::get<RegisterBrokerAnswer>(handle(r));
    if (answer.error.code == ErrorCode::none) {
      lines_.push_back(fmt::format("epoch={}", answer.broker_epoch));
    } else {
      lines_.push_back(show(answer.error));
    }
  }

  BrokerHeartbeat beat(BrokerId id) {
    BrokerHeartbeat b;
    b.broker_id = id;
    b.broker_epoch = epoch_of(id);
    b.metadata_offset = state().image().offset();
    b.ready = true;
    return b;
  }

  void heartbeat(const Command& c) {
    BrokerHeartbeat b = beat(broker(c));
    if (c.has("epoch")) b.broker_epoch = BrokerEpoch{c.number("epoch")};
    if (c.has("offset")) b.metadata_offset = LogIndex{c.number("offset")};
    b.ready = !c.has("not-ready");
    b.want_fence = c.has("want-fence");
    b.want_shutdown = c.has("want-shutdown");
    if (c.has("failed") || c.has("low") || c.has("damaged") || c.has("well")) {
      b.trouble.emplace();
      const auto named = [&](const char* key) { return c.has(key) ? c.list(key) : std::vector<std::string>{}; };
      for (const std::string& name : named("failed")) b.trouble->failed.insert(id_named(name));
      for (const std::string& name : named("low")) b.trouble->low_on_space.insert(id_named(name));
      for (const std::string& name : named("damaged")) b.trouble->damaged.insert(id_named(name));
    }
    b.progress.append_stalled = std::chrono::duration_cast<milliseconds>(c.duration_or("stalled", milliseconds(0)));
    const auto answer = std::get<BrokerHeartbeatAnswer>(handle(b));
    if (answer.error != ErrorCode::none) return lines_.push_back(fmt::format("{}", answer.error));
    std::string line = answer.fenced ? "fenced" : "in service";
    if (!answer.caught_up) line += ", not caught up";
    if (answer.may_shut_down) line += ", may shut down";
    lines_.push_back(line);
    for (const LogEndQuery& q : answer.log_end_queries) {
      lines_.push_back(fmt::format("asked for the end of {} in epoch {}", name_of(q.partition), q.leader_epoch));
    }
  }

  void log_end(const Command& c) {
    BrokerHeartbeat b = beat(broker(c));
    const auto [topic, index] = partition_named(c.text("partition"));
    LogEnd end;
    end.partition = {topic->id, index};
    end.leader_epoch = topic->partition(index)->leader_epoch;
    if (c.has("last-epoch")) end.last_epoch = LeaderEpoch{int(c.number("last-epoch"))};  // else it has no records
    end.end = common::model::Offset{c.number("end")};
    end.never_in_sync = c.has("new");
    b.log_ends.push_back(end);
    handle(b);
  }

  // Time passes in steps of 5 ms: ticks, heartbeats of the living every 100 ms, probes answered as told.
  void run_for(const Command& c) {
    const auto alive = c.numbers_or("alive", {});
    const auto writes = c.numbers_or("write", {});  // ms, in the order of `alive`
    const auto refusing = c.numbers_or("refusing", {});
    const auto accepting = c.numbers_or("accepting", {});
    const auto unreached = c.numbers_or("unreached", {});  // a leader, then its followers
    const auto has = [](const std::vector<int64_t>& ids, BrokerId id) {
      return std::count(ids.begin(), ids.end(), id.value) > 0;
    };
    const Instant begin = now_;
    const Instant end = now_ + c.duration("for");
    stamp_from_ = begin;
    for (; now_ < end; now_ += milliseconds(5)) {
      if ((now_ - begin) % milliseconds(100) == milliseconds(0)) {
        for (size_t i = 0; i < alive.size(); ++i) {
          BrokerHeartbeat b = beat(BrokerId{int(alive[i])});
          if (i < writes.size()) b.progress.write_time = milliseconds(writes[i]);
          handle(b);
        }
        for (size_t i = 1; i < unreached.size(); ++i) {
          const BrokerId leader{int(unreached[0])};
          state().on_witness(BrokerId{int(unreached[i])}, leader, epoch_of(leader), now_);
        }
      }
      for (Decision& d : state().on_tick(now_)) apply(std::move(d));
      require_agreement();
      for (const ProbeOrder& probe : state().take_probes(now_)) {
        const auto result = has(refusing, probe.broker_id)    ? ProbeResult::refused
                            : has(accepting, probe.broker_id) ? ProbeResult::connected
                                                              : ProbeResult::no_answer;
        state().on_probe(probe.broker_id, probe.epoch, result, now_);
      }
    }
    stamp_from_.reset();
  }

  void create(const Command& c) {
    CreateTopics r;
    CreateTopics::Topic t;
    t.name = c.text("topic");
    if (c.has("partitions")) t.partition_count = int32_t(c.number("partitions"));
    if (c.has("rf")) t.replication_factor = int16_t(c.number("rf"));
    if (c.has("replicas")) {
      int32_t index = 0;
      for (const std::string& one : c.list("replicas"))
        t.assignments.emplace_back(PartitionIndex{index++}, parse_ids(one));
    }
    if (c.has("config")) t.configs = parse_settings(c);
    r.topics.push_back(t);
    if (c.has("twice")) r.topics.push_back(t);
    for (int64_t i = 1; c.has("and-more") && i <= c.number("and-more"); ++i) {
      r.topics.push_back(t);
      r.topics.back().name += std::to_string(i);
    }
    if (c.has("validate-only")) r.validate_only = ValidateOnly::yes;
    const auto answer = std::get<CreateTopicsAnswer>(handle(r));
    for (const auto& topic : answer.topics) lines_.push_back(show(topic.error));
  }

  void remove(const Command& c) {
    DeleteTopics r;
    DeleteTopics::Topic t;
    if (c.has("topic")) t.name = c.text("topic");
    if (c.has("id")) t.topic_id = Uuid::from_halves(0, uint64_t(c.number("id")));
    r.topics = {t};
    if (c.has("and-by-id")) r.topics.push_back({std::nullopt, state().image().topic_by_name(*t.name)->id});
    const auto answer = std::get<DeleteTopicsAnswer>(handle(r));
    for (const auto& topic : answer.topics) lines_.push_back(show(topic.error));
  }

  void grow(const Command& c) {
    CreatePartitions r;
    CreatePartitions::Topic t;
    t.name = c.text("topic");
    t.count = int32_t(c.number("count"));
    if (c.has("replicas")) {
      t.assignments.emplace();
      for (const std::string& one : c.list("replicas")) t.assignments->push_back(parse_ids(one));
    }
    r.topics = {t};
    if (c.has("validate-only")) r.validate_only = ValidateOnly::yes;
    const auto answer = std::get<CreatePartitionsAnswer>(handle(r));
    for (const auto& topic : answer.topics) lines_.push_back(show(topic.error));
  }

  void alter_isr(const Command& c) {
    const auto [topic, index] = partition_named(c.text("partition"));
    const PartitionState& p = *topic->partition(index);
    AlterPartition r;
    r.broker_id = BrokerId{int(c.number_or("from", p.leader ? p.leader->value : -1))};
    r.broker_epoch = c.has("broker-epoch") ? BrokerEpoch{c.number("broker-epoch")} : epoch_of(r.broker_id);
    AlterPartition::Partition a;
    a.topic_id = topic->id;
    a.partition = index;
    a.leader_epoch = LeaderEpoch{int(c.number_or("leader-epoch", p.leader_epoch.value))};
    a.partition_epoch = PartitionEpoch{int(c.number_or("partition-epoch", p.partition_epoch.value))};
    const auto unseen = c.numbers_or("epoch-unseen", {});
    const auto stale = c.numbers_or("epoch-stale", {});
    for (const int64_t id : c.numbers("isr")) {
      AlterPartition::Member m;
      m.broker_id = BrokerId{int(id)};
      m.broker_epoch = maybe_epoch(m.broker_id);
      if (std::count(unseen.begin(), unseen.end(), id)) m.broker_epoch.reset();
      if (std::count(stale.begin(), stale.end(), id)) m.broker_epoch = BrokerEpoch{0};
      a.isr.push_back(m);
    }
    const bool recovering = c.has("still-recovering");
    a.recovery_state = recovering ? RecoveryState::recovering : RecoveryState::recovered;
    r.partitions = {a};
    const auto answer = std::get<AlterPartitionAnswer>(handle(r));
    if (answer.error != ErrorCode::none) return lines_.push_back(fmt::format("request refused: {}", answer.error));
    if (answer.partitions[0].error != ErrorCode::none) lines_.push_back(fmt::format("{}", answer.partitions[0].error));
  }

  void elect(const Command& c) {
    ElectLeaders r;
    r.type = c.has("unclean") ? ElectionType::unclean : ElectionType::preferred;
    if (c.has("partition")) {
      const std::string name = c.text("partition");
      const size_t dash = name.rfind('-');
      r.partitions = {{name.substr(0, dash), PartitionIndex{std::stoi(name.substr(dash + 1))}}};
    }
    const auto answer = std::get<ElectLeadersAnswer>(handle(r));
    for (const auto& p : answer.partitions) {
      lines_.push_back(fmt::format("{} {}", p.partition, show(p.error)));
    }
  }

  void reassign(const Command& c) {
    AlterPartitionReassignments r;
    if (c.has("keep-factor")) r.factor_change = FactorChange::refused;
    const std::string name = c.text("partition");
    const size_t dash = name.rfind('-');
    AlterPartitionReassignments::Partition p;
    p.partition = {name.substr(0, dash), PartitionIndex{std::stoi(name.substr(dash + 1))}};
    if (!c.has("back")) {
      p.replicas.emplace();
      for (const int64_t id : c.numbers("to")) p.replicas->push_back(BrokerId{int(id)});
    }
    r.partitions.push_back(p);
    const auto answer = std::get<AlterPartitionReassignmentsAnswer>(handle(r));
    for (const auto& one : answer.partitions) {
      if (one.error.code != ErrorCode::none) lines_.push_back(show(one.error));
    }
  }

  void config(const Command& c) {
    AlterConfigs r;
    AlterConfigs::Resource resource;
    if (c.has("topic")) resource.resource = {ResourceType::topic, c.text("topic")};
    if (c.has("broker-name")) resource.resource = {ResourceType::broker, c.text("broker-name")};
    if (c.has("cluster")) resource.resource = {ResourceType::broker, ""};
    const std::string operation = c.text_or("operation", "set");
    for (auto& [key, value] : parse_settings(c)) {
      const auto op = operation == "append"     ? ConfigOperation::append
                      : operation == "subtract" ? ConfigOperation::subtract
                      : operation == "remove"   ? ConfigOperation::remove
                                                : ConfigOperation::set;
      resource.changes.push_back({key, op, op == ConfigOperation::remove ? std::nullopt : value});
    }
    r.alteration = operation == "full" ? ConfigAlteration::full : ConfigAlteration::incremental;
    if (c.has("validate-only")) r.validate_only = ValidateOnly::yes;
    r.resources = {resource};
    const auto answer = std::get<AlterConfigsAnswer>(handle(r));
    for (const auto& a : answer.resources) lines_.push_back(show(a.error));
  }

  void ids(const Command& c) {
    AllocateProducerIds r;
    r.broker_id = broker(c);
    r.broker_epoch = c.has("epoch") ? BrokerEpoch{c.number("epoch")} : epoch_of(r.broker_id);
    const auto a = std::get<AllocateProducerIdsAnswer>(handle(r));
    lines_.push_back(a.error == ErrorCode::none ? fmt::format("first={} count={}", a.first, a.count)
                                                : fmt::format("{}", a.error));
  }

  void unregister(const Command& c) {
    UnregisterBroker r;
    r.broker_id = broker(c);
    const auto a = std::get<UnregisterBrokerAnswer>(handle(r));
    if (a.error.code != ErrorCode::none) lines_.push_back(show(a.error));
  }

  void show_partitions() {
    for (const auto& [name, id] : state().image().topic_names()) {
      for (const auto& [index, p] : state().image().topic_by_id(id)->partitions) {
        lines_.push_back(fmt::format("{}-{} {} {}", name, index, list(p->replicas), show(*p)));
      }
    }
  }

  void show_broker(const Command& c) {
    const BrokerImage* b = state().image().broker(BrokerId{int(c.number("id"))});
    if (b == nullptr) return lines_.push_back("not registered");
    lines_.push_back(fmt::format("epoch={}{}{}", b->epoch, b->fenced ? " fenced" : "",
                                 b->in_controlled_shutdown ? " shutting-down" : ""));
  }

  // ---- helpers

  ControllerState& state() {
    if (!state_) throw ScenarioError{"start comes first"};
    return *state_;
  }

  ControllerAnswer handle(const ControllerRequest& request) {
    Decision d = state().handle(request, now_);
    ControllerAnswer answer = d.answer;
    apply(std::move(d));
    require_agreement();
    return answer;
  }

  // What the log line says of a fencing, or of a leader that is slow, its record says too.
  static void require_reasons(const Decision& d) {
    const bool is_slow = std::ranges::any_of(d.log, [](const auto& said) { return said.ends_with("it is slow"); });
    for (const auto& record : d.records) {
      const auto* change = std::get_if<controller::metadata::PartitionChangeRecord>(&record);
      if (change != nullptr && change->leader) REQUIRE((change->leader->reason == LeaderReason::slow) == is_slow);
      const auto* fence = std::get_if<controller::metadata::FenceBrokerRecord>(&record);
      if (fence == nullptr) continue;
      const std::string line = fmt::format("broker {} fenced: {}", fence->broker_id, to_string(fence->reason));
      REQUIRE(std::ranges::any_of(d.log, [&](const std::string& said) { return said.starts_with(line); }));
    }
  }

  // The records are applied to a second image, as every broker does; it must agree with the controller's own.
  void apply(Decision d) {
    const std::string stamp =
        stamp_from_ ? fmt::format("+{}ms ", std::chrono::duration_cast<milliseconds>(now_ - *stamp_from_).count()) : "";
    for (const std::string& line : d.log) lines_.push_back(stamp + line);
    if (d.records.empty()) return;
    require_reasons(d);
    auto applied = controller::metadata::apply(committed_, d.records, d.index);
    REQUIRE(applied);
    committed_ = applied->image;
    history_.emplace_back(d.index, std::move(d.records));
    for (const auto& [topic, indexes] : applied->delta.partitions) {
      for (const PartitionIndex i : indexes) {
        lines_.push_back(fmt::format("{}{} {}", stamp, name_of({topic, i}), show(*committed_.partition(topic, i))));
      }
    }
  }

  // R19: all records once more, as a broker applies them that starts, and those of a snapshot, as one that is far
  // behind.
  void replay() {
    MetadataImage again;
    for (const auto& [index, records] : history_) {
      auto applied = controller::metadata::apply(again, records, index);
      REQUIRE(applied);
      again = std::move(applied->image);
    }
    const MetadataImage& image = state().image();
    const auto from_snapshot = controller::metadata::image_from_records(to_records(image), *image.offset());
    REQUIRE(from_snapshot);
    const auto verdict = [&](const MetadataImage& other) {
      return other == image ? "the same image" : "another image";
    };
    lines_.push_back(fmt::format("from the first record: {}", verdict(again)));
    lines_.push_back(fmt::format("from a snapshot: {}", verdict(*from_snapshot)));
  }

  void require_agreement() { REQUIRE(committed_ == state().image()); }
  void quiet() { lines_.clear(); }

  static BrokerId broker(const Command& c) { return BrokerId{int(c.number("broker"))}; }
  std::optional<BrokerEpoch> maybe_epoch(BrokerId id) {
    const BrokerImage* b = state().image().broker(id);
    return b != nullptr ? std::optional(b->epoch) : std::nullopt;
  }
  BrokerEpoch epoch_of(BrokerId id) { return maybe_epoch(id).value_or(BrokerEpoch{-1}); }

  std::string name_of(const TopicIdPartition& p) {
    return fmt::format("{}-{}", committed_.topic_by_id(p.topic_id)->name, p.partition);
  }
  std::pair<const TopicImage*, PartitionIndex> partition_named(const std::string& name) {
    const size_t dash = name.rfind('-');
    const TopicImage* topic = state().image().topic_by_name(name.substr(0, dash));
    if (topic == nullptr) throw ScenarioError{"no topic of " + name};
    return {topic, PartitionIndex{std::stoi(name.substr(dash + 1))}};
  }
  TopicIdPartition id_named(const std::string& name) {
    const auto [topic, index] = partition_named(name);
    return {topic->id, index};
  }
  static std::vector<BrokerId> parse_ids(const std::string& text) {
    std::vector<BrokerId> ids;
    for (const std::string& one : test_support::split_list(text)) ids.push_back(BrokerId{std::stoi(one)});
    return ids;
  }
  static std::vector<std::pair<std::string, std::optional<std::string>>> parse_settings(const Command& c) {
    std::vector<std::pair<std::string, std::optional<std::string>>> settings;
    for (const std::string& one : c.list("config")) {
      const size_t colon = one.find(':');
      std::optional<std::string> value;  // without a colon: null
      if (colon != std::string::npos) value = one.substr(colon + 1);
      settings.emplace_back(one.substr(0, colon), std::move(value));
    }
    return settings;
  }

  ControllerOptions options_;
  FewKeys schema_;
  SeededRandom random_{42};
  std::unique_ptr<ControllerState> state_;
  MetadataImage committed_;
  std::vector<std::pair<LogIndex, std::vector<MetadataRecord>>> history_;
  Instant now_{};
  std::optional<Instant> stamp_from_;
  uint64_t incarnations_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace

TEST_CASE("controller scenarios") {
  test_support::run_scenarios("tests/scenarios/controller", [] {
    return [scenario = std::make_shared<Scenario>()](const Command& c) { return scenario->run(c); };
  });
}
