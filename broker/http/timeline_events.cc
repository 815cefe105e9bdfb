#include "broker/http/timeline_events.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace broker::http {

using namespace controller::metadata;

namespace {

constexpr size_t events_max = 40;  // of one batch: a fenced broker may move thousands of leaders

std::string ids(const std::vector<BrokerId>& of) {
  std::vector<int32_t> numbers;
  for (const BrokerId id : of) numbers.push_back(id.value);
  std::ranges::sort(numbers);
  return numbers.empty() ? "nobody" : fmt::format("{}", fmt::join(numbers, ","));
}

std::vector<BrokerId> missing_from(const std::vector<BrokerId>& some, const std::vector<BrokerId>& others) {
  std::vector<BrokerId> out;
  for (const BrokerId id : some) {
    if (std::ranges::find(others, id) == others.end()) out.push_back(id);
  }
  return out;
}

class Teller {
 public:
  Teller(ImageEditor& editor, BatchStory& story) : editor_(editor), story_(story) {}

  // What brokers suffer in this batch explains what partitions do.
  void note_causes(const std::vector<MetadataRecord>& records) {
    for (const MetadataRecord& record : records) {
      if (const auto* fence = std::get_if<FenceBrokerRecord>(&record)) fenced_.insert(fence->broker_id);
      if (const auto* leaving = std::get_if<BrokerShutdownRecord>(&record)) leaving_.insert(leaving->broker_id);
      if (const auto* again = std::get_if<RegisterBrokerRecord>(&record)) registered_.insert(again->broker_id);
      if (const auto* back = std::get_if<UnfenceBrokerRecord>(&record)) unfenced_.insert(back->broker_id);
      if (const auto* gone = std::get_if<UnregisterBrokerRecord>(&record)) unregistered_.insert(gone->broker_id);
    }
  }

  void tell(const MetadataRecord& record) {
    std::visit([this](const auto& r) { on(r); }, record);
  }

  // One line for all that a batch did to many partitions in the same way.
  void finish() {
    for (const auto& [key, group] : groups_) {
      const auto& [kind, text, reason] = key;
      if (group.count == 1) {
        say(kind, group.first, reason);
      } else {
        say(kind, fmt::format("{} partitions: {} ({}, ...)", group.count, text, group.example), reason);
      }
    }
  }

 private:
  void say(const std::string& kind, std::string text, std::string reason = {}) {
    if (story_.events.size() < events_max) {
      story_.events.push_back({kind, std::move(text), std::move(reason)});
    } else {
      ++story_.events_left_out;
    }
  }
  void say_of_partition(const std::string& kind, const std::string& partition, const std::string& text,
                        const std::string& reason) {
    Group& group = groups_[{kind, text, reason}];
    if (group.count++ == 0) {
      group.example = partition;
      group.first = fmt::format("{}: {}", partition, text);
    }
  }
  [[nodiscard]] std::string name_of(const TopicId& id) const {
    const TopicImage* topic = editor_.image().topic_by_id(id);
    return topic != nullptr ? topic->name : "?";
  }

  void on(const ClusterRecord& r) { say("quorum", fmt::format("cluster {} begins", r.cluster_id.to_string())); }
  void on(const FeatureRecord& r) { say("config", fmt::format("feature {} is at level {}", r.name, r.level)); }
  void on(const RegisterBrokerRecord& r) {
    const BrokerImage* before = editor_.image().broker(r.broker_id);
    say("broker", fmt::format("broker {} registers", r.broker_id),
        before == nullptr ? "new in the cluster" : "a new process of it has started");
  }
  void on(const UnregisterBrokerRecord& r) {
    say("broker", fmt::format("broker {} is removed", r.broker_id));
    story_.gone_brokers.push_back(r.broker_id.value);
  }
  void on(const FenceBrokerRecord& r) {
    const bool is_lost =
        r.reason == FenceReason::refused || r.reason == FenceReason::lost_stream || r.reason == FenceReason::silent;
    if (is_lost) ++story_.sessions_lost;
    say("fence", fmt::format("broker {} is fenced", r.broker_id), why_fenced(r));
  }
  void on(const UnfenceBrokerRecord& r) {
    say("broker", fmt::format("broker {} is in service", r.broker_id), "it has caught up with the metadata");
  }
  void on(const BrokerShutdownRecord& r) {
    say("broker", fmt::format("broker {} is leaving", r.broker_id), "controlled shutdown");
  }
  void on(const TopicRecord& r) {
    say("topic", fmt::format("topic {} is created", r.name));
    created_.insert(r.topic_id);
  }
  void on(const RemoveTopicRecord& r) {
    if (editor_.image().is_kept(r.topic_id)) return;  // told when it was deleted
    story_.gone_topics.push_back(name_of(r.topic_id));
    say("topic", fmt::format("topic {} is deleted", name_of(r.topic_id)));
  }
  void on(const PartitionRecord& r) {
    if (!created_.contains(r.topic_id))
      say_of_partition("topic", fmt::format("{}-{}", name_of(r.topic_id), r.partition), "added", "");
  }
  void on(const PartitionChangeRecord& r) {
    const PartitionImage* before = editor_.image().partition(r.topic_id, r.partition);
    if (before == nullptr) return;
    const PartitionState after = changed(*before, r);
    const std::string name = fmt::format("{}-{}", name_of(r.topic_id), r.partition);
    if (r.leader && before->leader != after.leader) {
      const std::string from = before->leader ? fmt::to_string(before->leader->value) : "nobody";
      const std::string to = after.leader ? fmt::to_string(after.leader->value) : "nobody";
      say_of_partition("election", name, fmt::format("leader {} \u2192 {}", from, to), why_leader(*before, after, r.leader->reason));
    }
    if (r.isr && (!missing_from(before->isr, after.isr).empty() || !missing_from(after.isr, before->isr).empty())) {
      say_of_partition("isr", name, fmt::format("in sync {} \u2192 {}", ids(before->isr), ids(after.isr)),
                       why_isr(*before, after));
    }
    if (r.replicas && before->replicas != after.replicas) {
      say_of_partition("topic", name, fmt::format("replicas {} \u2192 {}", ids(before->replicas), ids(after.replicas)),
                       "reassignment");
    }
  }
  void on(const ConfigRecord& r) {
    if (r.resource.type == ResourceType::topic && r.key == kept_key) return tell_of_kept(r);
    const std::string what = r.resource.type == ResourceType::topic ? "topic " + r.resource.name
                             : r.resource.name.empty()              ? std::string("all brokers")
                                                                    : "broker " + r.resource.name;
    say("config", r.value ? fmt::format("{} of {} is set", r.key, what)
                          : fmt::format("{} of {} returns to its default", r.key, what));
  }
  void tell_of_kept(const ConfigRecord& r) {
    const std::string& name = r.resource.name;
    if (r.value) {
      story_.gone_topics.push_back(name);
      return say("topic", fmt::format("topic {} is deleted", name), "it can be restored for a while");
    }
    say("topic", fmt::format("topic {} is restored", name));
    const TopicId* id = editor_.image().kept_topics().find(name);
    if (id == nullptr) return;
    for (const auto& [index, state] : editor_.image().topic_by_id(*id)->partitions)
      story_.partitions.push_back({name, index.value, *state});
  }
  void on(const ProducerIdsRecord&) {}

  // As far as the batch and what was before it tell: what the controller went by is in its own log.
  [[nodiscard]] std::string why_fenced(const FenceBrokerRecord& r) const {
    switch (r.reason) {
      case FenceReason::refused:
        return "its process is gone: its address refuses connections";
      case FenceReason::lost_stream:
        return "its connection broke, and its machine does not answer";
      case FenceReason::silent:
        return "silent: nothing was heard of it for a session";
      case FenceReason::own_wish:
        return "it asked for it: it cannot serve";
      case FenceReason::stalled:
        return "it speaks, but its work stands still";
      case FenceReason::unknown:
      case FenceReason::replaced:
      case FenceReason::shut_down:
      case FenceReason::unregistered:
        break;  // the batch tells it
    }
    if (unregistered_.contains(r.broker_id)) return "it is removed from the cluster";
    if (registered_.contains(r.broker_id)) return "a new process has taken its place";
    const BrokerImage* before = editor_.image().broker(r.broker_id);
    if (before != nullptr && before->in_controlled_shutdown) return "it has shut down in order";
    return "its process is gone, or nothing was heard of it for a session";
  }
  [[nodiscard]] std::string why_leader(const PartitionState& before, const PartitionState& after,
                                       LeaderReason reason) const {
    if (reason == LeaderReason::slow && before.leader)
      return fmt::format("broker {} is slow: it writes far more slowly than the others", *before.leader);
    if (after.recovery_state == RecoveryState::recovering) return "unclean election: no replica in sync was left";
    if (before.leader && fenced_.contains(*before.leader)) return fmt::format("broker {} is fenced", *before.leader);
    if (before.leader && leaving_.contains(*before.leader)) return fmt::format("broker {} is leaving", *before.leader);
    if (before.leader && registered_.contains(*before.leader))
      return fmt::format("broker {} has started anew", *before.leader);
    if (!before.leader && after.leader) return fmt::format("broker {} is back", *after.leader);
    if (!after.leader) return "no replica in sync is in service";
    if (!after.replicas.empty() && *after.leader == after.replicas.front())
      return "its preferred replica is in sync again";
    if (before.leader) return fmt::format("broker {} can or should not lead it", *before.leader);
    return {};
  }
  [[nodiscard]] std::string why_isr(const PartitionState& before, const PartitionState& after) const {
    const std::vector<BrokerId> left = missing_from(before.isr, after.isr);
    const std::vector<BrokerId> come = missing_from(after.isr, before.isr);
    if (left.empty()) return fmt::format("{} caught up", ids(come));
    for (const BrokerId id : left) {
      if (fenced_.contains(id)) return fmt::format("broker {} is fenced", id);
      if (leaving_.contains(id)) return fmt::format("broker {} is leaving", id);
      if (registered_.contains(id)) return fmt::format("broker {} has started anew", id);
    }
    return fmt::format("{} fell behind", ids(left));
  }

  struct Group {
    size_t count = 0;
    std::string example;
    std::string first;
  };
  ImageEditor& editor_;
  BatchStory& story_;
  std::set<BrokerId> fenced_, leaving_, registered_, unfenced_, unregistered_;
  std::set<TopicId> created_;
  std::map<std::tuple<std::string, std::string, std::string>, Group> groups_;  // kind, text, reason
};

void add_states(const MetadataImage& image, const ImageDelta& delta, BatchStory& story) {
  for (const auto& [topic_id, indexes] : delta.partitions) {
    const TopicImage* topic = image.visible_topic(topic_id);
    for (const PartitionIndex index : indexes) {
      const PartitionImage* state = topic != nullptr ? topic->partition(index) : nullptr;
      if (state != nullptr) story.partitions.push_back({topic->name, index.value, *state});
    }
  }
  for (const BrokerId id : delta.brokers) {
    if (const BrokerImage* broker = image.broker(id)) story.brokers.push_back(*broker);
  }
}

}  // namespace

BatchStory tell(ImageEditor& editor, const std::vector<MetadataRecord>& records, common::model::LogIndex index) {
  BatchStory story;
  const size_t partitions_before = editor.image().partition_count();
  (void)editor.take_delta();
  Teller teller(editor, story);
  teller.note_causes(records);
  for (const MetadataRecord& record : records) {
    teller.tell(record);
    if (!editor.apply(record, index)) break;
  }
  teller.finish();
  editor.set_offset(index);
  add_states(editor.image(), editor.delta(), story);
  if (const size_t count = editor.image().partition_count(); count != partitions_before) story.partition_count = count;
  (void)editor.take_delta();
  return story;
}

}  // namespace broker::http
