// Which leaders their followers do not reach, though heartbeats go on: a port that refuses, a link that carries nothing
// one way. Such a leader commits nothing, and no failure detector sees it. Followers report every attempt that fails.
//
// Pure; thread-compatible, lives with its ControllerState, on its monotonic clock.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "controller/metadata/options.h"

namespace controller::metadata {

class Reach {
 public:
  // `lasting`: how long a follower must have failed before it counts.
  explicit Reach(Duration lasting) : lasting_(lasting) {}

  // `follower` did not reach `leader` just now, or lost its stream.
  void on_report(BrokerId follower, BrokerId leader, Instant now);
  // Begins a new life, or serves again: what was reported before says nothing any more.
  void forget(BrokerId leader);
  // It is no member of the cluster any more.
  void remove(BrokerId id);

  [[nodiscard]] bool is_cut(BrokerId follower, BrokerId leader, Instant now) const;
  // Those that somebody does not reach.
  [[nodiscard]] std::set<BrokerId> suspects(Instant now) const;

  // Leaderships went away for it. They do not come back for a minute, and for twice as long each time.
  void on_moved(BrokerId leader, Instant now);
  [[nodiscard]] bool is_shunned(BrokerId leader, Instant now) const;
  [[nodiscard]] std::set<BrokerId> shunned(Instant now) const;

 private:
  struct Reports {
    Instant since;
    Instant last;
  };
  struct Shunned {
    Instant until;
    Duration pause{0};
  };
  const Duration lasting_;
  std::map<std::pair<BrokerId, BrokerId>, Reports> reports_;  // leader, follower
  std::map<BrokerId, Shunned> shunned_;
};

}  // namespace controller::metadata
