// A metadata log that several runtimes share without Raft: appended by whoever the test says leads, committed after a
// delay while a majority lives. Everything happens on one shard. Thread-compatible.
#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/shard.h"
#include "controller/quorum/raft_api.h"

namespace quorum_test {

namespace quorum = controller::quorum;
namespace raft = controller::raft;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::ErrorCode;
using common::model::fail;
using common::model::LogIndex;
using common::model::Result;
using common::model::Term;

class FakeQuorum;

class FakeRaft final : public quorum::Raft {
 public:
  FakeRaft(FakeQuorum& q, BrokerId self) : quorum_(q), self_(self) {}
  Result<LogIndex> propose(Buffer payload, std::function<void(Result<LogIndex>)> on_committed) override;
  quorum::Room room() const override;
  std::optional<BrokerId> leader() const override;
  bool is_leader() const override;
  bool is_confirmed() const override;
  Term term() const override;
  raft::QuorumStatus describe() const override;
  void read_index(std::function<void(Result<LogIndex>)> done) override;
  void transfer_leadership(std::optional<BrokerId> target, std::function<void(Result<void>)> done) override;
  void resign(std::string_view why) override;
  void add_voter(raft::Voter, std::function<void(Result<void>)>) override {}
  void remove_voter(raft::NodeKey, raft::Afterwards, std::function<void(Result<void>)>) override {}
  void update_voter(raft::NodeKey, raft::Endpoint, std::function<void(Result<void>)>) override {}

 private:
  FakeQuorum& quorum_;
  const BrokerId self_;
};

class FakeQuorum {
 public:
  explicit FakeQuorum(common::Shard& shard) : shard_(shard) {}

  std::unique_ptr<FakeRaft> join(BrokerId id, quorum::RaftListener& listener) {
    nodes_[id] = Node{&listener, LogIndex{0}};
    if (leader_) listener.on_leader_changed(leader_, term_);
    deliver(id);
    return std::make_unique<FakeRaft>(*this, id);
  }
  void leave(BrokerId id) {
    nodes_.erase(id);
    if (leader_ == id) {
      leader_.reset();
      drop_uncommitted();
    }
  }

  void elect(BrokerId id) {
    depose();
    term_ = term_.next();
    leader_ = id;
    tell();
    raft::Entry entry{term_, next_index(), raft::EntryKind::leader_change, {}};
    const LogIndex start = entry.index;
    log_.push_back({std::move(entry), nullptr});
    commit_all();
    nodes_.at(id).listener->on_leadership_gained(term_, start);
    active_ = true;
  }
  // The leader steps down; what is not committed stays in the log and commits under the next leader, or is dropped.
  void depose() {
    if (!leader_) return;
    const BrokerId old = *leader_;
    leader_.reset();
    if (!nodes_.contains(old) || !active_) return;
    active_ = false;
    for (Appended& a : log_) {
      if (a.entry.index >= committed_ && a.done) std::exchange(a.done, nullptr)(fail(ErrorCode::not_controller));
    }
    if (drop_at_next_election_) drop_uncommitted();
    nodes_.at(old).listener->on_leadership_lost(term_);
    tell();
  }
  // Whether the entries in flight at a change of leader are lost.
  void drop_uncommitted_at_elections(bool yes) { drop_at_next_election_ = yes; }
  // Nothing commits while held.
  void hold_commits(bool yes) {
    held_ = yes;
    if (!yes) schedule();
  }
  // What is committed does not reach that node while held, as if its disk had no room or the network carried all but
  // that.
  void hold_delivery(BrokerId id, bool yes) {
    if (yes) {
      undelivered_.insert(id);
    } else if (undelivered_.erase(id) > 0) {
      shard_.post([this, id] { deliver(id); });
    }
  }
  std::optional<BrokerId> leader() const { return leader_; }
  size_t size() const { return log_.size(); }
  quorum::Room room = quorum::Room::enough;  // what the leader has; none: it takes no batch
  // The next batch is not taken: too much waits already, or it is too large.
  void refuse_next_proposal() { refuses_next_ = true; }
  // The next batch is appended, and its leader is one no longer when it hears of that: its disk has failed.
  void depose_in_next_proposal() { deposes_next_ = true; }
  // No majority confirms anything while held; then they do not.
  void hold_reads() { reads_held_ = true; }
  void fail_reads() {
    reads_held_ = false;
    for (auto& done : std::exchange(held_reads_, {})) done(fail(ErrorCode::not_controller));
  }

 private:
  friend class FakeRaft;
  struct Node {
    quorum::RaftListener* listener = nullptr;
    LogIndex delivered;
  };
  struct Appended {
    raft::Entry entry;
    std::function<void(Result<LogIndex>)> done;
  };

  void read(std::function<void(Result<LogIndex>)> done) {
    if (reads_held_) return held_reads_.push_back(std::move(done));
    done(LogIndex{0});
  }
  bool reads_held_ = false;
  std::vector<std::function<void(Result<LogIndex>)>> held_reads_;

  LogIndex next_index() const { return LogIndex{static_cast<int64_t>(log_.size())}; }
  void tell() {
    for (auto& [id, node] : nodes_) {
      shard_.post([this, id = id, leader = leader_, term = term_] {
        if (nodes_.contains(id) && term == term_) nodes_.at(id).listener->on_leader_changed(leader, term);
      });
    }
  }
  void drop_uncommitted() { log_.resize(static_cast<size_t>(committed_.value)); }
  void schedule() {
    timer_ = shard_.call_at(shard_.now() + std::chrono::milliseconds(2), [this] {
      if (!held_) commit_all();
    });
  }
  void commit_all() {
    if (committed_ == next_index()) return;
    const LogIndex from = committed_;
    committed_ = next_index();
    for (auto& [id, node] : nodes_) {
      if (leader_ == id) {
        deliver(id);
      } else {
        shard_.post([this, id = id] { deliver(id); });
      }
    }
    for (LogIndex i = from; i < committed_; i += 1) {
      auto& a = log_[static_cast<size_t>(i.value)];
      if (a.done) std::exchange(a.done, nullptr)(i);
    }
  }
  void deliver(BrokerId id) {
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || undelivered_.contains(id)) return;
    std::vector<raft::Entry> entries;
    for (LogIndex i = found->second.delivered; i < committed_; i += 1)
      entries.push_back(log_[static_cast<size_t>(i.value)].entry);
    found->second.delivered = committed_;
    if (!entries.empty()) found->second.listener->on_committed(entries);
  }

  common::Shard& shard_;
  std::map<BrokerId, Node> nodes_;
  std::set<BrokerId> undelivered_;
  std::vector<Appended> log_;
  LogIndex committed_;
  Term term_;
  std::optional<BrokerId> leader_;
  bool active_ = false;
  bool drop_at_next_election_ = false;
  bool refuses_next_ = false;
  bool deposes_next_ = false;
  bool held_ = false;
  common::TimerHandle timer_;
};

inline Result<LogIndex> FakeRaft::propose(Buffer payload, std::function<void(Result<LogIndex>)> on_committed) {
  if (!is_leader()) return fail(ErrorCode::not_controller);
  if (quorum_.room == quorum::Room::none) return fail(ErrorCode::not_controller);
  if (std::exchange(quorum_.refuses_next_, false)) return fail(ErrorCode::throttling_quota_exceeded);
  const LogIndex index = quorum_.next_index();
  quorum_.log_.push_back(
      {raft::Entry{quorum_.term_, index, raft::EntryKind::data, std::move(payload)}, std::move(on_committed)});
  if (std::exchange(quorum_.deposes_next_, false)) quorum_.depose();
  quorum_.schedule();
  return index;
}
inline void FakeRaft::read_index(std::function<void(Result<LogIndex>)> done) {
  quorum_.read(std::move(done));
}
inline quorum::Room FakeRaft::room() const {
  return quorum_.room;
}
inline std::optional<BrokerId> FakeRaft::leader() const {
  return quorum_.leader_;
}
inline bool FakeRaft::is_leader() const {
  return quorum_.leader_ == self_;
}
inline bool FakeRaft::is_confirmed() const {
  return is_leader() && !quorum_.reads_held_;
}
inline Term FakeRaft::term() const {
  return quorum_.term_;
}
inline raft::QuorumStatus FakeRaft::describe() const {
  raft::QuorumStatus status;
  status.term = quorum_.term_;
  status.leader = quorum_.leader_;
  status.committed = quorum_.committed_;
  for (const auto& [id, node] : quorum_.nodes_) {
    raft::ReplicaStatus r;
    r.key.id = id;
    r.is_voter = true;
    r.log_end = node.delivered;
    status.replicas.push_back(r);
  }
  // A voter set is in the order in which its members joined; this one's joined from the last to the first.
  std::ranges::reverse(status.replicas);
  return status;
}
inline void FakeRaft::transfer_leadership(std::optional<BrokerId> target, std::function<void(Result<void>)> done) {
  for (const auto& [id, node] : quorum_.nodes_) {
    if (id != self_ && (!target || *target == id)) {
      quorum_.shard_.post([this, id = id, done] {
        quorum_.elect(id);
        done({});
      });
      return;
    }
  }
  done(fail(ErrorCode::unknown_server_error));
}
inline void FakeRaft::resign(std::string_view) {
  if (is_leader()) quorum_.depose();
}

}  // namespace quorum_test
