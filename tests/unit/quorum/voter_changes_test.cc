// The waiting around changes of voters: what is tried again and until when, what is answered, and that the leader looks
// after its voters by itself.
#include <deque>

#include <catch2/catch.hpp>

#include "controller/quorum/voter_changes.h"
#include "quorum/sim_world.h"

namespace quorum_test {
namespace {

using namespace std::chrono_literals;
namespace quorum = controller::quorum;
namespace raft = controller::raft;
namespace metadata = controller::metadata;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::ErrorCode;
using common::model::fail;
using common::model::LogIndex;
using common::model::Result;
using common::model::Term;
using common::model::Uuid;

// Answers each change with the next of `outcomes`, or keeps it when there is none.
class ScriptedRaft final : public quorum::Raft {
 public:
  using Done = std::function<void(Result<void>)>;
  std::deque<Result<void>> outcomes;
  std::vector<std::string> asked;
  std::vector<Done> kept;
  raft::QuorumStatus status;

  void add_voter(raft::Voter voter, Done done) override {
    change(fmt::format("add {} at {}", voter.key, voter.endpoint.host), std::move(done));
    added = voter.key;
  }
  using Raft::remove_voter;
  void remove_voter(raft::NodeKey voter, raft::Afterwards afterwards, Done done) override {
    change(fmt::format("remove {}{}", voter, afterwards == raft::Afterwards::returns ? ", it returns" : ""),
           std::move(done));
  }
  void update_voter(raft::NodeKey voter, raft::Endpoint endpoint, Done done) override {
    change(fmt::format("move {} to {}", voter, endpoint.host), std::move(done));
  }
  raft::NodeKey added;

  Result<LogIndex> propose(Buffer, std::function<void(Result<LogIndex>)>) override {
    return fail(ErrorCode::not_controller);
  }
  std::optional<BrokerId> leader() const override { return BrokerId(1); }
  bool is_leader() const override { return true; }
  Term term() const override { return Term(1); }
  raft::QuorumStatus describe() const override { return status; }
  void read_index(std::function<void(Result<LogIndex>)>) override {}
  void transfer_leadership(std::optional<BrokerId>, Done) override {}
  void resign(std::string_view) override {}

 private:
  void change(std::string what, Done done) {
    asked.push_back(std::move(what));
    if (outcomes.empty()) return kept.push_back(std::move(done));
    const Result<void> outcome = outcomes.front();
    outcomes.pop_front();
    done(outcome);
  }
};

raft::NodeKey key(int id, uint64_t life) {
  return {BrokerId(id), Uuid::from_halves(static_cast<uint64_t>(id), life)};
}

struct Fixture {
  Fixture() {
    configure_test_logging();
    metadata::ImageEditor editor{metadata::MetadataImage{}};
    metadata::RegisterBrokerRecord record;
    record.broker_id = BrokerId(4);
    record.epoch = common::model::BrokerEpoch(0);
    record.directories = {data_directory};
    record.cluster_endpoint = {"registered", 9093};
    REQUIRE(editor.apply(record, LogIndex(0)));
    editor.set_offset(LogIndex(0));
    image = editor.take_image();
    raft.status.role = raft::Role::leader;
    raft.status.voters = raft::VoterSet({{key(1, 1), {"host1", 9093}, {}}});
  }
  common::model::Instant in(common::Duration time) { return world.clock().now() + time; }
  quorum::VoterChanges::Done answer() {
    return [this](quorum::Reply reply) { answers.push_back(std::move(reply.answer)); };
  }
  template <class Answer>
  common::model::Error error() {
    REQUIRE(answers.size() == 1);
    REQUIRE(std::holds_alternative<Answer>(answers.front()));
    return std::get<Answer>(answers.front()).error;
  }
  void observe(raft::NodeKey observer) {
    raft.status.replicas.push_back({observer, false, LogIndex(9), in(0s), in(0s)});
  }

  const Uuid data_directory = Uuid::from_halves(77, 77);
  SimWorld world;
  SimShard shard{0, world};
  ScriptedRaft raft;
  metadata::MetadataImage image;
  std::vector<metadata::ControllerAnswer> answers;
  quorum::VoterChanges changes{shard, raft, common::Logger("test")};
};

}  // namespace

TEST_CASE("a voter that is still catching up is asked for again until it is there") {
  Fixture f;
  f.raft.outcomes = {fail(ErrorCode::request_timed_out, "not yet"), fail(ErrorCode::request_timed_out, "not yet"), {}};
  f.changes.add({BrokerId(4), key(4, 1).directory, metadata::ClusterEndpoint{"asked", 1}}, f.image, f.in(10s),
                f.answer());
  CHECK(f.answers.empty());
  REQUIRE(f.world.run_until([&] { return !f.answers.empty(); }));
  CHECK(f.error<metadata::AddRaftVoterAnswer>().code == ErrorCode::none);
  // Where it has registered weighs more than what the request says.
  CHECK(f.raft.asked == std::vector<std::string>(3, "add 4 at registered"));
}

TEST_CASE("whoever waits in vain hears why before its own time is over") {
  Fixture f;
  f.raft.outcomes.assign(1000, fail(ErrorCode::request_timed_out, "node 4 has not caught up"));
  const auto deadline = f.in(2s);
  f.changes.add({BrokerId(4), key(4, 1).directory, std::nullopt}, f.image, deadline, f.answer());
  REQUIRE(f.world.run_until([&] { return !f.answers.empty(); }, deadline));
  CHECK(f.error<metadata::AddRaftVoterAnswer>().message == "node 4 has not caught up");
  CHECK(f.raft.asked.size() > 10);
}

TEST_CASE("what Raft refuses is answered at once, with its words") {
  Fixture f;
  f.raft.outcomes = {fail(ErrorCode::invalid_request, "the last voter cannot be removed")};
  f.changes.remove({BrokerId(1), key(1, 1).directory}, f.in(10s), f.answer());
  CHECK(f.error<metadata::RemoveRaftVoterAnswer>().message == "the last voter cannot be removed");
}

TEST_CASE("a voter that is one already is said to be one: a repetition finds its own deed") {
  Fixture f;
  f.raft.status.voters = f.raft.status.voters.with({key(4, 1), {"registered", 9093}, {}});
  f.raft.outcomes = {fail(ErrorCode::duplicate_voter), fail(ErrorCode::duplicate_voter)};
  f.changes.add({BrokerId(4), key(4, 1).directory, std::nullopt}, f.image, f.in(10s), f.answer());
  CHECK(std::get<metadata::AddRaftVoterAnswer>(f.answers.at(0)).is_voter);
  f.changes.add({BrokerId(4), key(4, 2).directory, std::nullopt}, f.image, f.in(10s), f.answer());
  CHECK_FALSE(std::get<metadata::AddRaftVoterAnswer>(f.answers.at(1)).is_voter);
}

TEST_CASE("a data directory that the broker has registered stands for its metadata log") {
  Fixture f;
  f.observe(key(4, 3));
  f.raft.outcomes = {Result<void>()};
  f.changes.add({BrokerId(4), f.data_directory, std::nullopt}, f.image, f.in(10s), f.answer());
  CHECK(f.raft.added == key(4, 3));
}

TEST_CASE("a broker that nobody knows needs an address") {
  Fixture f;
  f.changes.add({BrokerId(5), key(5, 1).directory, std::nullopt}, f.image, f.in(10s), f.answer());
  CHECK(f.error<metadata::AddRaftVoterAnswer>().code == ErrorCode::invalid_request);
  CHECK(f.raft.asked.empty());
}

TEST_CASE("who waits when the leadership ends is told that it may have happened") {
  Fixture f;
  f.changes.remove({BrokerId(1), key(1, 1).directory}, f.in(10s), f.answer());  // proposed, not committed
  f.raft.outcomes = {fail(ErrorCode::request_timed_out, "another change is not committed yet")};
  f.changes.add({BrokerId(4), key(4, 1).directory, std::nullopt}, f.image, f.in(10s), f.answer());
  f.changes.stop();
  REQUIRE(f.answers.size() == 2);
  for (const auto& answer : f.answers) CHECK(std::get<metadata::Refused>(answer).may_have_happened);
  f.raft.kept.at(0)(fail(ErrorCode::not_controller));  // Raft says so afterwards
  f.world.run_for(1s);
  CHECK(f.answers.size() == 2);
  CHECK(f.raft.asked.size() == 2);
}

TEST_CASE("the leader looks after its voters, one change at a time") {
  Fixture f;
  f.raft.status.voters = f.raft.status.voters.awaiting(BrokerId(4));
  f.observe(key(4, 2));
  f.changes.on_tick(f.image);
  f.changes.on_tick(f.image);
  f.world.run_for(2s);
  f.changes.on_tick(f.image);
  CHECK(f.raft.asked == std::vector<std::string>{"add 4 at registered"});
  f.raft.kept.at(0)(fail(ErrorCode::request_timed_out, "it has not caught up"));
  f.raft.status.replicas[0].last_caught_up = f.in(0s);
  f.changes.on_tick(f.image);
  CHECK(f.raft.asked.size() == 2);
}

}  // namespace quorum_test
