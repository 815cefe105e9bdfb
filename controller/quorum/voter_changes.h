// Changes of the quorum's voters on the node that leads it: those that somebody asks for (AddRaftVoter,
// RemoveRaftVoter), and those that the leader makes by itself (controller/raft/upkeep.h). What is allowed is decided by
// Raft (R12); here lies the waiting: for a new voter that is still catching up, for a change that is under way, for the
// first commit of a term.
//
// Lives on the controller's shard, for one activation. No callback comes after stop().
#pragma once
#include <functional>
#include <list>
#include <map>
#include <memory>

#include "common/logging.h"
#include "common/shard.h"
#include "controller/metadata/image.h"
#include "controller/metadata/requests.h"
#include "controller/quorum/raft_api.h"
#include "controller/raft/upkeep.h"

namespace controller::quorum {

using common::model::Instant;
using metadata::ControllerAnswer;

// An answer, and the index that the asker's image must reach to see what was done.
struct Reply {
  ControllerAnswer answer;
  std::optional<LogIndex> committed_at;
};

class VoterChanges {
 public:
  using Done = std::function<void(Reply)>;

  // References outlive it.
  VoterChanges(common::Shard& shard, Raft& raft, common::Logger log);
  ~VoterChanges();

  // Answered when the change is committed; tried again until shortly before `deadline` as long as it may yet succeed.
  void add(const metadata::AddRaftVoter& request, const metadata::MetadataImage& image, Instant deadline, Done done);
  void remove(const metadata::RemoveRaftVoter& request, Instant deadline, Done done);
  void on_tick(const metadata::MetadataImage& image);
  // This node is the active controller no more: who waits is told so.
  void stop();

 private:
  struct Waiting;
  using Callback = std::function<void(Result<void>)>;
  void begin(std::shared_ptr<Waiting> waiting);
  void attempt(const std::shared_ptr<Waiting>& waiting);
  void on_outcome(const std::shared_ptr<Waiting>& waiting, const Result<void>& outcome);
  [[nodiscard]] raft::NodeKey key_of(const metadata::AddRaftVoter& request,
                                     const std::vector<common::model::DirectoryId>& registered) const;
  void carry_out(const raft::Upkeep& upkeep);

  common::Shard& shard_;
  Raft& raft_;
  const common::Logger log_;
  std::list<std::shared_ptr<Waiting>> waiting_;
  std::optional<Instant> next_upkeep_;
  bool upkeep_in_flight_ = false;
  std::string upkeep_refused_;  // the last reason, said once
  std::shared_ptr<bool> alive_;
};

}  // namespace controller::quorum
