// Inside of Node: the rules, over the parts that own the state. node_core.cc has what every role shares, and
// node_election.cc, node_follower.cc and node_leader.cc the roles. Private to this folder. Thread-compatible, as Node.
#pragma once
#include "controller/raft/ballot.h"
#include "controller/raft/durability.h"
#include "controller/raft/leadership.h"
#include "controller/raft/log_view.h"
#include "controller/raft/membership.h"
#include "controller/raft/node.h"
#include "controller/raft/snapshot_receiver.h"
#include "controller/raft/timers.h"

namespace controller::raft {

class Node::Impl {
 public:
  Impl(Config config, RestoredState restored, common::model::Random& random, Instant now);

  // Each event begins with enter(now) and ends with leave().
  void enter(Instant now);
  Effects leave();

  // --- node_core.cc
  void start();
  void dispatch(const Message& message);
  void on_durable(PersistToken token);
  void on_hard_state_durable(PersistToken token);
  void on_snapshot_made(Snapshot snapshot);
  void halt(std::string reason);
  void lose_state(std::string reason);
  void on_tick();
  [[nodiscard]] Instant next_deadline() const;
  [[nodiscard]] QuorumStatus status() const;
  void check_invariants() const;

  // --- node_election.cc
  void on_peer_connected(BrokerId peer);
  void on_peer_gone(BrokerId peer);
  void on_older_image(BrokerId peer);
  void on_election_deadline();
  void begin_pre_vote();
  void begin_election(VoteKind kind);
  void ask_for_vote(const NodeKey& voter);
  void handle(const Message& message, const VoteRequest& request);
  void handle(const Message& message, const VoteResponse& response);
  void handle(const Message& message, const TimeoutNow& request);

  // --- node_follower.cc
  void handle(const Message& message, const AppendRequest& request);
  void handle(const Message& message, const SnapshotRequest& request);
  void handle(const Message& message, const VotersHint& hint);
  void handle(const Message& message, const StateLostNotice& notice);
  void finish_install();
  void say_hello();
  void acknowledge();

  // --- node_leader.cc
  void become_leader();
  void resign(std::string_view why);
  Result<LogIndex> propose(EntryKind kind, Buffer payload);
  Result<LogIndex> change_voters(const VoterSet& voters);
  Result<LogIndex> add_voter(Voter voter);
  Result<LogIndex> remove_voter(const NodeKey& voter, Afterwards afterwards);
  Result<LogIndex> update_voter(const NodeKey& voter, Endpoint endpoint);
  Result<void> read_index(uint64_t id);
  Result<void> transfer_leadership(std::optional<BrokerId> target);
  void handle(const Message& message, const AppendResponse& response);
  void handle(const Message& message, const SnapshotResponse& response);
  void handle(const Message& message, const ObserverHello& hello);
  void advance_commit();
  void leader_tick();
  void look_at_own_disk();
  bool has_lost_state(const NodeKey& key, Progress& progress, LogIndex its_end);

  // --- shared steps
  void become_follower(Term term, std::optional<BrokerId> leader);
  void set_role(Role role, std::optional<BrokerId> leader);
  void end_leadership(TransferOutcome outcome);
  void save_hard_state();  // term or vote changed: messages wait for it
  void save_committed_floor();
  PersistToken persist(PersistToken token, PersistOperation operation);
  void append_to_log(std::vector<Entry> entries);
  void truncate_log(LogIndex end);
  void deliver();
  void send(const NodeKey& to, MessageBody body);
  // What a leader sends waits for its vote as everything else does: a single voter leads before its disk is done.
  template <class F>
  void lead(F fill) {
    std::vector<Message> out;
    fill(out);
    for (Message& message : out) durability_.send(std::move(message), effects_.messages);
  }
  void note(Notice notice) { effects_.notices.push_back(std::move(notice)); }
  template <class... A>
  void log(fmt::format_string<A...> text, A&&... a) {
    effects_.log.push_back(fmt::format(text, std::forward<A>(a)...));
  }
  [[nodiscard]] LeaderView view() const { return {term_, log_, membership_.current(), snapshot_, committed_}; }
  [[nodiscard]] bool is_voter() const { return membership_.current().contains(config_.self); }
  [[nodiscard]] bool may_stand() const;
  [[nodiscard]] bool is_leader() const { return leadership_.has_value(); }
  // This node leads and an entry of its term is committed: it knows what is committed at all (R5, R12, R16).
  [[nodiscard]] bool knows_committed() const { return is_leader() && committed_ > leadership_->start(); }

  const Config config_;
  Instant now_;

  // Durable before anything is said under it (R1).
  Term term_;
  std::optional<NodeKey> voted_for_;
  LogIndex committed_floor_;
  Instant floor_saved_at_;

  Role role_ = Role::follower;
  std::optional<BrokerId> leader_;  // of term_; this node's id exactly while it leads
  LogView log_;
  Membership membership_;
  Timers timers_;
  Durability durability_;
  std::optional<Snapshot> snapshot_;            // newest durable one; ends at or before delivered_
  std::optional<Snapshot> installed_snapshot_;  // given by the shell, waiting for its token

  LogIndex committed_;  // never falls
  LogIndex delivered_;  // min(committed, durable here), never falls
  LogIndex matched_;    // follower: entries before it equal those of this term's leader

  // By role.
  std::optional<Ballot> ballot_;           // prospective, candidate
  VoteKind attempt_ = VoteKind::pre_vote;  // what the ballot is about
  std::optional<Leadership> leadership_;   // leader
  bool gained_reported_ = false;           // leader: LeadershipGained was said
  std::optional<Instant> led_on_disk_until_;  // the last hand-over for the sake of the own disk
  SnapshotReceiver receiver_;              // follower
  uint64_t last_round_ = 0;                // follower: of the leader's newest message, echoed
  Instant hello_due_;                      // not a voter: next greeting
  VoterSet hinted_;                        // not a voter: whom others name
  std::optional<std::string> lost_at_start_;

  Effects effects_;
};

}  // namespace controller::raft
