// A consumer that follows one partition from its beginning and tells the history what it is given.
#pragma once
#include "sim/history.h"
#include "sim/probes.h"
#include "sim/producer.h"
#include "sim/records.h"

namespace sim {

class Consumer {
 public:
  Consumer(Client& client, History& history, const Running& running, int32_t number, Place place)
      : client_(client), history_(history), running_(running), number_(number), place_(place) {}

  static Awaitable<void> run(Consumer& self);
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  [[nodiscard]] int64_t position() const { return position_; }
  void abandon() { abandoned_ = true; }

 private:
  enum class Poll { fine, look_again };
  Awaitable<Poll> poll();

  Client& client_;
  History& history_;
  const Running& running_;
  const int32_t number_;
  const Place place_;
  int64_t position_ = 0;
  std::string complaint_;  // a promise that this consumer saw broken
  bool abandoned_ = false;
};

// One fetch without waiting; nothing on any failure. `log_start` becomes what it is if that is above `from`.
Awaitable<std::optional<std::vector<SeenRecord>>> fetch_once(Client& client, BrokerId leader, Place place, int64_t from,
                                                             int64_t& log_start);

struct FinalRecord {
  int64_t offset = 0;
  int64_t value = -1;
  int64_t timestamp = -1;
};
// Everything in a partition from where its log starts up to the high watermark, from its leader, again and again until it answers. Nothing: it did
// not for so long.
Awaitable<std::optional<std::vector<FinalRecord>>> read_all(Client& client, Place place, Duration patience,
                                                            int64_t& log_start);

}  // namespace sim
