// The active controller: requests and evidence in, records and answers out. One of these is made when a
// node becomes active and thrown away when it is deposed; its image runs ahead of what is committed, and every answer
// is held by the runtime until what it rests on has committed (R16).
//
// This class routes; the rules are in topics, partitions, reassignment, configs, brokers, producer_ids,
// failure_detector and recovery. Pure; thread-compatible, lives on the controller shard.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/model/random.h"
#include "controller/metadata/brokers.h"
#include "controller/metadata/draft.h"
#include "controller/metadata/failure_detector.h"
#include "controller/metadata/options.h"
#include "controller/metadata/reach.h"
#include "controller/metadata/recovery.h"
#include "controller/metadata/slow_brokers.h"

namespace controller::metadata {

struct ActivationStart {
  MetadataImage image;                          // everything up to our own log end at election has been applied (R16)
  LogIndex next_index;                          // where our first batch will stand
  Uuid cluster_id;                              // for the first activation of a cluster's life
  std::optional<BrokerId> previous_controller;  // whose process may have died (R28)
};

class ControllerState {
 public:
  // `options`, `schema` and `random` outlive this object.
  ControllerState(const ControllerOptions& options, const ConfigSchema& schema, common::model::Random& random,
                  ActivationStart start, Instant now);

  // Every decision with records must be appended, in the order given, each at next_index() as it was before the call.
  // If others append to the log too (voter changes), tell the new end first.
  void set_next_index(LogIndex index);
  [[nodiscard]] LogIndex next_index() const { return next_index_; }

  // The first records of a cluster; empty ever after.
  [[nodiscard]] Decision bootstrap();
  [[nodiscard]] Decision handle(const ControllerRequest& request, Instant now);
  // To be called every few ten milliseconds, and at next_deadline().
  [[nodiscard]] std::vector<Decision> on_tick(Instant now);
  [[nodiscard]] std::optional<Instant> next_deadline() const { return detector_.next_deadline(); }

  // Evidence (failure_detector.h).
  void on_stream_lost(BrokerId id, BrokerEpoch epoch, Instant now) { detector_.on_stream_lost(id, epoch, now); }
  void on_probe(BrokerId id, BrokerEpoch epoch, ProbeResult result, Instant now) {
    detector_.on_probe(id, epoch, result, now);
  }
  void on_witness(BrokerId reporter, BrokerId id, BrokerEpoch epoch, Instant now);
  [[nodiscard]] std::vector<ProbeOrder> take_probes(Instant now) { return detector_.take_probes(now); }

  // Runs ahead of what is committed.
  [[nodiscard]] const MetadataImage& image() const { return image_; }
  // What a broker said it has applied (CreateTopics waits for it).
  [[nodiscard]] std::optional<LogIndex> applied(BrokerId id) const { return registry_.applied(id); }
  [[nodiscard]] size_t slow_brokers() const;  // in service: one that is gone delays nobody

 private:
  [[nodiscard]] Draft draft() const {
    return Draft(image_, next_index_,
                 [this](BrokerId id, const TopicIdPartition& partition) { return has_no_copy(id, partition); });
  }
  // None that could be used, or none of what it had.
  [[nodiscard]] bool has_no_copy(BrokerId id, const TopicIdPartition& partition) const;
  // Takes over what the draft did to the image.
  Decision adopt(Draft&& draft, ControllerAnswer answer, Instant now);
  void follow_brokers(const MetadataImage& before, Instant now);

  ControllerAnswer answer(Draft& draft, const CreateTopics& r, Instant now);
  ControllerAnswer answer(Draft& draft, const DeleteTopics& r, Instant now);
  ControllerAnswer answer(Draft& draft, const CreatePartitions& r, Instant now);
  ControllerAnswer answer(Draft& draft, const AlterConfigs& r, Instant now);
  ControllerAnswer answer(Draft& draft, const AlterPartition& r, Instant now);
  ControllerAnswer answer(Draft& draft, const ElectLeaders& r, Instant now);
  ControllerAnswer answer(Draft& draft, const AlterPartitionReassignments& r, Instant now);
  ControllerAnswer answer(Draft& draft, const AllocateProducerIds& r, Instant now);
  ControllerAnswer answer(Draft& draft, const RegisterBroker& r, Instant now);
  ControllerAnswer answer(Draft& draft, const BrokerHeartbeat& r, Instant now);
  ControllerAnswer answer(Draft& draft, const UnregisterBroker& r, Instant now);
  ControllerAnswer answer(Draft& draft, const DescribeQuorum& r, Instant now);
  ControllerAnswer answer(Draft& draft, const AddRaftVoter& r, Instant now);
  ControllerAnswer answer(Draft& draft, const RemoveRaftVoter& r, Instant now);

  void fence_the_gone(Instant now, std::vector<Decision>& decisions);
  void recover_by_longest_log(Instant now, std::vector<Decision>& decisions);
  void relieve_the_unreached(Instant now, std::vector<Decision>& decisions);
  void relieve_the_slow(Instant now, std::vector<Decision>& decisions);
  void grow_internal(Instant now, std::vector<Decision>& decisions);
  void return_leaders(Instant now, std::vector<Decision>& decisions);
  void remove_kept_topics(Instant now, std::vector<Decision>& decisions);
  [[nodiscard]] bool lacks_room(const TopicImage& topic) const;

  const ControllerOptions& options_;
  const ConfigSchema& schema_;
  common::model::Random& random_;
  MetadataImage image_;
  LogIndex next_index_;
  const Uuid cluster_id_;
  BrokerRegistry registry_;
  FailureDetector detector_;
  Reach reach_;
  Instant reach_looked_at_;
  SlowBrokers slow_;
  Instant slow_looked_at_;
  LongestLogRecovery recovery_;
  std::set<BrokerId> fast_fenced_;              // and not back in service yet
  std::optional<LogIndex> scanned_leaders_at_;  // image offset of the last look for leaders to return
  std::set<BrokerId> scanned_settled_;
  std::set<BrokerId> scanned_shunned_;
  std::set<BrokerId> scanned_slow_;
  uint64_t scanned_troubles_ = 0;
  std::optional<LogIndex> scanned_internal_at_;
  // Deleted topics that are kept: what their deletion said, and when we first saw it. No clock but our own is trusted
  // with an end (R22, R82), so one that takes over gives them their whole time again.
  std::map<TopicId, std::pair<std::string, Instant>> kept_since_;
  Instant rebalanced_at_;
};

}  // namespace controller::metadata
