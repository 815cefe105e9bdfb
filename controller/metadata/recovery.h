// When every replica that held all of a partition's records has come back from an unclean stop (ISR and ELR are empty),
// the one with the longest log is the best that is left: ask those last known to be complete where their copies end,
// elect the longest, and say that records may be lost (R46, KIP-966).
//
// Pure; thread-compatible, lives with its ControllerState. Soft state: a new controller asks again.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "controller/metadata/draft.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

class LongestLogRecovery {
 public:
  // Looks through the whole image for partitions to recover: once, at activation.
  void scan(const MetadataImage& image);
  // Looks at what has changed.
  void follow(const MetadataImage& image, const ImageDelta& delta);

  // What to ask `broker` with the answer to its heartbeat.
  [[nodiscard]] std::vector<LogEndQuery> queries_for(BrokerId broker) const;
  void on_log_end(BrokerId broker, BrokerEpoch epoch, const LogEnd& end);

  // Whose copy its broker has reported as offline (R72, R76): it can still say where that ended.
  using IsOffline = std::function<bool(BrokerId, const TopicIdPartition&)>;
  // Whether that life of the broker has said that what it had of the partition is not there.
  [[nodiscard]] bool is_without(BrokerId broker, BrokerEpoch epoch, const TopicIdPartition& partition) const;
  // Elects where every candidate is in service and has answered in its present life. Offline copies, and those that are
  // not there any more, are not waited for while they are no more than may be lost at once (minISR - 1), and none of
  // them is known to have ended later: then somebody else has what they had. Where the broker of one that is offline is
  // not in service, it is given a session's time to say where that ended: after a change of controllers nobody is, and
  // what the former one had been told is forgotten.
  void elect(Draft& draft, const IsOffline& is_offline, const ControllerOptions& options, Instant now);
  [[nodiscard]] bool idle() const { return pending_.empty(); }

 private:
  struct Answer {
    BrokerEpoch broker_epoch;
    LogEnd end;
  };
  struct Pending {
    LeaderEpoch leader_epoch;
    LogIndex asked_at;
    std::vector<BrokerId> candidates;  // in assignment order
    std::map<BrokerId, Answer> answers;
    std::optional<Instant> looked_at;  // first
  };
  // What is known of a partition's candidates at a moment.
  struct Heard {
    std::vector<std::pair<BrokerId, LogEnd>> online;
    std::vector<std::pair<BrokerId, LogEnd>> out_of_reach;  // offline, and it is known where they end
    size_t offline = 0;                                     // with those of which nothing is known
    bool complete = true;                                   // nobody is waited for
  };
  void consider(const MetadataImage& image, const TopicIdPartition& partition, const PartitionState* state);
  // Forgets answers of former lives.
  Heard heard_of(const TopicIdPartition& partition, Pending& pending, const MetadataImage& image,
                 const IsOffline& is_offline, const ControllerOptions& options, Instant now) const;

  std::map<TopicIdPartition, Pending> pending_;
};

}  // namespace controller::metadata
