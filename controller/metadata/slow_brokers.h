// Who is alive but slow ("gray failure", correctness section 4): a broker whose writes, or whose syncs before an
// acknowledgement, have taken far longer than those of its peers for seconds. Only the comparison tells: a load or a
// machine that makes all of them slow is nobody's failure, and moving leaders would mend nothing. So a majority is
// never slow, and among two brokers nobody is.
//
// Nothing rests on it: a wrong suspicion costs elections, never data. A new controller begins with no history (R28); so
// that it does not make leaders of slow brokers until it has seen them for long enough, none returns to one that looks
// slow at the moment.
//
// Pure; thread-compatible, lives with its ControllerState, on its monotonic clock.
#pragma once
#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "controller/metadata/options.h"
#include "controller/metadata/requests.h"

namespace controller::metadata {

class SlowBrokers {
 public:
  // What a broker in service says of its work. A line for the log, if it becomes slow by that or is so no longer.
  [[nodiscard]] std::optional<std::string> on_heartbeat(BrokerId id, BrokerEpoch epoch, const Progress& progress,
                                                        Instant now);
  // It is no member of the cluster any more.
  void forget(BrokerId id) { brokers_.erase(id); }
  // This controller stood still: it does not know what lasted meanwhile.
  void on_own_pause();

  [[nodiscard]] bool is_slow(BrokerId id) const;
  [[nodiscard]] std::set<BrokerId> slow() const;
  // These, and those that have looked like it a moment ago.
  [[nodiscard]] std::set<BrokerId> suspects(Instant now) const;

  // Leaderships are moved from one broker a minute: if that makes the next one slow, it was the load.
  [[nodiscard]] bool may_move(Instant now) const;
  void on_moved(Instant now) { moved_at_ = now; }

 private:
  static constexpr size_t kinds = 2;  // of figures: of writes, and of syncs
  struct Said {
    std::chrono::milliseconds figure{0};
    Instant at;
  };
  struct Broker {
    BrokerEpoch epoch;
    Instant heard_at;
    Progress progress;
    std::array<std::optional<Said>, kinds> said;  // of each kind the last one
    bool is_slow = false;
    std::optional<Instant> since;           // its figures have spoken for the opposite of is_slow
    std::optional<Instant> quiet_since;     // it is slow, and has said nothing of its work
    std::optional<Instant> looked_slow_at;  // compared with its peers, last
  };

  // The upper one where there are two; unset where fewer than two of them have said anything lately.
  [[nodiscard]] std::optional<std::chrono::milliseconds> median_of_others(BrokerId id, size_t kind, Instant now) const;
  [[nodiscard]] std::chrono::milliseconds limit(BrokerId id, size_t kind, Instant now) const;
  [[nodiscard]] std::optional<std::string> look_for_slowness(BrokerId id, Broker& broker, Instant now) const;
  [[nodiscard]] std::optional<std::string> look_for_recovery(BrokerId id, Broker& broker, Instant now) const;

  std::map<BrokerId, Broker> brokers_;
  std::optional<Instant> moved_at_;
};

}  // namespace controller::metadata
