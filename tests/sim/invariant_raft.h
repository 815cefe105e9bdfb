// What must hold of the metadata quorum: one leader a term, one committed log that every node delivers from, without
// gaps, also after restarts and from snapshots, and no answer to what a leader has not said.
#pragma once
#include <map>
#include <span>
#include <vector>

#include "controller/raft/messages.h"
#include "sim/complaints.h"
#include "sim/probes.h"

namespace sim {

class RaftInvariants {
 public:
  RaftInvariants(Complaints& complaints, Probes& probes) : complaints_(complaints), probes_(probes) {}

  void on_started(int node) { next_.erase(node); }
  void on_leadership(int node, uint64_t life, common::model::Term term);
  void on_committed(int node, std::span<const controller::raft::Entry> entries);
  void on_snapshot(int node, common::model::LogIndex end);
  void on_sent(int node, const controller::raft::Message& message);
  [[nodiscard]] uint64_t committed() const { return committed_.size(); }
  [[nodiscard]] uint64_t leader_changes() const { return leaders_.size(); }

 private:
  void note_voters(const controller::raft::Entry& entry);

  Complaints& complaints_;
  Probes& probes_;
  std::map<common::model::Term, std::pair<int, uint64_t>> leaders_;  // by term: node and its life
  std::vector<common::model::BrokerId> awaited_;                     // by the newest committed set of voters
  std::vector<uint64_t> committed_;                                  // by index: what the entry is
  std::map<int, int64_t> next_;                                      // per process: the next index it must deliver
  std::map<common::model::Term, uint64_t> rounds_;                   // by term: the newest that its leader has sent
};

}  // namespace sim
