// Random groups under failures: writes that fail, failovers that lose what was not committed or keep some of it.
// Checked after every step against nothing but the log: an offset that was acknowledged is read back, never an older
// one; a partition has one owner in a generation; every request is answered exactly once; a replay of the committed
// records gives the committed state.
#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "broker/group/coordinator.h"
#include "common/model/random.h"

namespace {

using namespace broker::group;
using std::chrono::milliseconds;

struct Client {
  std::string group;
  std::optional<std::string> instance;
  std::string member_id;
  std::optional<Generation> generation;
  bool has_joined = false;  // knows its generation and has not synced
  bool is_synced = false;
  bool is_leader = false;
  std::vector<std::string> members;  // as leader
  bool is_waiting = false;
  bool is_dead = false;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    config_.session_timeout_min = milliseconds(1);
    config_.initial_rebalance_delay = milliseconds(random_.below(2) * 500);
    config_.expiry_check_interval = milliseconds(20'000);
    config_.offsets_retention = milliseconds(60'000);
    config_.records_per_write_max = 3;
    for (int i = 0; i < 9; ++i) {
      Client& c = clients_.emplace_back();
      c.group = fmt::format("g{}", i % 3);
      if (random_.below(3) == 0) c.instance = fmt::format("i{}", i);
    }
    restart(0);
  }

  void step() {
    switch (random_.below(12)) {
      case 0:
        pass_time(random_.below(2500));
        break;
      case 1:
      case 2:
        append_or_fail();
        break;
      case 3:
      case 4:
        commit_some();
        break;
      case 5:
        if (random_.below(25) == 0) fail_over();
        break;
      case 6:
        administrate();
        break;
      default:
        act(clients_[random_.below(clients_.size())]);
        break;
    }
    check_committed_state();
  }

  // No more failures: every group must settle with all of its living members in it.
  void heal() {
    const auto settled = [](const Client& c) { return c.is_dead || c.is_synced; };
    for (int i = 0; i < 4000 && !std::all_of(clients_.begin(), clients_.end(), settled); ++i) {
      while (!queue_.empty()) append();
      if (committed_ < log_.size()) commit_to(log_.size());
      for (Client& c : clients_) {
        if (c.is_dead) continue;
        if (c.is_synced)
          heartbeat(c);
        else
          act(c);
      }
      pass_time(50);
    }
    CHECK(std::all_of(clients_.begin(), clients_.end(), settled));
    fail_over();
    CHECK(outstanding_.empty());
  }

  int failovers = 0, acknowledged = 0, generations = 0;

 private:
  struct Logged {
    WriteId id;
    std::shared_ptr<const std::vector<GroupRecord>> records;
  };
  struct Asked {
    Client* client = nullptr;
    Request request;
  };

  Moment now() const { return {now_, TimestampMs(1'700'000'000'000 + elapsed_.count())}; }

  // A new coordinator that finds `keep` records after the committed ones.
  void restart(size_t keep) {
    log_.resize(std::min(log_.size(), committed_ + keep));
    committed_ = log_.size();
    absorb_committed();
    queue_.clear();
    coordinator_ = std::make_unique<GroupCoordinator>(config_);
    for (const GroupRecord& record : as_compacted()) coordinator_->replay(record);
    carry_out(coordinator_->start(now()));
  }

  static std::pair<std::string, bool> key_of(const GroupRecord& record) {
    if (const auto* r = std::get_if<OffsetStored>(&record))
      return {fmt::format("{} {}", r->group, r->partition), false};
    if (const auto* r = std::get_if<OffsetRemoved>(&record))
      return {fmt::format("{} {}", r->group, r->partition), true};
    return {group_of(record), std::holds_alternative<GroupRemoved>(record)};
  }

  // R107: what a cleaner may have left by now: below some point only the newest record of each key, with or without the
  // tombstones. A group's record may then stand before or after the offsets that were committed in it.
  std::vector<GroupRecord> as_compacted() {
    std::vector<GroupRecord> all;
    for (const Logged& write : log_) all.insert(all.end(), write.records->begin(), write.records->end());
    const size_t point = random_.below(all.size() + 1);
    std::set<std::string> newer;
    std::vector<GroupRecord> left(all.rbegin(), all.rend() - static_cast<ptrdiff_t>(point));
    for (size_t i = point; i-- > 0;) {
      const auto [key, is_tombstone] = key_of(all[i]);
      if (!newer.insert(key).second || (is_tombstone && random_.below(2) == 0)) continue;
      left.push_back(all[i]);
    }
    std::reverse(left.begin(), left.end());
    return left;
  }

  void fail_over() {
    ++failovers;
    carry_out(coordinator_->resign(ErrorCode::not_coordinator));
    CHECK(outstanding_.empty());
    restart(random_.below(log_.size() - committed_ + 1));
  }

  void pass_time(uint64_t ms) {
    const Instant until = now_ + milliseconds(ms);
    for (int i = 0; i < 1000; ++i) {
      const std::optional<Instant> next = coordinator_->next_deadline();
      if (!next || *next > until) break;
      elapsed_ += std::chrono::duration_cast<milliseconds>(std::max(now_, *next) - now_);
      now_ = std::max(now_, *next);
      carry_out(coordinator_->on_time(now()));
      if (i == 999) FAIL("time does not pass");
    }
    elapsed_ += std::chrono::duration_cast<milliseconds>(until - now_);
    now_ = until;
  }

  void append() {
    log_.push_back({queue_.front().id, queue_.front().records});
    queue_.pop_front();
  }
  void append_or_fail() {
    if (queue_.empty()) return;
    if (random_.below(10) != 0) return append();
    const WriteId id = queue_.front().id;
    queue_.pop_front();
    carry_out(coordinator_->on_write_failed(id, ErrorCode::not_enough_replicas, now()));
  }
  void commit_some() {
    if (committed_ < log_.size()) commit_to(committed_ + 1 + random_.below(log_.size() - committed_));
  }
  void commit_to(size_t end) {
    committed_ = end;
    absorb_committed();
    carry_out(coordinator_->on_committed(log_[end - 1].id, now()));
  }

  void ask(Client* client, Request request) {
    const RequestToken token(next_token_++);
    outstanding_.emplace(token, Asked{client, request});
    if (client != nullptr) client->is_waiting = true;
    carry_out(coordinator_->handle(token, std::move(request), now()));
  }

  void act(Client& c) {
    if (c.is_waiting) return;
    if (c.is_dead) {
      if (random_.below(20) == 0) c.is_dead = false;
      return;
    }
    if (c.is_synced) return act_as_member(c);
    if (c.has_joined) return sync(c);
    join(c);
  }

  void act_as_member(Client& c) {
    switch (random_.below(30)) {
      case 0:
        return leave(c);
      case 1:
        return join(c);
      case 2:  // the process dies; a static one comes back under its name
        c = Client{.group = c.group, .instance = c.instance};
        c.is_dead = true;
        return;
      default:
        return random_.below(2) == 0 ? heartbeat(c) : commit(c);
    }
  }

  void join(Client& c) {
    JoinRequest r;
    r.group = c.group;
    r.member_id = c.member_id;
    r.instance_id = c.instance;
    r.client_id = "c";
    r.session_timeout = milliseconds(6000);
    r.rebalance_timeout = milliseconds(4000);
    r.protocol_type = "consumer";
    r.protocols.push_back({"range", Buffer::copy_of(std::string_view("\0\0\0\0\0\1\0\1t", 9))});
    r.member_id_rule = random_.below(4) == 0 ? MemberIdRule::may_be_empty : MemberIdRule::must_be_known;
    r.fresh_id = Uuid::from_halves(1, next_token_);
    c.has_joined = c.is_synced = false;
    ask(&c, std::move(r));
  }
  void sync(Client& c) {
    SyncRequest r;
    r.group = c.group;
    r.generation = *c.generation;
    r.member_id = c.member_id;
    r.instance_id = c.instance;
    int partition = 0;
    if (c.is_leader)
      for (const std::string& m : c.members) r.assignments.emplace_back(m, Buffer::own(std::to_string(partition++)));
    ask(&c, std::move(r));
  }
  void heartbeat(Client& c) {
    if (!c.is_waiting) ask(&c, HeartbeatRequest{c.group, *c.generation, c.member_id, c.instance});
  }
  void commit(Client& c) {
    CommitRequest r;
    r.group = c.group;
    r.generation = c.generation;
    r.member_id = c.member_id;
    r.instance_id = c.instance;
    for (int i = 0; i < 2; ++i)
      r.partitions.push_back({.partition = {"t", PartitionIndex(static_cast<int32_t>(random_.below(4)))},
                              .offset = Offset(static_cast<int64_t>(++next_offset_))});
    ask(&c, std::move(r));
  }
  void leave(Client& c) { ask(&c, LeaveRequest{c.group, {{c.member_id, c.instance, ""}}}); }

  void administrate() {
    const std::string group = fmt::format("g{}", random_.below(3));
    switch (random_.below(6)) {
      case 0:
        return ask(nullptr, DeleteRequest{group});
      case 1:
        return ask(nullptr, DeleteOffsetsRequest{group, {{"u", PartitionIndex(0)}, {"t", PartitionIndex(0)}}});
      case 2: {
        CommitRequest r;
        r.group = group;
        r.partitions.push_back({.partition = {"u", PartitionIndex(0)}, .offset = Offset(++next_offset_)});
        return ask(nullptr, std::move(r));
      }
      case 3:
        return ask(nullptr, DescribeRequest{group});
      case 4:
        return ask(nullptr, ListRequest{});
      default:
        return ask(nullptr, FetchRequest{group, std::nullopt, Stability::require_stable});
    }
  }

  void carry_out(Effects effects) {
    for (Write& write : effects.writes) queue_.push_back(std::move(write));
    for (Answered& answered : effects.answers) {
      const auto asked = outstanding_.find(answered.token);
      if (asked == outstanding_.end()) FAIL("a request was answered twice");
      Asked done = std::move(asked->second);
      outstanding_.erase(asked);
      if (done.client != nullptr) done.client->is_waiting = false;
      std::visit([&](const auto& answer) { learn(done, answer); }, answered.answer);
    }
  }

  void start_over(Client& c, ErrorCode error) {
    if (error == ErrorCode::unknown_member_id || error == ErrorCode::fenced_instance_id) c.member_id.clear();
    c.has_joined = c.is_synced = false;
  }
  void learn(Asked& asked, const JoinAnswer& a) {
    Client& c = *asked.client;
    if (a.error == ErrorCode::member_id_required) c.member_id = a.member_id;
    if (a.error != ErrorCode::none) return start_over(c, a.error);
    ++generations;
    c.member_id = a.member_id;
    c.generation = a.generation;
    c.has_joined = true;
    c.is_leader = a.leader == a.member_id && !a.skip_assignment;
    c.members.clear();
    for (const auto& m : a.members) c.members.push_back(m.member_id);
  }
  void learn(Asked& asked, const SyncAnswer& a) {
    Client& c = *asked.client;
    if (a.error != ErrorCode::none) return start_over(c, a.error);
    c.has_joined = false;
    c.is_synced = true;
    if (a.assignment.empty()) return;
    // One owner: a static member keeps its part under another member id.
    const std::string who = c.instance.value_or(c.member_id);
    const auto [owner, is_first] = owners_.try_emplace(
        {c.group, group_lives_[c.group], c.generation->value, std::string(a.assignment.text())}, who);
    if (owner->second != who) FAIL(who << " and " << owner->second << " own one partition in one generation");
  }
  void learn(Asked& asked, const HeartbeatAnswer& a) {
    if (a.error != ErrorCode::none) start_over(*asked.client, a.error);
  }
  void learn(Asked& asked, const LeaveAnswer& a) {
    Client& c = *asked.client;
    if (a.error == ErrorCode::none) c = Client{.group = c.group, .instance = c.instance};
  }
  void learn(Asked& asked, const CommitAnswer& a) {
    const auto& request = std::get<CommitRequest>(asked.request);
    for (size_t i = 0; i < a.partitions.size(); ++i) {
      if (a.partitions[i] == ErrorCode::none) {
        ++acknowledged;
        if (!ever_committed_.contains(request.partitions[i].offset.value)) FAIL("acknowledged and not committed");
      } else if (asked.client != nullptr && a.partitions[i] != ErrorCode::coordinator_not_available) {
        start_over(*asked.client, a.partitions[i]);
      }
    }
  }
  void learn(Asked& asked, const FetchAnswer& a) {
    // Read at this moment, so exactly what the committed records say.
    const auto& group = std::get<FetchRequest>(asked.request).group;
    if (a.error != ErrorCode::none) return;
    std::map<TopicPartition, int64_t> read, expected;
    for (const auto& p : a.partitions) read[p.partition] = p.value->offset.value;
    for (const auto& [key, value] : offsets_in_log_)
      if (key.first == group) expected[key.second] = value.offset.value;
    if (read != expected) FAIL("offsets were fetched that are not the committed ones");
  }
  void learn(Asked&, const DeleteAnswer&) {}
  void learn(Asked&, const DescribeAnswer&) {}
  void learn(Asked&, const ListAnswer&) {}
  void learn(Asked&, const DeleteOffsetsAnswer&) {}

  using Key = std::pair<std::string, TopicPartition>;
  // The offsets that the committed records leave.
  void absorb_committed() {
    for (; absorbed_ < committed_; ++absorbed_)
      for (const GroupRecord& record : *log_[absorbed_].records) {
        if (const auto* r = std::get_if<OffsetStored>(&record)) {
          ever_committed_.insert(r->value.offset.value);
          offsets_in_log_[{r->group, r->partition}] = r->value;
        }
        if (const auto* r = std::get_if<OffsetRemoved>(&record)) offsets_in_log_.erase({r->group, r->partition});
        // A removed group's generations begin again.
        if (const auto* r = std::get_if<GroupRemoved>(&record)) ++group_lives_[r->group];
      }
  }

  void check_committed_state() {
    std::map<Key, StoredOffset> live;
    for (const OffsetStored& o : coordinator_->committed_offsets()) live[{o.group, o.partition}] = o.value;
    if (live != offsets_in_log_) FAIL("the coordinator's offsets are not those of the committed records");
  }

  common::model::SeededRandom random_;
  GroupConfig config_;
  std::unique_ptr<GroupCoordinator> coordinator_;
  std::vector<Client> clients_;
  std::vector<Logged> log_;
  std::deque<Write> queue_;
  size_t committed_ = 0, absorbed_ = 0;
  Instant now_{};
  milliseconds elapsed_{0};
  uint64_t next_token_ = 1;
  int64_t next_offset_ = 0;
  std::map<RequestToken, Asked> outstanding_;
  std::set<int64_t> ever_committed_;
  std::map<Key, StoredOffset> offsets_in_log_;
  std::map<std::string, int> group_lives_;
  std::map<std::tuple<std::string, int, int32_t, std::string>, std::string> owners_;
};

// One static member, whose coordinator's log takes what is written and commits nothing until it is told to.
class StuckLog {
 public:
  StuckLog() {
    config_.initial_rebalance_delay = milliseconds(0);
    coordinator_ = std::make_unique<GroupCoordinator>(config_);
    take(coordinator_->start(at()));
  }

  JoinAnswer join(const std::string& member_id) {
    JoinRequest r;
    r.group = "g";
    r.member_id = member_id;
    r.instance_id = "i";
    r.client_id = "c";
    r.session_timeout = milliseconds(10'000);
    r.rebalance_timeout = milliseconds(60'000);
    r.protocol_type = "consumer";
    r.protocols.push_back({"range", Buffer::copy_of(std::string_view("\0\0\0\0\0\1\0\1t", 9))});
    r.fresh_id = Uuid::from_halves(1, last_token_ + 1);
    return std::get<JoinAnswer>(ask(std::move(r)));
  }
  SyncAnswer sync(const JoinAnswer& joined) {
    SyncRequest r;
    r.group = "g";
    r.generation = joined.generation.value();
    r.member_id = joined.member_id;
    r.instance_id = "i";
    r.assignments.emplace_back(joined.member_id, Buffer::copy_of(std::string_view("t-0")));
    return std::get<SyncAnswer>(ask(std::move(r)));
  }

  // From now on what is written is committed at once.
  void heal() {
    commits_ = true;
    commit();
  }
  void stick() { commits_ = false; }
  [[nodiscard]] size_t uncommitted() const { return writes_.size(); }

 private:
  [[nodiscard]] Moment at() const { return {now_, TimestampMs(1'700'000'000'000)}; }

  // What is said at once, or when the write has timed out.
  Answer ask(Request request) {
    answer_.reset();
    take(coordinator_->handle(RequestToken(++last_token_), std::move(request), at()));
    if (commits_) commit();
    if (!answer_) {
      now_ += config_.write_timeout;
      take(coordinator_->on_time(at()));
    }
    REQUIRE(answer_.has_value());
    return *answer_;
  }
  void commit() {
    if (writes_.empty()) return;
    const WriteId last = writes_.back();
    writes_.clear();
    take(coordinator_->on_committed(last, at()));
  }
  void take(Effects effects) {
    for (const Write& write : effects.writes) writes_.push_back(write.id);
    for (Answered& answered : effects.answers) answer_ = std::move(answered.answer);
  }

  GroupConfig config_;
  std::unique_ptr<GroupCoordinator> coordinator_;
  Instant now_{};
  uint64_t last_token_ = 0;
  std::vector<WriteId> writes_;
  std::optional<Answer> answer_;
  bool commits_ = false;
};

}  // namespace

TEST_CASE("a group that cannot become stable does not fill the memory with its attempts") {
  StuckLog log;
  JoinAnswer joined = log.join("");
  REQUIRE(joined.error == ErrorCode::none);
  for (int i = 0; i < 20; ++i) {
    CHECK(log.sync(joined).error == ErrorCode::coordinator_not_available);
    joined = log.join(joined.member_id);
    REQUIRE(joined.error == ErrorCode::none);
  }
  CHECK(log.uncommitted() == 4);
  log.heal();
  const SyncAnswer synced = log.sync(joined);
  CHECK(synced.error == ErrorCode::none);
  CHECK(synced.assignment.text() == "t-0");
}

TEST_CASE("nor does a static member that cannot come back") {
  StuckLog log;
  log.heal();
  const JoinAnswer first = log.join("");
  REQUIRE(log.sync(first).error == ErrorCode::none);
  log.stick();
  for (int i = 0; i < 20; ++i) CHECK(log.join("").error == ErrorCode::coordinator_not_available);
  CHECK(log.uncommitted() == 4);
  log.heal();
  const JoinAnswer back = log.join("");
  CHECK(back.error == ErrorCode::none);
  CHECK(back.generation == first.generation);
}

TEST_CASE("groups under failovers keep their promises") {
  int failovers = 0, acknowledged = 0, generations = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    for (int i = 0; i < 1500; ++i) world.step();
    world.heal();
    failovers += world.failovers;
    acknowledged += world.acknowledged;
    generations += world.generations;
  }
  // A run in which nothing happened proves nothing.
  CHECK(failovers > 100);
  CHECK(acknowledged > 1000);
  CHECK(generations > 1000);
}
