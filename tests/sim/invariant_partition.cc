#include "sim/invariant_partition.h"

#include <algorithm>

#include "common/log/log.h"
#include "common/records/batch.h"
#include "sim/client.h"

namespace sim {

using broker::partition::Partition;
using common::model::Offset;
namespace metadata = controller::metadata;

namespace {

constexpr size_t read_bytes = 1 << 20;
constexpr uint64_t unknown = 0;  // in place of a batch's identity

uint64_t identity_of(const common::records::BatchView& batch) {
  return (static_cast<uint64_t>(batch.crc()) << 32) ^ (static_cast<uint64_t>(batch.leader_epoch().value) << 20) ^
         static_cast<uint64_t>(batch.bytes().size());
}

}  // namespace

std::string PartitionInvariants::name(Node& node, const Partition& partition) const {
  return fmt::format("{}-{} at broker {}", partition.topic(), partition.index(), node.id());
}

void PartitionInvariants::on_high_watermark(Node& node, Partition& partition) {
  Committed& committed = committed_[partition.id()];
  View& view = views_[node.host()][partition.id()];
  const int64_t high_watermark = partition.high_watermark().value;
  const int64_t end = partition.log_end_offset().value;
  if (high_watermark > end) {
    complaints_.broken("the high watermark is within the log (R50)",
                       fmt::format("{}: {} > {}", name(node, partition), high_watermark, end));
  }
  if (partition.is_leader() && view.leads && view.epoch == partition.leader_epoch().value &&
      high_watermark < view.high_watermark) {
    complaints_.broken("the high watermark does not go back in an epoch (R50)",
                       fmt::format("{}: {} after {}", name(node, partition), high_watermark, view.high_watermark));
  }
  view.epoch = partition.leader_epoch().value;
  view.leads = partition.is_leader();
  view.high_watermark = high_watermark;
  check_leader(node, partition, committed);
  const int64_t committed_before = committed.end();
  check_contents(node, partition, committed, view);
  if (committed.end() > committed_before) just_committed_.insert(partition.id());
}

void PartitionInvariants::after_event(Cluster& cluster, const metadata::ImagePtr& newest) {
  if (just_committed_.empty()) return;
  for (const TopicIdPartition& id : std::exchange(just_committed_, {})) {
    const metadata::TopicImage* topic = newest ? newest->topic_by_id(id.topic_id) : nullptr;
    const metadata::PartitionImage* state = topic != nullptr ? topic->partition(id.partition) : nullptr;
    if (state != nullptr) check_members_of(cluster, *newest, topic->name, id, *state);
  }
}

void PartitionInvariants::check_leader(Node& node, Partition& partition, Committed& committed) {
  if (!partition.is_leader()) return;
  const int32_t epoch = partition.leader_epoch().value;
  const auto [found, is_new] = committed.leaders.try_emplace(epoch, node.host());
  if (is_new && committed.leaders.size() > 1) {
    ++leader_changes_;
    probes_.hit(Probe::leader_changed);
    if (partition.high_watermark().value < committed.end()) probes_.hit(Probe::high_watermark_behind_at_election);
  }
  if (found->second != node.host()) {
    complaints_.broken("one leader an epoch (R34, R36)", fmt::format("{} leads epoch {}, which broker {} led",
                                                                     name(node, partition), epoch, found->second));
  }
  committed.epoch = std::max(committed.epoch, epoch);
}

void PartitionInvariants::learn(Committed& committed, const common::records::BatchView& batch) {
  if (committed.batches.empty()) committed.start = batch.base_offset().value;
  committed.batches.push_back({batch.next_offset().value, identity_of(batch)});
}

// Everything below the high watermark must be what was committed; what a leader commits first is what counts.
void PartitionInvariants::check_contents(Node& node, Partition& partition, Committed& committed, View& view) {
  common::log::Log* log = partition.log();
  if (log == nullptr || (log->failure() && !partition.is_leader())) return;
  const int64_t high_watermark = partition.high_watermark().value;
  if (!partition.is_leader() && high_watermark > committed.end()) {
    complaints_.broken("a follower's high watermark is not ahead of what is committed (R65)",
                       fmt::format("{}: {} > {}", name(node, partition), high_watermark, committed.end()));
    return;
  }
  // Compaction takes records away: of such a topic only the end of what is committed is known.
  if (partition.topic() == "__consumer_offsets" || partition.topic() == compacted_topic) {
    if (high_watermark > committed.end()) committed.batches.assign(1, {high_watermark, 0});
    return;
  }
  // Looking must not use up a fault that is meant for the broker.
  common::disk::SimulatedDisk& disk = node.disk();
  disk.set_observed(true);
  if (!log->failure()) compare(node, partition, *log, committed, view);
  disk.set_observed(false);
  // A leader whose own copy cannot be read here, or whose log has failed a moment ago, has committed all the same, and
  // its clients are told: what, is not known.
  if (partition.is_leader() && high_watermark > committed.end()) committed.batches.push_back({high_watermark, unknown});
}

void PartitionInvariants::compare(Node& node, Partition& partition, common::log::Log& log_here, Committed& committed,
                                  View& view) {
  common::log::Log* log = &log_here;
  const int64_t high_watermark = partition.high_watermark().value;
  int64_t from = std::max(view.verified, log->log_start_offset().value);
  while (from < high_watermark) {
    const auto read = log->read_blocking({Offset(from), Offset(high_watermark), read_bytes});
    if (!read || read->records.empty()) return;  // the disk failed: others hold it
    const common::model::Buffer bytes = read->records.flatten();
    common::records::BatchCursor cursor(bytes.view());
    while (!cursor.at_end()) {
      const auto batch = cursor.next();
      if (!batch) return;
      const int64_t next = batch->next_offset().value;
      if (next <= from) continue;
      if (batch->base_offset().value >= committed.end()) {
        if (batch->base_offset().value > committed.end() && !committed.batches.empty()) {
          return complaints_.broken("no gaps in what is committed",
                                    fmt::format("{}: a batch at {} after {}", name(node, partition),
                                                batch->base_offset(), committed.end()));
        }
        learn(committed, *batch);
      } else if (batch->base_offset().value >= committed.start) {
        const auto known = std::upper_bound(committed.batches.begin(), committed.batches.end(), batch->base_offset().value,
                                            [](int64_t offset, const Batch& b) { return offset < b.next; });
        if (known == committed.batches.end() || (known->identity != unknown && (known->next != next || known->identity != identity_of(*batch)))) {
          return complaints_.broken(
              "what is committed does not change",
              fmt::format("{}, epoch {}: [{}, {}) of epoch {} is not what was committed there", name(node, partition),
                          partition.leader_epoch(), batch->base_offset(), next, batch->leader_epoch()));
        }
      }
      from = next;
    }
  }
  view.verified = std::max(view.verified, from);
}

void PartitionInvariants::on_acknowledged(const TopicIdPartition& id, int64_t offset) {
  if (offset >= committed_end(id)) {
    complaints_.broken("what is acknowledged is committed",
                       fmt::format("partition {}: offset {} was acknowledged, {} is committed", id.partition, offset,
                                   committed_end(id)));
  }
}

int64_t PartitionInvariants::committed_end(const TopicIdPartition& id) const {
  const auto found = committed_.find(id);
  return found == committed_.end() ? 0 : found->second.end();
}

void PartitionInvariants::forget_below(const TopicIdPartition& id, int64_t offset) {
  const auto found = committed_.find(id);
  if (found == committed_.end() || found->second.batches.empty()) return;
  Committed& committed = found->second;
  auto first = std::partition_point(committed.batches.begin(), std::prev(committed.batches.end()),
                                    [&](const Batch& batch) { return batch.next <= offset; });
  if (first == committed.batches.begin()) return;
  committed.start = std::prev(first)->next;
  committed.batches.erase(committed.batches.begin(), first);
}

void PartitionInvariants::sweep(Cluster& cluster, const metadata::ImagePtr& newest) {
  for (const auto& node : cluster.nodes()) {
    if (!node->is_serving()) continue;
    node->for_each_partition([&](const std::shared_ptr<Partition>& partition) {
      if (partition->is_offline()) return;
      if (partition->differs_from_leader()) {
        complaints_.broken("what a copy ends with is what its leader has there, or of another epoch (R59)",
                           fmt::format("{}, epoch {}, which ends at {}", name(*node, *partition),
                                       partition->leader_epoch(), partition->log_end_offset()));
      }
      View& view = views_[node->host()][partition->id()];
      const int64_t end = partition->log_end_offset().value;
      if (end < view.log_end) {
        probes_.hit(Probe::truncated_by_epoch);
        if (++view.truncations == 2) probes_.hit(Probe::truncated_twice);
      }
      view.log_end = end;
      const int64_t cleaned = partition->cleaned_offset().value;
      const bool is_of_groups = partition->topic() == "__consumer_offsets";
      if (cleaned > view.cleaned) probes_.hit(is_of_groups ? Probe::offsets_compacted : Probe::log_compacted);
      view.cleaned = cleaned;
      if (partition->is_leader()) check_leader(*node, *partition, committed_[partition->id()]);
    });
  }
  if (newest) check_members(cluster, *newest);
}

// What is rare and legal, for the probes.
void PartitionInvariants::note_change(const TopicIdPartition& id,
                                      const std::shared_ptr<const metadata::PartitionImage>& state) {
  const auto before = std::exchange(seen_[id], state);
  if (before == state) return;
  if (!state->leader) probes_.hit(Probe::no_leader);
  if (!state->elr.empty()) probes_.hit(Probe::elr_used);
  if (!before) return;
  if (state->isr.size() < before->isr.size()) probes_.hit(Probe::isr_shrunk);
  if (state->isr.size() > before->isr.size()) probes_.hit(Probe::isr_grew);
  if (before->replicas != state->replicas && state->adding.empty() && state->removing.empty()) {
    const bool moved = std::any_of(state->replicas.begin(), state->replicas.end(), [&](BrokerId r) {
      return std::find(before->adding.begin(), before->adding.end(), r) != before->adding.end();
    });
    probes_.hit(moved ? Probe::reassigned : Probe::reassignment_ended_early);
  } else if (!before->adding.empty() && !state->adding.empty() && before->adding != state->adding) {
    probes_.hit(Probe::reassignment_ended_early);
  }
  const bool elected = state->leader && state->leader != before->leader;
  if (elected && std::find(before->elr.begin(), before->elr.end(), *state->leader) != before->elr.end()) {
    probes_.hit(Probe::elected_from_elr);
  }
}

void PartitionInvariants::check_members(Cluster& cluster, const metadata::MetadataImage& image) {
  for (const auto& [broker_id, broker] : image.brokers()) {
    if (!broker->fenced) {
      fenced_.erase(broker_id);
    } else if (fenced_.insert(broker_id).second) {
      probes_.hit(Probe::fenced);
    }
  }
  for (const auto& [topic_id, topic] : image.topics()) {
    for (const auto& [index, state] : topic->partitions) {
      const TopicIdPartition id{topic_id, index};
      note_change(id, state);
      check_members_of(cluster, image, topic->name, id, *state);
    }
  }
}

// Also at the very moment when something is committed: what the leader counts (its maximal ISR) may not lack anybody
// whom the controller counts (R47).
void PartitionInvariants::check_members_of(Cluster& cluster, const metadata::MetadataImage& image,
                                           const std::string& topic, const TopicIdPartition& id,
                                           const metadata::PartitionImage& state) {
  const int64_t end = committed_end(id);
  const auto check = [&](BrokerId member, const char* what) {
    const metadata::BrokerImage* broker = image.broker(member);
    Node* const there = broker != nullptr ? cluster.registered(member, broker->epoch) : nullptr;
    if (there == nullptr) return;
    Node& node = *there;
    const auto& router = node.core().router();
    const int home = router.home_of(id);
    std::optional<int64_t> has;
    Process::look(*node.shards()[static_cast<size_t>(home)], [&] {
      const auto partition = node.core().part(static_cast<size_t>(home)).replicas().find_or_null(id);
      if (partition && !partition->is_offline()) has = partition->log_end_offset().value;
    });
    if (has && *has < end) {
      complaints_.broken("ISR and ELR hold everything committed (R43, R44, R47, R51)",
                         fmt::format("{}-{}: broker {} is in the {} and ends at {}, {} is committed", topic,
                                     id.partition, member, what, *has, end));
    }
  };
  for (const BrokerId member : state.isr) check(member, "ISR");
  for (const BrokerId member : state.elr) check(member, "ELR");
}

}  // namespace sim
