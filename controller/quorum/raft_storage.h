// Where a Raft node keeps what must survive: the interface that the driver uses, so that the simulator can bring its
// own. Lives on the controller's shard; callbacks come there too, never inside a call.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controller/raft/effects.h"

namespace controller::quorum {

using common::model::Result;

class RaftStorage {
 public:
  // Set before the first call.
  struct Events {
    // Every operation up to `token` is durable. `installed`: the snapshot that InstallSnapshot made current with it.
    std::function<void(raft::PersistToken token, std::optional<raft::Snapshot> installed)> on_durable;
    // The hard state of `token` is durable, and has overtaken operations that wait for room. A term that passes and a
    // vote want none: a full disk must not keep the others from electing somebody.
    std::function<void(raft::PersistToken token)> on_hard_state_durable;
    // The disk is full: operations wait, and go on by themselves when there is room (R81). Said again while it lasts.
    std::function<void()> on_stalled;
    // Final (R76): nothing becomes durable any more.
    std::function<void(std::string reason)> on_failed;
  };

  virtual ~RaftStorage() = default;
  virtual void listen(Events events) = 0;
  // In order, also across calls.
  virtual void persist(std::vector<raft::Persist> operations) = 0;
  // A snapshot that the state machine made; `done` when it is durable, with meta completed (R14).
  virtual void save_snapshot(raft::Snapshot snapshot, std::function<void(Result<raft::Snapshot>)> done) = 0;
  // Finishes what was given and releases the files.
  virtual void close(std::function<void()> done) = 0;
  // How often this directory was started, this time included: the high part of session numbers (R23).
  [[nodiscard]] virtual uint64_t starts() const = 0;
};

}  // namespace controller::quorum
