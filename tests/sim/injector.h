// Makes the planned faults happen, and ends them.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "sim/atlas.h"
#include "sim/faults.h"
#include "sim/probes.h"

namespace sim {

class Injector {
 public:
  Injector(Cluster& cluster, Probes& probes);

  void schedule(const std::vector<Fault>& plan);
  // Ends whatever is wrong and starts what is down. Later faults of the plan do not happen, until it goes on.
  void heal();
  // All but one, which stays away until heal().
  enum class Away { dead, cut_off };
  void heal_core(Node& out, Away how);
  [[nodiscard]] bool can_do_without(const Node& out, const controller::metadata::MetadataImage& image) const {
    return atlas_.can_do_without(out, image);
  }
  void go_on() { healed_ = false; }
  // A disk on which something has rotted unnoticed is found out: an operator takes the partition's directory away, for
  // the broker to fetch it anew. Only while all others are whole. False: there was no such disk.
  bool repair_rot();

  [[nodiscard]] uint64_t fired() const;
  [[nodiscard]] const std::array<uint64_t, fault_kinds>& fired_by_kind() const { return fired_; }
  // Machines that stopped in the middle of a write. After every event.
  void look_for_stopped(Process* process);
  std::function<void(const std::string&)> trace;

 private:
  void end_faults();
  static void make_well(Node& node);
  void begin(const Fault& fault);
  bool apply(const Fault& fault);
  bool apply_to_process(const Fault& fault, Node& node);
  bool apply_to_network(const Fault& fault, Node& node);
  bool apply_to_disk(const Fault& fault, Node& node);
  bool apply_to_all(const Fault& fault);
  bool apply_to_quorum(const Fault& fault);
  bool change_voters(const controller::raft::QuorumStatus& quorum, const Fault& fault);
  void on_controller(std::function<void(controller::quorum::Raft&)> f);
  void add_voter(const controller::raft::Voter& voter, int attempts);
  void remove_voter(const controller::raft::Voter& voter);

  bool kill(Node& node, Duration down);
  bool lose_power(Node& node, Duration down, uint64_t how);
  void start_after_leaving(Node& node, Duration later, int patience);
  void start_later(Node& node, Duration down);
  void start(Node& node);
  void cut(std::vector<std::pair<Host, Host>> directions, Duration length);
  void refuse_connections(Host from, Host to, bool both_ways, Duration length);
  bool fail_other_calls(Node& node, const Fault& fault);
  bool rot(Node& node, const Fault& fault);
  static std::vector<std::string> files_of_partitions(Node& node, std::initializer_list<std::string_view> ends);
  bool misdirect(Node& node, const Fault& fault);
  bool fail_writes(Node& node, const Fault& fault);
  bool lose_directory(Node& node, const Fault& fault);
  bool replace_disk(Node& node, const Fault& fault);
  // injector_copies.cc
  bool start_with_disk_of_another(Node& node, const Fault& fault);
  void give_own_disk_back(Node& node);
  bool start_twin(Node& node, const Fault& fault);
  void end_twin(Node& node);
  void end_copies();
  static std::vector<std::string> noticed_if_lost(Node& node);
  void restart_from(size_t index, Duration pause);
  void after(Duration length, std::function<void()> f);
  [[nodiscard]] Node& other(const Node& node, uint64_t choice) const;
  [[nodiscard]] std::vector<Host> broker_hosts() const;

  Cluster& cluster_;
  Probes& probes_;
  Atlas atlas_;
  std::array<uint64_t, fault_kinds> fired_{};
  bool healed_ = false;
  uint64_t heals_ = 0;
  std::vector<std::unique_ptr<common::disk::SimulatedDisk>> images_;  // older ones, by node
  std::set<Host> may_stop_;                                           // told to stop in the middle of a change
  // Of brokers that were started with another one's disk: their own.
  std::map<Host, std::unique_ptr<common::disk::SimulatedDisk>> own_disks_;
  // Copies that were made of a broker's disk when it last had a twin.
  std::map<Host, std::unique_ptr<common::disk::SimulatedDisk>> former_disks_;
  std::set<Host> have_twins_;
};

}  // namespace sim
