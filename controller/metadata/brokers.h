// Brokers come and go: registration with incarnation and epoch (R24-R26), fencing and unfencing (R25, R27), stalls
// (R32) and controlled shutdown (R31). What is agreed is in the image; what this active controller merely heard is in
// here and dies with it.
//
// Pure; thread-compatible, lives with its ControllerState.
#pragma once
#include <map>
#include <set>
#include <string_view>

#include "controller/metadata/draft.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

// As a log line has it.
[[nodiscard]] std::string_view to_string(FenceReason reason);

class BrokerRegistry {
 public:
  // `activation` is the last index that the predecessor may have written.
  BrokerRegistry(const ControllerOptions& options, const MetadataImage& image, LogIndex activation, Instant now);

  // `last_heard`: when the registered incarnation last sent a heartbeat to us.
  [[nodiscard]] RegisterBrokerAnswer register_broker(Draft& draft, const RegisterBroker& request,
                                                     std::optional<Instant> last_heard, Instant now);
  [[nodiscard]] BrokerHeartbeatAnswer heartbeat(Draft& draft, const BrokerHeartbeat& heartbeat, Instant now);
  [[nodiscard]] UnregisterBrokerAnswer unregister(Draft& draft, const UnregisterBroker& request);

  // Fence, out of every ISR, leaders elsewhere: one atomic batch (R25, R37).
  void fence(Draft& draft, BrokerId id, FenceReason reason, std::string_view detail = {});

  // What the broker said it has applied.
  [[nodiscard]] std::optional<LogIndex> applied(BrokerId id) const;
  // R81: whether the broker would rather not lead that partition.
  [[nodiscard]] bool is_reluctant(BrokerId id, const TopicIdPartition& partition) const;
  // Whether any broker is of any.
  [[nodiscard]] bool is_space_scarce() const;
  // Whether the broker has said that its copy is offline (R72, R76).
  [[nodiscard]] bool is_offline(BrokerId id, const TopicIdPartition& partition) const;
  // Grows when a broker says something new of its replicas' trouble.
  [[nodiscard]] uint64_t trouble_changes() const { return trouble_changes_; }
  // Brokers in service long enough to get their leaderships back.
  [[nodiscard]] std::set<BrokerId> settled(const MetadataImage& image, Instant now) const;

 private:
  struct Heard {
    BrokerEpoch epoch;
    std::optional<LogIndex> applied;
    std::optional<Instant> active_since;
    LogIndex unfence_from;                // it must have applied its own fencing before it serves again
    std::optional<LogIndex> shutdown_at;  // the moves of its controlled shutdown
    ReplicaTrouble trouble;
    std::set<TopicIdPartition> newly_damaged;  // said since that look
    std::optional<LogIndex> relieved_at;  // image offset at the last look at what the trouble asks for
    // Failed replicas that lead all the same, and where that stands in the metadata log.
    struct Ordered {
      LeaderEpoch epoch;
      std::optional<LogIndex> by;
    };
    std::map<TopicIdPartition, Ordered> ordered;
  };

  [[nodiscard]] Heard& heard(const BrokerImage& broker);
  void shut_down(Draft& draft, const BrokerImage& broker, Heard& heard);
  void note_trouble(Heard& heard, const BrokerHeartbeat& beat);
  void look_at_trouble(Draft& draft, BrokerId id, Heard& heard);
  [[nodiscard]] static ReplicaTrouble due_trouble(const MetadataImage& image, BrokerId id, Heard& heard);
  [[nodiscard]] bool everyone_applied(const MetadataImage& image, BrokerId but, LogIndex index) const;

  const ControllerOptions& options_;
  const LogIndex activation_;
  std::map<BrokerId, Heard> heard_;
  uint64_t trouble_changes_ = 0;
};

}  // namespace controller::metadata
