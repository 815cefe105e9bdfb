// The programs of a run: topics are made, producers write, consumers read, and in the end everything is read once more.
#pragma once
#include <memory>
#include <vector>

#include "sim/admin.h"
#include "sim/consumer.h"
#include "sim/group_member.h"
#include "sim/long_life.h"
#include "sim/loose_producer.h"
#include "sim/onlooker.h"
#include "sim/mover.h"
#include "sim/producer.h"
#include "sim/restorer.h"

namespace sim {

class Workload {
 public:
  Workload(Cluster& cluster, History& history, Probes& probes);

  void start();
  // A long life is looked at: producers write and operators do nothing, until it is over.
  void set_calm(bool calm) { running_.calm = calm; }
  // No new reassignments: who is sent on before the copy is done never has a full ISR.
  void stop_moving() { running_.moves = false; }
  // No new records until they are resumed.
  void pause_producing() { running_.paused = true; }
  void resume_producing() { running_.paused = false; }
  // No new records; what is unacknowledged is still carried to its end.
  void stop_producing() { running_.producers = false; }
  void stop() { running_.others = false; }

  static constexpr int keys = 20;  // of the compacted topic
  [[nodiscard]] bool is_ready() const { return ready_; }  // the topics are there
  // All that was sent is acknowledged.
  [[nodiscard]] bool is_settled() const;
  // Which partitions still owe an acknowledgement, in words.
  [[nodiscard]] std::string what_is_owed() const;
  [[nodiscard]] std::string complaint() const;
  // Every group is stable and commits.
  [[nodiscard]] bool groups_are_stable() const;
  [[nodiscard]] const std::vector<Place>& places() const { return places_; }
  [[nodiscard]] const std::vector<Place>& keyed_places() const { return keyed_places_; }
  [[nodiscard]] const std::vector<FinalRecord>& final_records(const Place& place) { return final_records_[place]; }

  // A further producer, from now on.
  Producer& add_producer(const Place& place, Value first_value, int keys = 0);

  // Reads every partition to its end, into the history.
  void start_final_read();
  [[nodiscard]] bool final_read_done() const { return final_reads_left_ == 0; }
  [[nodiscard]] const std::string& final_read_failure() const { return final_read_failure_; }

 private:
  [[nodiscard]] Admin::Settings settings_of_topic(int number) const;
  static Awaitable<void> prepare(Workload& self);
  static Awaitable<void> read_to_end(Workload& self, Place place);
  void start_programs();
  void start_sleepers();
  void start_loose();
  void start_onlookers();
  void start_compacted();
  void start_regretted();
  void wake(Client& client);
  Client& new_client(const std::string& name);

  Cluster& cluster_;
  History& history_;
  Probes& probes_;
  const Options& options_;
  Running running_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::unique_ptr<LooseProducer> loose_;
  std::optional<Place> loose_place_;
  std::vector<std::unique_ptr<Onlooker>> onlookers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<Mover> mover_;
  std::unique_ptr<Restorer> restorer_;
  std::optional<Place> regretted_place_;
  std::vector<std::unique_ptr<GroupHistory>> groups_;
  std::vector<std::unique_ptr<GroupMember>> members_;
  std::vector<Place> places_;
  std::vector<Place> first_topic_;  // what the groups read
  std::vector<Place> keyed_places_;
  bool ready_ = false;
  size_t final_reads_left_ = 1;
  std::string final_read_failure_;
  std::map<Place, std::vector<FinalRecord>> final_records_;
};

}  // namespace sim
