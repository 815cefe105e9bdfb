// Ordinary clients at work on a topic: producers that write numbered records into every partition at a steady pace, a
// consumer group that reads and commits them, and a few onlookers that ask now and then where partitions end, what the
// group has committed and who leads. All of them are librdkafka at its defaults (the onlooker for leaders apart), so
// that what is seen is what users get; all they see goes to a Recorder.
//
// In the end `conclude` lets everything settle, reads every partition completely, and every replica of it where the
// brokers allow that, and has the history judged.
// Thread-compatible: one thread drives it; it has threads of its own.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cli/commands.h"
#include "cli/kafka_client.h"
#include "cli/verify/recorder.h"

namespace cli::verify {

// What the command was given for the client library; what is wrong with it comes to light before, when the cluster is
// opened. A file or a profile is of some application or of a whole cluster: what it says about acks, commits and the
// like, by which a run is judged, is left out. -X is meant for this very run.
[[nodiscard]] std::vector<std::string> library_properties(const Shared& shared);

struct ClientsOptions {
  Shared shared;
  std::string topic;
  std::string group;
  std::string history;  // a file, or empty
  std::vector<std::string> properties;
  Promise::Acks acks = Promise::Acks::all;
  int producers = 1;
  int consumers = 2;
  double rate = 200;      // records a second of each producer into each partition
  double total_rate = 0;  // instead: of all producers into all partitions
  int size = 100;         // bytes of a record
  std::chrono::milliseconds settle{60'000};
};

// "all" or "-1", "1", "0".
Promise::Acks acks_from(std::string_view text);

// Where a run stands when it ends: what was seen, and what could not be looked at.
struct Conclusion {
  Verdict verdict;
  bool is_complete = false;
  std::string incomplete;          // why not
  std::vector<std::string> notes;  // what was not checked
};

class Clients {
 public:
  explicit Clients(ClientsOptions options);
  ~Clients();
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // Connects, finds the topic's partitions, and gives a group that has no offsets those where the partitions begin.
  Outcome<void> open();
  void start();
  // `step` is told what goes on ("reading everything once more").
  Conclusion conclude(const Requirements& requirements, const std::function<void(std::string_view)>& step = {});

  Recorder& recorder() { return recorder_; }
  [[nodiscard]] int32_t partitions() const { return partitions_; }

 private:
  class Producer;
  class Consumer;
  friend class Producer;
  friend class Consumer;

  Outcome<int32_t> find_partitions(rd_kafka_t* client);
  Outcome<KafkaHandle> make_reader(const std::string& group) const;
  Outcome<void> give_the_group_offsets();
  rd_kafka_resp_err_t commit_where_logs_begin();
  rd_kafka_resp_err_t commit_and_wait(rd_kafka_t* client, const rd_kafka_topic_partition_list_t* offsets);
  void watch_ends();
  void watch_commits();
  void watch_leaders();
  void ask_commits(rd_kafka_t* client);
  // Waits until `condition` holds, for the time to settle at most; false if it did not come.
  bool wait_until(const std::function<bool()>& condition) const;
  Outcome<std::vector<int64_t>> read_everything();
  bool read_by_consumers(const std::vector<int64_t>& ends);

  const ClientsOptions options_;
  const std::string run_;  // in every record, so that those of other runs are told apart
  Recorder recorder_;
  int32_t partitions_ = 0;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
  KafkaHandle ends_client_;
  KafkaHandle commits_client_;
  std::vector<std::thread> watchers_;
  std::atomic<bool> producing_ = true;
  std::atomic<bool> consuming_ = true;
  std::atomic<bool> watching_ = true;
};

}  // namespace cli::verify
