// Whatever a follower or a leader sends on a fetch stream ends the stream with an error or is understood as what we
// would send ourselves, and the session behind it goes on (R23, R61, R112): nothing from a socket may end the process.
//
//   input = { op:u8, for a frame length:u16 bytes }...
#include "broker/replication/follower_fetcher.h"
#include "broker/replication/grpc_frames.h"
#include "broker/replication/leader_fetch_session.h"
#include "fuzz/input.h"
#include "replication/fake_replicas.h"

namespace {

using namespace broker::replication;
using common::model::BytesView;
using common::model::PartitionIndex;

grpc::ByteBuffer wire(BytesView bytes) {
  // In two pieces, as from a network.
  const size_t cut = bytes.size() / 2;
  const std::array<grpc::Slice, 2> slices = {grpc::Slice(bytes.data(), cut),
                                             grpc::Slice(bytes.data() + cut, bytes.size() - cut)};
  return {slices.data(), slices.size()};
}

// As a partition does, it takes positions within its log only.
class Leader final : public test_support::FakeLeader {
 public:
  broker::partition::PositionVerdict on_follower_position(const broker::partition::FollowerPosition& p,
                                                          std::optional<LeaderEpoch> last_epoch) override {
    auto verdict = FakeLeader::on_follower_position(p, last_epoch);
    if (verdict.error == common::model::ErrorCode::none &&
        (p.fetch_offset < Offset(0) || p.fetch_offset > leader_view().log_end_offset)) {
      verdict.error = common::model::ErrorCode::offset_out_of_range;
    }
    return verdict;
  }
};

// One stream between a leader and a follower of two partitions; the other ends are the fuzzer's.
class Streams {
 public:
  Streams()
      : session_(
            [] {
              FollowerHello hello;
              hello.node_id = BrokerId(2);
              return hello;
            }(),
            options(), [this](const TopicIdPartition& id) { return find(id); }, [] {}),
        fetcher_({}, [] {}) {
    for (int i = 0; i < 2; ++i) {
      leaders_.push_back(std::make_shared<Leader>());
      leaders_.back()->append(100);
      followers_.push_back(std::make_shared<test_support::FakeFollower>());
      followers_.back()->outcome = broker::partition::Applied::done;  // what an answer does to a log: log_recovery_fuzz
      fetcher_.follow(id(i), followers_.back());
    }
    leaders_[1]->is_cold = true;
  }

  // False: the stream ends.
  bool from_follower(BytesView bytes) {
    const auto frame = decode_from_follower(wire(bytes));
    if (!frame) return false;
    std::visit(
        [](const auto& f) {
          NARU_CHECK(decode_from_follower(encode(f)).has_value(), "our own frame is not understood");
        },
        *frame);
    const auto* content = std::get_if<FollowerFrame>(&*frame);
    return content != nullptr && session_.on_frame(*content, now_).has_value();
  }
  bool from_leader(BytesView bytes) {
    auto frame = decode_from_leader(wire(bytes));
    if (!frame) return false;
    std::visit(
        [](const auto& f) { NARU_CHECK(decode_from_leader(encode(f)).has_value(), "our own frame is not understood"); },
        *frame);
    auto* content = std::get_if<LeaderFrame>(&*frame);
    return content != nullptr && fetcher_.on_frame(std::move(*content), now_).has_value();
  }
  void speak() {
    for (int i = 0; i < 10; ++i) {
      if (const auto frame = session_.next_frame(now_)) (void)encode(*frame);
      if (const auto frame = fetcher_.next_frame(now_)) (void)encode(*frame);
    }
  }
  void happen(unsigned what) {
    now_ += std::chrono::milliseconds(50);
    auto& leader = *leaders_[what % 2];
    if (what % 8 < 2) leader.append(10);
    if (what % 8 == 2) leader.commit(50);
    if (what % 8 == 3) leader.change_role(what % 16 < 8, leader.epoch.value + 1);
    if (what % 8 == 4) {
      for (const auto& read : std::exchange(leaders_[1]->cold_reads, {})) read();
    }
    if (what % 8 == 5) {
      followers_[what % 2]->change(
          [&] { followers_[what % 2]->outcome = static_cast<broker::partition::Applied>(what / 8 % 4); });
    }
    if (what % 8 == 6) fetcher_.unfollow(id(1));
    if (what % 8 == 7) session_.on_replica_created(id(1));
  }

 private:
  static TopicIdPartition id(int n) { return {.topic_id = Uuid::from_halves(7, 7), .partition = PartitionIndex(n)}; }
  static LeaderFetchOptions options() {
    LeaderFetchOptions some;
    some.slots_max = 100;
    return some;
  }
  std::shared_ptr<broker::partition::LeaderReplica> find(const TopicIdPartition& wanted) {
    for (int i = 0; i < 2; ++i) {
      if (wanted == id(i)) return leaders_[i];
    }
    return nullptr;
  }

  Instant now_{std::chrono::hours(1)};
  std::vector<std::shared_ptr<Leader>> leaders_;
  std::vector<std::shared_ptr<test_support::FakeFollower>> followers_;
  LeaderFetchSession session_;
  FollowerFetcher fetcher_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  Streams streams;
  bool goes_on = true;
  while (!input.empty() && goes_on) {
    const unsigned op = input.u8() % 4;
    if (op == 0) streams.speak();
    if (op == 1) streams.happen(input.u8());
    if (op == 2) goes_on = streams.from_follower(input.bytes(input.u16()));
    if (op == 3) goes_on = streams.from_leader(input.bytes(input.u16()));
  }
  streams.speak();
  return 0;
}
