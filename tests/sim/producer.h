// A well-behaved idempotent producer: one partition, several batches in flight, and after a failure everything that is
// not acknowledged again, in order, with the same sequence numbers. It never gives a batch up, so what it sent is there
// once and in order, or acknowledged wrongly.
#pragma once
#include <deque>

#include "sim/history.h"
#include "sim/probes.h"

namespace sim {

// The switch of all programs of a run.
struct Running {
  bool producers = true;
  bool paused = false;  // producers live on, and send nothing new
  bool moves = true;
  bool long_lived = false;  // a run of days: everybody has time
  bool calm = false;        // it is being looked at: producers write, operators do nothing
  bool others = true;
};

class Producer {
 public:
  Producer(Client& client, History& history, Probes& probes, const Options& options, const Running& running,
           Place place, Value first_value, int keys = 0);

  // Ends when it is told to and nothing is left to be acknowledged, or when the topic is gone.
  static Awaitable<void> run(Producer& self);
  [[nodiscard]] bool is_done() const { return done_; }
  [[nodiscard]] bool is_idle() const { return unacknowledged_.empty(); }
  [[nodiscard]] const Place& place() const { return place_; }
  // For the message of a failed demand: what waits, and what became of its last attempt.
  [[nodiscard]] std::string what_is_owed() const;
  void abandon() { abandoned_ = true; }  // the topic is being deleted

 private:
  struct Batch {
    int32_t first_sequence = 0;
    std::vector<Value> values;
    int attempts = 0;
    std::optional<BrokerId> first_asked;
    std::optional<BrokerId> last_asked;
    bool in_flight = false;
    std::optional<ErrorCode> error;  // of the last attempt; none while in flight
    bool lost = false;               // the last attempt had no answer
    int64_t offset = -1;
  };
  Awaitable<bool> get_id();
  void add_batch();
  void send_from(size_t index);
  static Awaitable<void> deliver(Producer& self, std::shared_ptr<Batch> batch);
  Buffer encode(const Batch& batch) const;
  bool any_in_flight() const;
  Duration pause();
  [[nodiscard]] Instant next_look(bool may_send) const;
  bool settle();  // takes what was answered; true: everything unacknowledged must be sent again
  void note_silence();
  void start_over();

  Client& client_;
  History& history_;
  Probes& probes_;
  const Options& options_;
  const Running& running_;
  const Place place_;
  Value next_value_;
  const int keys_;  // 0: records have none
  int64_t producer_id_ = -1;
  int16_t epoch_ = 0;
  int32_t next_sequence_ = 0;
  Instant next_batch_at_{};
  Instant burst_ends_{};
  Instant acknowledged_at_{};  // the last time
  std::deque<std::shared_ptr<Batch>> unacknowledged_;
  common::Event answered_;
  bool abandoned_ = false;
  bool done_ = false;
};

}  // namespace sim
