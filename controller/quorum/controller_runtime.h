// A node's half of the controller: applies the committed metadata log to its image on every node, and runs the active
// controller's state machine on the node that leads the quorum. It decides nothing itself: decisions come from
// metadata::ControllerState, order and durability from Raft. In here are what lies between: proposals, held answers
// (R16), the clock, probes, and publishing.
//
// Lives on the controller's shard; everything is called there.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/logging.h"
#include "common/shard.h"
#include "controller/metadata/controller_state.h"
#include "controller/quorum/metadata_publisher.h"
#include "controller/quorum/raft_api.h"
#include "controller/quorum/voter_changes.h"

namespace controller::quorum {

using common::model::Instant;
using metadata::ControllerAnswer;
using metadata::ControllerRequest;

// Connects once, plainly, and tells how it went; within a fraction of a second, on the controller's shard.
class Prober {
 public:
  virtual ~Prober() = default;
  virtual void probe(const metadata::ProbeOrder& order, std::function<void(metadata::ProbeResult)> done) = 0;
};

struct RuntimeHooks {
  // Known once the node has an identity; asked when the first controller of a cluster's life becomes active.
  std::function<common::model::Uuid()> cluster_id;
  // This node cannot go on: a committed record does not apply, or the metadata log is gone (R18). Must end the process.
  std::function<void(const std::string& why)> on_fatal;
};

class ControllerRuntime final : public RaftListener {
 public:
  // References outlive the runtime.
  ControllerRuntime(common::Shard& shard, metadata::ControllerOptions options, const metadata::ConfigSchema& schema,
                    common::model::Random& random, Prober& prober, common::Logger log, RuntimeHooks hooks);
  ~ControllerRuntime() override;
  ControllerRuntime(const ControllerRuntime&) = delete;
  ControllerRuntime& operator=(const ControllerRuntime&) = delete;

  // Once, before Raft calls its listener.
  void attach(Raft& raft) { raft_ = &raft; }

  // Answers once what was decided, and all that it rests on, is committed (R16); Refused{NOT_CONTROLLER} if this node
  // is not the active controller, or ceases to be meanwhile. CreateTopics and CreatePartitions also wait until the new
  // leaders have applied it, until `deadline`.
  using Done = std::function<void(Reply)>;
  void handle(const ControllerRequest& request, Instant deadline, Done done);
  [[nodiscard]] bool active() const { return state_ != nullptr; }
  [[nodiscard]] ControllerMeasures measures() const;
  // After so much silence the active controller fences a broker, if it is this node.
  [[nodiscard]] common::Duration session_timeout() const { return options_.detector.session_timeout; }

  // Evidence about brokers (failure_detector.h); ignored unless active.
  void on_session_lost(BrokerId id, common::model::BrokerEpoch epoch);
  void on_witness(BrokerId reporter, BrokerId id, common::model::BrokerEpoch epoch);

  [[nodiscard]] MetadataPublisher& publisher() { return publisher_; }
  [[nodiscard]] const ImagePtr& image() const { return publisher_.image(); }
  // Calls `f(true)` once every subscriber on this node has applied `index`, `f(false)` at `deadline`.
  void when_applied(LogIndex index, Instant deadline, std::function<void(bool)> f);
  // Calls `f` whenever every subscriber on this node has come further.
  void when_applied_moves(std::function<void()> f) { applied_watchers_.push_back(std::move(f)); }
  // Calls `f` after every change of leader or of this node's activity.
  void when_leader_changes(std::function<void()> f) { leader_watchers_.push_back(std::move(f)); }
  [[nodiscard]] std::optional<BrokerId> leader() const { return raft_->leader(); }

  // RaftListener
  void on_snapshot(Buffer state, LogIndex end) override;
  void on_committed(std::span<const raft::Entry> entries) override;
  void on_leadership_gained(Term term, LogIndex start) override;
  void on_leadership_lost(Term term) override;
  void on_leader_changed(std::optional<BrokerId> leader, Term term) override;
  Buffer make_snapshot() override;
  void on_halted(const std::string& reason) override;

 private:
  // An answer that waits for the log.
  struct Held {
    LogIndex need;
    bool has_records = false;
    std::optional<Instant> leaders_until;  // set: then wait for the new partitions' leaders, until this
    Reply reply;
    Done done;
    std::vector<std::string> log;
  };
  // Came while leadership was being handed over.
  struct Deferred {
    ControllerRequest request;
    Instant deadline;
    Done done;
  };
  // A committed answer that waits for brokers to apply what it says.
  struct AwaitingBrokers {
    LogIndex index;
    std::vector<BrokerId> brokers;
    Instant until;
    Reply reply;
    Done done;
  };
  struct AwaitingImage {
    LogIndex index;
    Instant until;
    std::function<void(bool)> f;
  };

  void decide(const ControllerRequest& request, Instant deadline, Done done);
  void submit(metadata::Decision decision, std::optional<Instant> leaders_until, Done done);
  void on_proposal_done(Result<LogIndex> index);
  void release_committed();
  void release(Held held);
  void log_changes(const std::vector<std::string>& lines);
  void check_awaiting_brokers();
  void check_awaiting_image();
  void tick();
  void arm_tick();
  void start_probes();
  void publish(metadata::MetadataImage image, metadata::ImageDelta delta);
  void deactivate();
  void give_up_leadership();
  void tell_leader_watchers();
  void halt(const std::string& why);
  [[nodiscard]] metadata::DescribeQuorumAnswer describe_quorum() const;

  common::Shard& shard_;
  const metadata::ControllerOptions options_;
  const metadata::ConfigSchema& schema_;
  common::model::Random& random_;
  Prober& prober_;
  const common::Logger log_;
  const RuntimeHooks hooks_;
  Raft* raft_ = nullptr;
  MetadataPublisher publisher_;

  std::unique_ptr<metadata::ControllerState> state_;  // while active
  std::unique_ptr<VoterChanges> voter_changes_;       // the same
  LogIndex last_proposed_;                            // of this activation
  LogIndex last_committed_;                           // the same, known committed
  std::deque<Held> held_;                             // `need` never decreases
  std::vector<Deferred> deferred_;                    // in the order in which they came
  std::vector<AwaitingBrokers> awaiting_brokers_;
  std::vector<AwaitingImage> awaiting_image_;
  std::optional<BrokerId> known_leader_;
  std::optional<BrokerId> previous_leader_;  // the last one that was not this node
  std::vector<std::function<void()>> leader_watchers_;
  std::vector<std::function<void()>> applied_watchers_;
  common::TimerHandle tick_timer_;
  common::TimerHandle image_timer_;
  ControllerMeasures measures_;
  Instant tick_due_;
  bool halted_ = false;
  std::shared_ptr<bool> alive_;  // of this runtime
  std::shared_ptr<bool> term_;   // of this activation: late callbacks of an older one are dropped
};

}  // namespace controller::quorum
