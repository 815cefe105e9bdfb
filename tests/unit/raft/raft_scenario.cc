#include "raft/raft_scenario.h"

#include <algorithm>

#include "controller/raft/upkeep.h"

namespace raft_test {
namespace {

using test_support::Command;
using test_support::ScenarioError;

int id_in(const Command& command) {
  if (command.words().empty()) throw ScenarioError{"which node?"};
  return std::stoi(command.words().front());
}

// "3@2" as (end, term).
std::pair<LogIndex, Term> point(const std::string& text) {
  const size_t at = text.find('@');
  if (at == std::string::npos) throw ScenarioError{text + " is not end@term"};
  return {LogIndex(std::stoll(text.substr(0, at))), Term(std::stoi(text.substr(at + 1)))};
}

std::string notice_text(const Notice& notice) {
  struct Text {
    std::string operator()(const RoleChanged&) const { return ""; }  // the log line says it
    std::string operator()(const LeadershipGained& n) const {
      return fmt::format("* leads term {} from {}", n.term, n.start);
    }
    std::string operator()(const LeadershipLost& n) const { return fmt::format("* lost term {}", n.term); }
    std::string operator()(const VotersChanged& n) const {
      std::string ids;
      for (const Voter& v : n.voters.voters()) ids += fmt::format("{}{}", ids.empty() ? "" : ",", v.key.id);
      for (const BrokerId id : n.voters.awaited()) ids += fmt::format("; awaits {}", id);
      return fmt::format("* voters ({})", ids);
    }
    std::string operator()(const VotersHinted& n) const { return fmt::format("* {} voters hinted", n.voters.size()); }
    std::string operator()(const ReadReady& n) const { return fmt::format("* read {} at {}", n.id, n.index); }
    std::string operator()(const ReadFailed& n) const { return fmt::format("* read {} failed", n.id); }
    std::string operator()(const TransferEnded& n) const {
      return n.outcome == TransferOutcome::handed_over ? "* handed over" : "* kept leadership";
    }
    std::string operator()(const StateLost&) const { return "* state lost"; }
  };
  return std::visit(Text{}, notice);
}

}  // namespace

RaftScenario::Member& RaftScenario::member(int64_t id) {
  const auto found = members_.find(static_cast<int>(id));
  if (found == members_.end()) throw ScenarioError{fmt::format("there is no node {}", id)};
  return found->second;
}

RaftScenario::Member& RaftScenario::running(int64_t id) {
  Member& m = member(id);
  if (!m.node) throw ScenarioError{fmt::format("node {} is down", id)};
  return m;
}

void RaftScenario::say(int id, const std::string& line) {
  if (line.empty()) return;
  said_ += fmt::format("{:>5}ms {}: {}\n", (now_ - start_) / std::chrono::milliseconds(1), id, line);
}

void RaftScenario::create(const std::vector<int64_t>& voters, const std::vector<int64_t>& observers) {
  std::vector<BrokerId> peers;
  for (const int64_t id : voters) peers.emplace_back(static_cast<int32_t>(id));
  for (const auto* group : {&voters, &observers}) {
    for (const int64_t id : *group) {
      Member& m = members_[static_cast<int>(id)];
      m.key = key_of(static_cast<int>(id));
      m.peers = peers;
      if (group == &voters) m.disk.lie() = bootstrapped(voters);
    }
  }
  for (auto& [id, m] : members_) boot(id);
}

void RaftScenario::boot(int id) {
  Member& m = members_[id];
  m.random = std::make_unique<FixedRandom>(static_cast<uint64_t>(id) * 10'000'000);
  Config config;
  config.self = m.key;
  config.bootstrap_peers = m.peers;
  config.entries_kept_bytes = 0;
  config.snapshot_piece_bytes = 8;
  m.state = {};
  m.filter = {};
  m.session += 1;
  m.sequence = 0;
  m.node = std::make_unique<Node>(config, m.disk.durable(), *m.random, now_);
  absorb(id, m.node->start(now_));
}

void RaftScenario::restart(const Command& command) {
  const int id = id_in(command);
  Member& m = member(id);
  if (m.node) throw ScenarioError{"it is running"};
  if (const auto life = command.maybe_number("life")) m.key = key_of(id, static_cast<int>(*life));
  if (command.has("empty")) m.disk.lie() = {};
  if (const auto from = command.maybe_number("lose-log-from"))
    m.disk.lie().entries.resize(static_cast<size_t>(*from - m.disk.durable().start.end.value));
  if (command.has("vote-lost")) m.disk.lie().hard_state = {};
  boot(id);
  for (auto& [other, o] : members_) {
    if (other == id || !o.node || cut_.contains({id, other}) || cut_.contains({other, id})) continue;
    absorb(other, o.node->on_peer_connected(BrokerId(id), now_));
    absorb(id, m.node->on_peer_connected(BrokerId(other), now_));
  }
}

void RaftScenario::absorb(int id, Effects effects) {
  Member& m = members_[id];
  for (const std::string& line : effects.log) say(id, line);
  m.disk.submit(std::move(effects.persist));
  for (Message& message : effects.messages) flying_.push_back({std::move(message), m.session, ++m.sequence});
  if (effects.load_snapshot) {
    m.state.load(*effects.load_snapshot);
    say(id, fmt::format("loaded snapshot {}", m.state.position().end));
  }
  for (const Entry& entry : effects.committed) {
    m.state.apply(entry);
    if (entry.kind == EntryKind::data) say(id, fmt::format("committed {} {}", entry.index, entry.payload.text()));
  }
  for (const Notice& notice : effects.notices) say(id, notice_text(notice));
}

bool RaftScenario::step_disk() {
  for (auto& [id, m] : members_) {
    if (!m.node || m.disk_held || m.paused || !m.disk.is_busy()) continue;
    finish_disk_operation(id);
    return true;
  }
  return false;
}

void RaftScenario::finish_disk_operation(int id) {
  Member& m = running(id);
  if (!m.disk.is_busy()) throw ScenarioError{"nothing is on its way to the disk"};
  SimDisk::Finished finished = m.disk.finish_one();
  if (finished.installed) m.node->on_snapshot_installed(*std::move(finished.installed));
  absorb(id, m.node->on_durable(finished.token, now_));
}

bool RaftScenario::step_network() {
  for (auto at = flying_.begin(); at != flying_.end(); ++at) {
    const auto to = members_.find(at->message.to.id.value);
    if (to != members_.end() && to->second.paused && to->second.node) continue;  // waits in its socket
    const Sent sent = *at;
    flying_.erase(at);
    arrive(sent, Link::as_cut);
    return true;
  }
  return false;
}

void RaftScenario::arrive(const Sent& sent, Link link) {
  const Message& message = sent.message;
  const int to = message.to.id.value;
  const auto found = members_.find(to);
  const bool lost = found == members_.end() || !found->second.node ||
                    (link == Link::as_cut && cut_.contains({message.from.id.value, to}));
  if (is_traced(message)) said_ += fmt::format("        {}{}\n", lost ? "x " : "", describe(message));
  if (lost) return;
  Member& m = found->second;
  if (sent.session != 0) {
    const bool former = sent.session < m.filter.newest_session(message.from);
    if (!m.filter.accept(message.from, sent.session, sent.sequence)) {
      said_ += fmt::format("        {}->{} dropped: {}\n", message.from.id, to,
                           former ? "of a former session" : "heard already");
      return;
    }
    heard_[{message.from.id.value, to}] = sent;
  }
  absorb(to, m.node->on_message(message, now_));
}

bool RaftScenario::is_traced(const Message& message) const {
  if (trace_.contains("all")) return true;
  struct Kind {
    std::string operator()(const VoteRequest&) const { return "vote"; }
    std::string operator()(const VoteResponse&) const { return "vote"; }
    std::string operator()(const AppendRequest& m) const { return m.entries.empty() ? "heartbeat" : "append"; }
    std::string operator()(const AppendResponse& m) const {
      return m.outcome == AppendOutcome::accepted ? "ack" : "append";
    }
    std::string operator()(const SnapshotRequest&) const { return "snapshot"; }
    std::string operator()(const SnapshotResponse&) const { return "snapshot"; }
    std::string operator()(const TimeoutNow&) const { return "transfer"; }
    std::string operator()(const ObserverHello&) const { return "observer"; }
    std::string operator()(const VotersHint&) const { return "observer"; }
    std::string operator()(const StateLostNotice&) const { return "lost"; }
  };
  return trace_.contains(std::visit(Kind{}, message.body));
}

void RaftScenario::settle() {
  for (int i = 0; i < 10'000; ++i)
    if (!step_disk() && !step_network()) return;
  throw ScenarioError{"messages go round and round"};
}

void RaftScenario::run(Duration duration) {
  const Instant end = now_ + duration;
  for (;;) {
    settle();
    int next = 0;
    Instant due = Instant::max();
    for (auto& [id, m] : members_) {
      if (!m.node || m.paused || m.node->next_deadline() >= due) continue;
      next = id;
      due = m.node->next_deadline();
    }
    if (due > end) break;
    now_ = std::max(now_, due);
    absorb(next, members_[next].node->on_tick(now_));
  }
  now_ = end;
}

void RaftScenario::inject(const Command& command) {
  const int from = static_cast<int>(command.number("from"));
  const int to = static_cast<int>(command.number("to"));
  Message message{key_of(from, static_cast<int>(command.number_or("from-life", 1))),
                  key_of(to, static_cast<int>(command.number_or("to-life", 1))),
                  Term(static_cast<int32_t>(command.number("term"))),
                  {}};
  const std::string kind = command.words().empty() ? "" : command.words().front();
  if (kind == "pre-vote" || kind == "vote" || kind == "transfer-vote") {
    const auto [end, term] = point(command.text("log"));
    message.body = VoteRequest{kind == "vote"       ? VoteKind::vote
                               : kind == "pre-vote" ? VoteKind::pre_vote
                                                    : VoteKind::transfer,
                               end, term};
  } else if (kind == "append") {
    AppendRequest request;
    const auto [end, term] = point(command.text("after"));
    request.previous = {end, term, 0};
    for (const Entry& e : running(to).node->entries_from(LogIndex(0)))  // the checksum that an honest leader would send
      if (e.index < end) request.previous.checksum = chain_checksum(request.previous.checksum, e);
    if (command.has("checksum-off")) request.previous.checksum ^= 1;
    for (const std::string& text : test_support::split_list(command.text_or("entries", "()"))) {
      const auto [index, entry_term] = point(text);
      request.entries.push_back({entry_term, index, EntryKind::data, Buffer::copy_of("injected")});
    }
    request.committed = LogIndex(command.number_or("committed", 0));
    message.body = request;
  } else if (kind == "vote-answer" || kind == "pre-vote-answer") {
    VoteResponse response;
    response.kind = kind == "vote-answer" ? VoteKind::vote : VoteKind::pre_vote;
    response.asked_in = Term(static_cast<int32_t>(command.number("asked-in")));
    response.granted = command.has("granted");
    message.body = response;
  } else if (kind == "snapshot") {  // a piece of the snapshot that node `of` has
    const Snapshot& snapshot = *running(command.number("of")).disk.durable().snapshot;
    const auto offset = static_cast<uint64_t>(command.number("offset"));
    const size_t bytes = std::min<size_t>(snapshot.state.size() - offset, static_cast<size_t>(command.number("bytes")));
    message.body = SnapshotRequest{snapshot.meta, offset, snapshot.state.slice(offset, bytes), 0};
  } else {
    throw ScenarioError{"send what?"};
  }
  arrive({std::move(message)}, Link::open);
}

std::string RaftScenario::wish(const Command& command) {
  const int id = static_cast<int>(command.number("at"));
  Member& m = running(id);
  const std::string& name = command.name();
  if (name == "read" || name == "transfer") {
    auto effects = name == "read"
                       ? m.node->read_index(++reads_, now_)
                       : m.node->transfer_leadership(
                             command.has("to") ? std::optional(BrokerId(static_cast<int32_t>(command.number("to"))))
                                               : std::nullopt,
                             now_);
    if (!effects) return fmt::format("{}: {}", effects.error().code, effects.error().message);
    absorb(id, *std::move(effects));
    return "";
  }
  auto proposed = [&] {
    if (name == "propose") return m.node->propose(Buffer::copy_of(command.text("text")), now_);
    const int other = static_cast<int>(command.number("id"));
    const int life = static_cast<int>(command.number_or("life", 1));
    if (name == "remove-voter")
      return m.node->remove_voter(key_of(other, life), now_,
                                  command.has("returns") ? Afterwards::returns : Afterwards::stays_out);
    if (name == "update-voter") return m.node->update_voter(key_of(other, life), {command.text("host"), 9093}, now_);
    Voter voter = voter_of(other, life);
    voter.versions.min = static_cast<int16_t>(command.number_or("version", raft_version));
    voter.versions.max = std::max(voter.versions.min, raft_version);
    return m.node->add_voter(voter, now_);
  }();
  if (!proposed) return fmt::format("{}: {}", proposed.error().code, proposed.error().message);
  absorb(id, std::move(proposed->effects));
  return fmt::format("proposed {}@{}", proposed->index, proposed->term);
}

// As controller/quorum/voter_changes.cc does it.
std::string RaftScenario::upkeep(const Command& command) {
  const int id = static_cast<int>(command.number("at"));
  Member& m = running(id);
  std::map<BrokerId, Endpoint> registered;
  for (const auto& [other, member] : members_) registered[BrokerId(other)] = voter_of(other, 1).endpoint;
  if (command.has("moved"))
    registered[BrokerId(static_cast<int32_t>(command.number("moved")))] = {command.text("host"), 9093};
  const auto wanted = decide_upkeep(m.node->status(), registered, now_);
  if (!wanted) return "nothing to do";
  std::string what;
  auto proposed = [&] {
    if (const auto* lost = std::get_if<ReplaceLostVoter>(&*wanted)) {
      what = fmt::format("replace {}", lost->former);
      return m.node->remove_voter(lost->former, now_, Afterwards::returns);
    }
    if (const auto* add = std::get_if<AddAwaitedVoter>(&*wanted)) {
      what = fmt::format("add {}", add->voter.key);
      return m.node->add_voter(add->voter, now_);
    }
    const auto& move = std::get<MoveVoter>(*wanted);
    what = fmt::format("move {} to {}", move.key, move.endpoint.host);
    return m.node->update_voter(move.key, move.endpoint, now_);
  }();
  if (!proposed) return fmt::format("{}: {}: {}", what, proposed.error().code, proposed.error().message);
  absorb(id, std::move(proposed->effects));
  return fmt::format("{}: proposed {}@{}", what, proposed->index, proposed->term);
}

std::string RaftScenario::status() const {
  std::string text;
  for (const auto& [id, m] : members_) {
    if (!m.node) {
      text += fmt::format("{}: down, log [{}, {})\n", id, m.disk.durable().start.end, m.disk.log_end());
      continue;
    }
    const QuorumStatus s = m.node->status();
    text += fmt::format("{}: {} t{} leader={} log=[{}, {}) durable={} committed={} delivered={}\n", id,
                        to_string(s.role), s.term, s.leader ? std::to_string(s.leader->value) : "-", s.log_start,
                        s.log_end, s.durable_end, s.committed, m.node->delivered());
  }
  return text;
}

// What happens on the way from one node to another; false: no such command.
bool RaftScenario::network(const Command& command) {
  const std::string& name = command.name();
  const auto pair = [&] { return Pair(int(command.number("from")), int(command.number("to"))); };
  if (name == "cut" && command.has("from")) {
    cut_.insert(pair());
  } else if (name == "cut") {
    const int a = std::stoi(command.words().at(0));
    const int b = std::stoi(command.words().at(1));
    cut_.insert({a, b});
    cut_.insert({b, a});
  } else if (name == "isolate") {
    for (const auto& [id, m] : members_) {
      cut_.insert({id, id_in(command)});
      cut_.insert({id_in(command), id});
    }
  } else if (name == "heal") {
    cut_.clear();
  } else if (name == "keep" || name == "again") {
    const auto& from = name == "keep" ? heard_ : kept_;
    const auto found = from.find(pair());
    if (found == from.end()) throw ScenarioError{"there is no such message"};
    if (name == "keep") {
      kept_[pair()] = found->second;
    } else {
      arrive(found->second, Link::as_cut);
    }
  } else {
    return false;
  }
  return true;
}

std::string RaftScenario::execute(const Command& command) {
  const std::string& name = command.name();
  said_.clear();
  std::string answer;
  if (network(command)) return said_;
  if (name == "cluster") {
    create(command.numbers("voters"), command.numbers_or("observers", {}));
  } else if (name == "run") {
    run(command.duration("for"));
  } else if (name == "deliver") {
    settle();
  } else if (name == "disk") {
    Member& m = member(id_in(command));
    m.disk_held = command.words().at(1) != "go";
    if (command.words().at(1) == "step") finish_disk_operation(id_in(command));
  } else if (name == "crash") {
    Member& m = running(id_in(command));
    m.disk.crash(static_cast<size_t>(command.number_or("kept", 0)));
    m.node.reset();
    m.disk_held = m.paused = false;
    std::erase_if(flying_, [&](const Sent& f) { return f.message.from == m.key || f.message.to.id == m.key.id; });
  } else if (name == "restart") {
    restart(command);
  } else if (name == "pause" || name == "resume") {
    running(id_in(command)).paused = name == "pause";
  } else if (name == "gone") {
    const auto by = static_cast<int>(command.number("seen-by"));
    absorb(by, running(by).node->on_peer_gone(BrokerId(id_in(command)), now_));
  } else if (name == "connected") {
    const auto at = static_cast<int>(command.number("at"));
    absorb(at, running(at).node->on_peer_connected(BrokerId(id_in(command)), now_));
  } else if (name == "snapshot") {
    const auto at = static_cast<int>(command.number("at"));
    Member& m = running(at);
    Snapshot snapshot{m.node->snapshot_meta_at(m.state.position().end), m.state.snapshot()};
    snapshot.meta.size_bytes = snapshot.state.size();
    m.disk.save_snapshot(snapshot);
    absorb(at, m.node->on_snapshot_made(std::move(snapshot), now_));
  } else if (name == "halt") {
    absorb(id_in(command), running(id_in(command)).node->halt("the disk failed", now_));
  } else if (name == "send") {
    inject(command);
  } else if (name == "trace") {
    trace_ = {command.words().begin(), command.words().end()};
  } else if (name == "status") {
    answer = status();
  } else if (name == "log") {
    for (const Entry& e : running(id_in(command)).node->entries_from(LogIndex(0)))
      answer += fmt::format("{}@{} {} {}\n", e.index, e.term, to_string(e.kind),
                            e.kind == EntryKind::data ? e.payload.text() : "");
  } else {
    answer = name == "upkeep" ? upkeep(command) : wish(command);
    return answer.empty() ? said_ : answer + "\n" + said_;
  }
  return said_ + answer;
}

}  // namespace raft_test
