// Runs this node of the metadata quorum: first start, then raft::Node over its storage, its transport and one timer.
// Decides nothing itself; carries events in and effects out, in the order that controller/raft/effects.h demands.
//
// Lives on the controller's shard: every call, every callback. start() and stop() may be called from any thread.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/disk/disk.h"
#include "common/logging.h"
#include "common/model/random.h"
#include "common/shard.h"
#include "controller/quorum/formation.h"
#include "controller/quorum/peer_transport.h"
#include "controller/quorum/raft_api.h"
#include "controller/quorum/raft_storage.h"

namespace controller::quorum {

struct RaftDriverOptions {
  BrokerId node_id;
  std::string metadata_log_dir;                // the log lies in its folder __cluster_metadata-0
  std::vector<ConfiguredPeer> voters;          // controller.quorum.voters or .bootstrap.servers; empty: this node alone
  raft::Endpoint endpoint;                     // where the others reach this node's gRPC
  std::optional<std::string> cluster_id;       // configured, or found in the data directories' meta.properties
  bool data_directories_have_cluster = false;  // the latter: this node may join that cluster but not found one
  raft::Config raft;                           // times and bounds; `self` and `bootstrap_peers` are filled in here
  LinkTimes links;
  uint64_t snapshot_bytes = 4u << 20;  // of committed entries since the last one; the log in memory is about as long
  common::Duration snapshot_interval = std::chrono::hours(1);
};

// Who this node turned out to be.
struct QuorumIdentity {
  std::string cluster_id;            // as clients see it
  common::model::Uuid cluster_uuid;  // the same for handshakes: parsed, or derived where it is no UUID
  raft::NodeKey key;
};

class RaftDriver final : public Raft {
 public:
  // `disk` belongs to `shard` and has a pool of its own (R78). Everything outlives the driver.
  RaftDriver(RaftDriverOptions options, common::Shard& shard, common::disk::Disk& disk, common::model::Random& random,
             RaftWire& wire, RaftListener& listener, common::Logger logger);
  ~RaftDriver() override;  // on the shard or after it has stopped; after stop()

  // Opens or founds (waits for peers as long as it takes), then takes part. `ready` comes once: the identity before the
  // listener hears anything, or why this node cannot take part.
  void start(std::function<void(Result<QuorumIdentity>)> ready);
  // Hands over leadership if it leads, makes durable what is under way, ends. `done` on the shard, within about a
  // second.
  void stop(std::function<void()> done);

  // Raft
  Result<LogIndex> propose(Buffer payload, std::function<void(Result<LogIndex>)> on_committed) override;
  [[nodiscard]] Room room() const override;
  [[nodiscard]] std::optional<BrokerId> leader() const override;
  [[nodiscard]] bool is_leader() const override;
  [[nodiscard]] bool is_confirmed() const override;
  [[nodiscard]] Term term() const override;
  [[nodiscard]] raft::QuorumStatus describe() const override;
  [[nodiscard]] RaftMeasures measures() const override { return measures_; }
  void read_index(std::function<void(Result<LogIndex>)> done) override;
  void transfer_leadership(std::optional<BrokerId> target, std::function<void(Result<void>)> done) override;
  void resign(std::string_view why) override;
  void add_voter(raft::Voter voter, std::function<void(Result<void>)> done) override;
  using Raft::remove_voter;
  void remove_voter(raft::NodeKey voter, raft::Afterwards afterwards, std::function<void(Result<void>)> done) override;
  void update_voter(raft::NodeKey voter, raft::Endpoint endpoint, std::function<void(Result<void>)> done) override;

 private:
  struct Proposal {
    Term term;
    std::function<void(Result<LogIndex>)> done;
    common::Instant proposed_at;
  };
  struct WaitingRead {
    LogIndex index;
    std::function<void(Result<LogIndex>)> done;
  };

  // --- raft_driver_start.cc
  static common::Awaitable<void> run_start_to_end(RaftDriver& self);
  static common::Awaitable<void> run_start(RaftDriver& self);
  Result<void> load_properties();
  Result<void> store_properties(QuorumProperties properties);
  Result<void> confirm_properties();
  Result<void> begin_anew(const std::string& why);
  common::Awaitable<Result<void>> form();
  common::Awaitable<std::vector<std::optional<PeerAnswer>>> ask_peers();
  common::Awaitable<void> find_someone();
  common::Awaitable<Result<raft::RestoredState>> open_storage();
  void publish();
  void begin(raft::RestoredState restored);
  void listen_to_storage();
  void listen_to_transport();
  void add_fallbacks();

  // --- raft_driver.cc
  void carry_out(raft::Effects effects);
  void deliver(raft::Effects& effects);
  void observe(const raft::Notice& notice);
  void measure(const raft::RoleChanged& change);
  void arm();
  void on_tick();
  void fail_proposals(const char* why);
  void maybe_snapshot();
  void learn_addresses(const raft::VoterSet& voters);
  [[nodiscard]] std::set<BrokerId> needed_peers() const;
  void finish_reads();
  void look_for_leader();
  void handle_proposed(Result<raft::Proposed> proposed, std::function<void(Result<LogIndex>)> done);
  void handle_change(Result<raft::Proposed> proposed, std::function<void(Result<void>)> done);

  const RaftDriverOptions options_;
  const std::string directory_;
  common::Shard& shard_;
  common::disk::Disk& disk_;
  common::model::Random& random_;
  RaftWire& wire_;
  RaftListener& listener_;
  common::Logger logger_;

  std::function<void(Result<QuorumIdentity>)> ready_;
  std::unique_ptr<RaftStorage> storage_;
  std::unique_ptr<RaftTransport> transport_;
  std::unique_ptr<raft::Node> node_;                    // none until the first start is over
  QuorumProperties properties_;                         // as on disk, or to be once the log is
  std::optional<QuorumProperties> stored_properties_;   // on disk
  bool was_formed_ = false;                             // before this start: the vote must be there (R4)
  std::map<BrokerId, raft::Endpoint> answering_peers_;  // who said so itself, at first start
  common::TimerHandle timer_;
  std::optional<common::Instant> armed_for_;

  std::map<LogIndex, Proposal> proposals_;
  std::map<uint64_t, std::function<void(Result<LogIndex>)>> reads_;  // not confirmed yet
  std::vector<WaitingRead> confirmed_reads_;                         // confirmed, not applied yet
  uint64_t next_read_ = 1;
  std::function<void(Result<void>)> transfer_;
  bool leadership_reported_ = false;
  std::optional<BrokerId> reported_leader_;
  RaftMeasures measures_;
  std::optional<common::Instant> standing_since_;  // for election, until there is a leader
  std::optional<common::Instant> leaderless_since_;
  common::TimerHandle leader_timer_;

  uint64_t bytes_since_snapshot_ = 0;
  common::Instant snapshot_at_{};
  bool is_snapshotting_ = false;
  bool stopping_ = false;
  bool starting_ = false;               // run_start is under way
  std::function<void()> on_start_end_;  // stop() waits for it
  common::Event stop_;
  common::TimerHandle stop_timer_;
  std::shared_ptr<bool> alive_;
};

}  // namespace controller::quorum
