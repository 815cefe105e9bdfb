// Whether those that a cut-off broker cannot hear may have gone on without it (R33). Lost voters look the same from
// here whether they are dead or behind a broken network; but a dead process refuses connections, and then nobody can
// have taken this broker's leaderships over: it goes on serving what it has.
//
// Lives on the controller's shard; others_may_decide() may be read on any thread.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "controller/quorum/controller_runtime.h"
#include "controller/raft/types.h"

namespace controller::quorum {

// Whether voters other than `self` are enough to elect a controller: all that did not refuse may be alive, and one that
// is reached may have our vote too. Pure.
[[nodiscard]] bool others_may_decide(const raft::VoterSet& voters, BrokerId self,
                                     const std::map<BrokerId, metadata::ProbeResult>& found);

class VoterWatch {
 public:
  VoterWatch(BrokerId self, Prober& prober) : self_(self), prober_(prober) {}

  // Asks each voter once; the answers count until the next look is complete.
  void look(const raft::VoterSet& voters,
            const std::function<std::optional<metadata::ClusterEndpoint>(BrokerId)>& address);
  // All is well again: what was found says nothing about the next time.
  void forget();
  [[nodiscard]] bool others_may_decide() const { return may_decide_.load(std::memory_order_acquire); }

 private:
  struct Look {
    raft::VoterSet voters;
    std::map<BrokerId, metadata::ProbeResult> found;
    size_t expected = 0;
  };
  void settle(const Look& look);

  const BrokerId self_;
  Prober& prober_;
  std::shared_ptr<Look> look_;  // under way; answers to one that is forgotten say nothing
  std::atomic<bool> may_decide_{true};
};

}  // namespace controller::quorum
