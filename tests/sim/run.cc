#include "sim/run.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace sim {

using namespace std::chrono_literals;

namespace {

class Run final : public NodeObserver {
 public:
  explicit Run(const RunSettings& settings)
      : settings_(settings),
        cluster_(settings.options, *this),
        complaints_(cluster_.world()),
        raft_(complaints_, probes_),
        partitions_(complaints_, probes_),
        durability_(complaints_),
        identity_(complaints_, probes_),
        sightings_(probes_),
        long_life_(cluster_, complaints_),
        injector_(cluster_, probes_),
        workload_(cluster_, history_, probes_) {
    cluster_.world().after_event = [this](Process* process) { after_event(process); };
    history_.on_acknowledged = [this](const Place& place, int64_t offset) {
      partitions_.on_acknowledged({place.topic, common::model::PartitionIndex(place.partition)}, offset);
      if (settings_.options.days > 0) long_life_.on_acknowledged(place, offset);
    };
    if (settings_.trace) injector_.trace = [this](const std::string& what) { say(what); };
  }

  Outcome go() {
    injector_.schedule(settings_.plan);
    cluster_.start_all();
    workload_.start();
    const Instant end(settings_.options.safety);
    while (settings_.options.days > 0 && !complaints_.any() && cluster_.world().now() + calm_interval <= end) {
      run_until(next_calm(), [] { return false; });
      be_calm();
    }
    run_until(end, [] { return false; });
    if (!complaints_.any()) be_lively();
    return outcome();
  }

  // NodeObserver
  void on_started(Node& node) override {
    raft_.on_started(node.host());
    partitions_.on_started(node);
    durability_.on_started(node);
    for (const std::string& path : node.disk().paths()) {
      if (path.find("__cluster_metadata-0.lost-") == std::string::npos) continue;
      probes_.hit(Probe::raft_state_lost);
      break;
    }
    if (settings_.trace) say(fmt::format("broker {} starts{}, life {}", node.id(), where(node), node.lives()));
  }
  void on_ended(Node& node) override {
    if (has_committed_ == &node) has_committed_ = nullptr;
    identity_.on_ended(node);
    if (settings_.trace) say(fmt::format("broker {} ends{}", node.id(), where(node)));
  }
  void on_committed(Node& node, std::span<const controller::raft::Entry> entries) override {
    raft_.on_committed(node.host(), entries);
    sightings_.on_committed(entries);
    has_committed_ = &node;
  }
  void on_snapshot(Node& node, const common::model::Buffer&, common::model::LogIndex end) override {
    raft_.on_snapshot(node.host(), end);
    has_committed_ = &node;
  }
  void on_leadership(Node& node, common::model::Term term) override {
    raft_.on_leadership(node.host(), node.lives(), term);
    cluster_.world().note(static_cast<uint64_t>(term.value) * 31 + static_cast<uint64_t>(node.host()));
  }
  void on_raft_sent(Node& node, const controller::raft::Message& message) override {
    durability_.on_sent(node, message);
    raft_.on_sent(node.host(), message);
    sightings_.on_raft_sent(message);
  }
  void on_high_watermark(Node& node, broker::partition::Partition& partition) override {
    partitions_.on_high_watermark(node, partition);
    cluster_.world().note(static_cast<uint64_t>(partition.high_watermark().value));
  }

 private:
  void say(const std::string& what) const {
    std::fprintf(stderr, "%12.6f %s\n",
                 std::chrono::duration<double>(cluster_time().time_since_epoch()).count(), what.c_str());
  }
  static std::string where(const Node& node) {
    return node.host() == node.id().value ? "" : fmt::format(" at host {}", node.host());
  }
  [[nodiscard]] Instant cluster_time() const { return const_cast<Cluster&>(cluster_).world().now(); }

  // The newest committed metadata that anybody ever had: whoever knew it may be dead.
  void remember_image() {
    const Node* node = std::exchange(has_committed_, nullptr);
    if (node == nullptr || !node->is_running()) return;
    const auto& image = node->core().controller().publisher().image();
    if (!image->offset() || (newest_ && *image->offset() <= *newest_->offset())) return;
    newest_ = image;
    cluster_.set_committed_image(image);
  }

  void after_event(Process* process) {
    if (has_committed_ != nullptr) remember_image();
    partitions_.after_event(cluster_, newest_);
    injector_.look_for_stopped(process);
    // What costs a look at everything, not after every single event.
    if (++since_sweep_ < 256) return;
    since_sweep_ = 0;
    partitions_.sweep(cluster_, newest_);
    identity_.sweep(cluster_);
    sightings_.sweep(cluster_);
    if (settings_.options.days > 0) long_life_.sweep();
    check_memory();
    if (const std::string complaint = workload_.complaint(); !complaint.empty()) {
      complaints_.broken("what a client was told", complaint);
    }
  }

  void check_memory() {
    for (const auto& node : cluster_.nodes()) {
      for (size_t i = 0; node->is_running() && i < node->shards().size(); ++i) {
        const std::string complaint = node->memory(i)->complaint();
        if (complaint.empty()) continue;
        complaints_.broken("memory of requests is given back (R109)",
                           fmt::format("broker {}, shard {}: {}", node->id(), i, complaint));
      }
    }
  }
  bool nothing_in_flight() {
    for (const auto& node : cluster_.nodes()) {
      for (size_t i = 0; node->is_running() && i < node->shards().size(); ++i) {
        if (node->memory(i)->in_flight > 0) return false;
      }
    }
    return true;
  }

  template <class Condition>
  bool run_until(Instant limit, Condition condition) {
    while (!complaints_.any()) {
      if (condition()) return true;
      if (!cluster_.world().step(limit)) return condition();
    }
    return false;
  }
  template <class Condition>
  void demand(const char* what, Duration within, Condition condition) {
    if (complaints_.any()) return;
    const Instant limit = cluster_.world().now() + within;
    if (run_until(limit, condition) || complaints_.any()) return;
    complaints_.broken("liveness", fmt::format("{} not within {} s{}", what, within / 1s, state()));
  }

  // A replica whose disk was wiped fetches everything again, and a run may allow it no more than a batch at a time:
  // what is demanded within the limit is progress. The clients of such a run may write faster than that for ever,
  // because who is not in the ISR holds no acknowledgement back: they pause until it is.
  void demand_full_isrs(Duration limit) {
    constexpr int rounds = 20;
    for (int round = 0; round < rounds && !complaints_.any(); ++round) {
      const Outside before = outside_of_isrs();
      if (run_until(cluster_.world().now() + limit, [this] { return all_in_sync(); })) {
        return workload_.resume_producing();
      }
      const Outside after = outside_of_isrs();
      if (after.replicas >= before.replicas && after.log_ends <= before.log_ends) break;
      if (fetches_by_the_batch()) workload_.pause_producing();
    }
    if (complaints_.any()) return;
    complaints_.broken("liveness",
                       fmt::format("every partition led, every ISR full not within {} s{}", limit / 1s, state()));
  }
  // Whether a message to a follower may have no room for two batches.
  [[nodiscard]] bool fetches_by_the_batch() const {
    const Options& o = settings_.options;
    const int batch_bytes = o.records_per_batch * (o.record_bytes + 80);
    return std::min(o.replica_fetch_response_bytes, o.replica_fetch_bytes) < 2 * batch_bytes;
  }
  struct Outside {
    int replicas = 0;
    int64_t log_ends = 0;
  };
  Outside outside_of_isrs() {
    Outside outside;
    const auto image = cluster_.newest_image();
    if (!image) return outside;
    for (const auto& node : cluster_.nodes()) {
      if (node->id() == out_) continue;
      node->for_each_partition([&](const auto& partition) {
        const auto* state = image->partition(partition->id().topic_id, partition->id().partition);
        if (state == nullptr) return;
        if (std::find(state->isr.begin(), state->isr.end(), node->id()) != state->isr.end()) return;
        ++outside.replicas;
        outside.log_ends += partition->log_end_offset().value;
      });
    }
    return outside;
  }

  [[nodiscard]] Instant next_calm() {
    const Instant now = cluster_.world().now();
    return now - now.time_since_epoch() % calm_interval + calm_interval;
  }
  // In a long life, every few hours.
  void be_calm() {
    if (complaints_.any()) return;
    workload_.set_calm(true);
    injector_.heal();
    demand_full_strength();
    while (!complaints_.any() && injector_.repair_rot()) {
      demand("all brokers in service", settings_.options.liveness, [this] { return all_in_service(); });
      demand_full_isrs(settings_.options.liveness);
    }
    if (complaints_.any()) return;
    partitions_.sweep(cluster_, newest_);
    long_life_.look(history_, partitions_);
    if (settings_.progress) say_progress();
    workload_.set_calm(false);
    injector_.go_on();
  }
  void say_progress() {
    long pages = 0;
    std::ifstream statm("/proc/self/statm");
    statm.ignore(100, ' ') >> pages;
    const Outcome o = outcome();
    std::fprintf(stderr,
                 "day %.2f: %lu events, %lu faults, leader changes %lu of partitions and %lu of the controller, %lu records "
                 "acknowledged; %s; %.0f MiB in memory\n",
                 o.simulated_seconds / 86400, o.events, o.faults, o.partition_leader_changes, o.raft_leader_changes,
                 o.acknowledged, long_life_.sizes().c_str(),
                 static_cast<double>(pages) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20));
  }

  void demand_full_strength() {
    const Duration limit = settings_.options.liveness;
    demand("a controller", limit, [this] { return cluster_.active_controller() != nullptr; });
    demand("all brokers in service", limit, [this] { return all_in_service(); });
    demand("topics", limit, [this] { return workload_.is_ready(); });
    demand_full_isrs(limit);
    demand("stable groups", limit, [this] { return workload_.groups_are_stable(); });
    const uint64_t before = history_.acknowledged_count();
    demand("an acknowledgement", limit, [this, before] { return history_.acknowledged_count() > before; });
  }

  // Of the broker that stays away nothing is needed: the others must come back to work, and to the strength that they have.
  void be_lively_without_one() {
    workload_.stop_moving();
    if (!newest_ || !workload_.is_ready()) return;
    Rng rng(settings_.options.seed, "core");
    const auto& nodes = cluster_.nodes();
    const size_t first = rng.below(nodes.size());
    for (size_t i = 0; i < nodes.size() && !out_; ++i) {
      const Node& node = *nodes[(first + i) % nodes.size()];
      if (injector_.can_do_without(node, *newest_)) out_ = node.id();
    }
    if (!out_) return;
    probes_.hit(Probe::core_alone);
    const auto how = rng.chance(0.5) ? Injector::Away::dead : Injector::Away::cut_off;
    if (settings_.trace) say(fmt::format("all is healed but broker {}, which stays away", *out_));
    injector_.heal_core(cluster_.node(*out_), how);
    demand_full_strength();
    out_.reset();
  }

  // Everything is healed: the cluster must come back to work, and to full strength, in bounded time.
  void be_lively() {
    workload_.set_calm(settings_.options.days > 0);
    if (settings_.options.core) be_lively_without_one();
    if (complaints_.any()) return;
    injector_.heal();
    workload_.stop_moving();
    const Duration limit = settings_.options.liveness;
    demand_full_strength();
    workload_.stop_producing();
    demand("everything sent acknowledged", limit, [this] { return workload_.is_settled(); });
    if (complaints_.any()) return;
    workload_.start_final_read();
    demand("the final read", limit, [this] { return workload_.final_read_done(); });
    if (complaints_.any()) return;
    if (!workload_.final_read_failure().empty()) {
      return complaints_.broken("liveness", workload_.final_read_failure() + state());
    }
    workload_.stop();
    demand("an end of every request", limit, [this] { return nothing_in_flight(); });
    check_memory();
    partitions_.sweep(cluster_, newest_);
    check_compacted();
    if (const std::string wrong = history_.finish(); !wrong.empty()) {
      complaints_.broken("the clients' history", wrong);
    }
  }

  void check_compacted() {
    if (settings_.options.days <= 0) return;
    for (const Place& place : workload_.keyed_places()) {
      long_life_.check_compacted(workload_.final_records(place), Workload::keys);
    }
  }

  bool all_in_service() {
    const auto image = cluster_.newest_image();
    if (!image) return false;
    for (const auto& node : cluster_.nodes()) {
      if (node->id() == out_) continue;
      if (!node->is_serving() || !image->is_active(node->id())) return false;
    }
    return true;
  }
  bool all_in_sync() {
    const auto image = cluster_.newest_image();
    if (!image) return false;
    for (const auto& [id, topic] : image->topics()) {
      for (const auto& [index, state] : topic->partitions) {
        if (!state->leader || state->leader == out_) return false;
        const auto is_missing = [&](BrokerId id) {
          return id != out_ && std::find(state->isr.begin(), state->isr.end(), id) == state->isr.end();
        };
        if (std::any_of(state->replicas.begin(), state->replicas.end(), is_missing)) return false;
        // One that is to move to a broker that stays away waits for it.
        if (!out_ && (!state->adding.empty() || !state->removing.empty())) return false;
      }
    }
    return true;
  }
  // For the message of a failed demand.
  std::string state() {
    std::string text = out_ ? fmt::format("; broker {} stays away", *out_) : "";
    for (const auto& node : cluster_.nodes()) {
      text += fmt::format("; broker {} {}", node->id(),
                          node->is_serving()   ? "serves"
                          : node->is_running() ? "starts"
                                               : "is down");
      if (!node->last_words().empty()) text += fmt::format(" (said: {})", node->last_words());
    }
    if (const auto image = cluster_.newest_image()) {
      for (const auto& [id, topic] : image->topics()) {
        for (const auto& [index, s] : topic->partitions) {
          text += fmt::format("; {}-{} leader {} epoch {} isr {} of {}", topic->name, index,
                              s->leader ? s->leader->value : -1, s->leader_epoch, s->isr.size(), s->replicas.size());
        }
      }
    }
    return text + "; owed:" + workload_.what_is_owed();
  }

  Outcome outcome() {
    Outcome o;
    if (complaints_.any()) o.failure = complaints_.first();
    World& world = cluster_.world();
    o.simulated_seconds = std::chrono::duration<double>(world.now().time_since_epoch()).count();
    o.events = world.events();
    o.messages = cluster_.network().messages();
    o.faults = injector_.fired();
    o.faults_by_kind = injector_.fired_by_kind();
    o.partition_leader_changes = partitions_.leader_changes();
    o.raft_leader_changes = raft_.leader_changes();
    o.acknowledged = history_.acknowledged_count();
    o.trace_hash = world.hash();
    o.probes = probes_;
    for (const auto& node : cluster_.nodes()) o.probes.add(Probe::ended_by_itself, node->ends_by_itself());
    for (size_t i = 0; i < o.faults_by_kind.size(); ++i) {
      o.probes.add(static_cast<Probe>(static_cast<size_t>(Probe::fault_kill) + i), o.faults_by_kind[i]);
    }
    for (size_t i = 0; i < static_cast<size_t>(Rare::count); ++i) {
      const uint64_t armed = is_armed(settings_.options.rare, static_cast<Rare>(i)) ? 1 : 0;
      o.probes.add(static_cast<Probe>(static_cast<size_t>(Probe::rare_early_rolls) + i), armed);
    }
    if (o.failure.empty() && o.acknowledged == 0) o.invalid = "nothing was acknowledged";
    return o;
  }

  const RunSettings& settings_;
  Probes probes_;
  History history_;
  Cluster cluster_;
  Complaints complaints_;
  RaftInvariants raft_;
  PartitionInvariants partitions_;
  DurabilityInvariants durability_;
  IdentityInvariants identity_;
  Sightings sightings_;
  LongLife long_life_;
  Injector injector_;
  Workload workload_;
  int since_sweep_ = 0;
  std::optional<BrokerId> out_;          // stays away while the others are to be lively
  const Node* has_committed_ = nullptr;  // in this event
  controller::metadata::ImagePtr newest_;
};

}  // namespace

Outcome run(const RunSettings& settings) {
  // Not taken apart afterwards: the process that it runs in ends (child.h).
  auto* whole_run = new Run(settings);
  return whole_run->go();
}

}  // namespace sim
