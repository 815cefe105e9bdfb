// What is rare and legal, seen in what brokers say to each other, in what they agree on, and in how they stand: for the
// probes.
#pragma once
#include <span>

#include "controller/metadata/records.h"
#include "controller/raft/messages.h"
#include "sim/cluster.h"
#include "sim/probes.h"

namespace sim {

class Sightings {
 public:
  explicit Sightings(Probes& probes) : probes_(probes) {}

  void on_raft_sent(const controller::raft::Message& message);
  void on_committed(std::span<const controller::raft::Entry> entries);
  // Now and then.
  void sweep(Cluster& cluster);

 private:
  template <class Any>
  void saw(const Any&) {}
  void saw(const controller::raft::VoteRequest& m);
  void saw(const controller::raft::VoteResponse& m);
  void saw(const controller::raft::AppendResponse& m);
  void saw(const controller::raft::SnapshotRequest& m);
  void saw(const controller::raft::TimeoutNow& m);
  void saw(const controller::raft::ObserverHello& m);
  void saw(const controller::raft::VotersHint& m);
  void saw(const controller::raft::StateLostNotice& m);
  void saw(const controller::metadata::FenceBrokerRecord& r);
  void saw(const controller::metadata::BrokerShutdownRecord& r);
  void saw(const controller::metadata::PartitionChangeRecord& r);
  void saw(const controller::metadata::ConfigRecord& r);
  void saw(const controller::metadata::ProducerIdsRecord& r);

  Probes& probes_;
  int64_t next_ = 0;  // the first index that nobody has delivered
};

}  // namespace sim
