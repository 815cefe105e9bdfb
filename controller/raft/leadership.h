// What only a leader knows, for the term that it leads: the progress of every peer, rounds of contact, waiting reads
// and a hand-over in progress. Made when an election is won, dropped with the leadership. Says what to send; the Node
// decides what follows from answers.
//
// Thread-compatible.
#pragma once
#include <deque>
#include <map>
#include <vector>

#include "controller/raft/config.h"
#include "controller/raft/effects.h"
#include "controller/raft/log_view.h"
#include "controller/raft/progress.h"
#include "controller/raft/status.h"

namespace controller::raft {

// What of the Node a leader's sending depends on.
struct LeaderView {
  Term term;
  const LogView& log;
  const VoterSet& voters;
  const std::optional<Snapshot>& snapshot;
  LogIndex committed;
};

class Leadership {
 public:
  // `start` is the index of this term's first entry.
  Leadership(const Config& config, LogIndex start, const VoterSet& voters, LogIndex log_end, Instant now);

  [[nodiscard]] LogIndex start() const { return start_; }

  // --- peers
  void on_voters_changed(const VoterSet& voters, LogIndex log_end, Instant now);
  // False when there are too many already.
  bool on_observer(const NodeKey& key, LogIndex its_end, LogIndex log_end, Instant now);
  void on_peer_connected(BrokerId id);
  void forget_silent_observers(const VoterSet& voters, Instant now);
  // nullptr: not a peer of ours.
  [[nodiscard]] Progress* find(const NodeKey& key);

  // --- sending
  // Entries and snapshot pieces, as far as each peer's window allows; the committed end alone where that is news, since
  // images must not wait for a heartbeat.
  void send_ready(const LeaderView& view, std::vector<Message>& out);
  // One message to everyone, entries where something is due again.
  void send_heartbeats(const LeaderView& view, Instant now, std::vector<Message>& out);
  [[nodiscard]] Instant heartbeat_due() const { return heartbeat_due_; }
  // When this node has to ask itself whether it still leads (R8): reads that are confirmed again and again (R17) send
  // heartbeats too and put the next one off, but not this.
  [[nodiscard]] Instant look_due() const { return look_due_; }
  void looked(Instant now) { look_due_ = now + config_.heartbeat; }

  // --- majorities
  // How far a majority of voters is durable, this node counting `own_durable` if it is a voter (R2, R12).
  [[nodiscard]] LogIndex majority_durable(const VoterSet& voters, LogIndex own_durable) const;
  // How many of them answer lately, this node included if it is one.
  [[nodiscard]] size_t in_contact(const VoterSet& voters, Instant now) const;
  // Its process has ended: it is nobody who answers, however lately it did.
  void note_gone(BrokerId peer);
  // When a majority had been heard last, this node included (R8).
  [[nodiscard]] Instant majority_contact(const VoterSet& voters, Instant now) const;
  // A majority has answered what was sent no longer ago than it stands by a leader (R7): nobody else leads yet. Answers
  // that waited for us while this process stood still are contact (R8), but say nothing of now.
  [[nodiscard]] bool is_confirmed(const VoterSet& voters, Instant now) const;

  // Since when this node's own disk has not gone on though more is committed; none: it keeps up.
  [[nodiscard]] std::optional<Instant> held_up_since(LogIndex own_durable, LogIndex committed, Instant now);

  // --- reads (R17)
  void begin_read(uint64_t id, LogIndex committed) { reads_.push_back({id, ++round_, committed}); }
  // Those that a majority has confirmed, in order.
  [[nodiscard]] std::vector<ReadReady> take_confirmed_reads(const VoterSet& voters);
  [[nodiscard]] std::vector<uint64_t> take_all_reads();

  // --- hand-over (R10)
  [[nodiscard]] bool is_transferring() const { return transfer_.has_value(); }
  [[nodiscard]] std::optional<Instant> transfer_deadline() const;
  void begin_transfer(NodeKey target, Instant now);
  void end_transfer() { transfer_.reset(); }
  // The voter, other than this node, that lags least among those heard lately.
  [[nodiscard]] std::optional<NodeKey> best_successor(const VoterSet& voters, Instant now) const;
  // TimeoutNow once the target has everything.
  void push_transfer(const LeaderView& view, std::vector<Message>& out);

  // --- bounds
  [[nodiscard]] size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  void add_uncommitted(size_t bytes) { uncommitted_bytes_ += bytes; }
  void remove_uncommitted(size_t bytes) { uncommitted_bytes_ -= std::min(bytes, uncommitted_bytes_); }

  void shift(Duration by);
  [[nodiscard]] std::vector<ReplicaStatus> status(const VoterSet& voters) const;

 private:
  struct Read {
    uint64_t id = 0;
    uint64_t round = 0;
    LogIndex index;
  };
  struct Round {
    uint64_t number = 0;
    Instant sent;
  };
  struct Transfer {
    NodeKey target;
    Instant deadline;
    bool told = false;
  };

  [[nodiscard]] bool is_heard(const Progress& progress, Instant now) const {
    return progress.has_answered() && !progress.state_lost() && !progress.is_gone() &&
           now - progress.last_contact() < config_.leader_silence;
  }
  [[nodiscard]] std::optional<uint64_t> confirmed_round(const VoterSet& voters) const;
  void send_to(const NodeKey& key, Progress& progress, const LeaderView& view, std::vector<Message>& out);
  [[nodiscard]] Message message(const NodeKey& to, Term term, MessageBody body) const;
  [[nodiscard]] AppendRequest append_from(LogPosition previous, const LeaderView& view) const;

  const Config& config_;
  const LogIndex start_;
  std::map<NodeKey, Progress> peers_;  // every voter but this node, and observers
  uint64_t round_ = 0;                 // of the newest message that asks for contact
  std::deque<Round> rounds_;           // those of the last leader_silence, some left out; never shifted
  Instant heartbeat_due_;
  Instant look_due_;
  std::vector<Read> reads_;  // rounds rising
  std::optional<Transfer> transfer_;
  LogIndex own_durable_;
  std::optional<Instant> held_up_since_;
  size_t uncommitted_bytes_ = 0;
};

}  // namespace controller::raft
