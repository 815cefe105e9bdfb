// Whatever a peer sends as a Raft message is refused, or understood as what we would send ourselves; and a node that is
// given it goes on (R23, R112): nothing from a socket may end the process.
//
//   input = { op:u8, for a message length:u16 Protobuf }...
#include <deque>

#include "controller/quorum/raft_codec.h"
#include "controller/raft/node.h"
#include "fuzz/input.h"
#include "raft/sim_node.h"

namespace {

using namespace controller;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::Instant;

std::optional<raft::Message> understand(common::model::BytesView bytes) {
  naru::cluster::RaftMessage proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  auto message = quorum::decode(proto);
  if (!message) return std::nullopt;
  naru::cluster::RaftMessage again;
  quorum::encode(*message, again);
  const auto twice = quorum::decode(again);
  NARU_CHECK(twice.has_value(), "our own message is not understood: {}", raft::describe(*message));
  NARU_CHECK(raft::describe(*twice) == raft::describe(*message));
  return std::move(*message);
}

// Voter 1 of three.
class Member {
 public:
  Member() {
    raft::Config config;
    config.self = raft_test::key_of(1);
    config.snapshot_bytes_max = 4096;
    raft::RestoredState restored = raft_test::bootstrapped({1, 2, 3});
    disk_.lie() = restored;
    node_ = std::make_unique<raft::Node>(config, std::move(restored), random_, now_);
    take(node_->start(now_));
  }
  void hear(const raft::Message& message) { take(node_->on_message(message, now_)); }
  void finish_disk() {
    while (disk_.is_busy()) {
      auto finished = disk_.finish_one();
      if (finished.installed) node_->on_snapshot_installed(std::move(*finished.installed));
      take(node_->on_durable(finished.token, now_));
    }
  }
  void pass() {
    now_ = std::max(now_, node_->next_deadline());
    take(node_->on_tick(now_));
  }
  void propose() {
    if (auto proposed = node_->propose(Buffer::copy_of(std::string("records")), now_))
      take(std::move(proposed->effects));
  }
  void connect(BrokerId peer) { take(node_->on_peer_connected(peer, now_)); }
  void lose(BrokerId peer) { take(node_->on_peer_gone(peer, now_)); }

 private:
  void take(raft::Effects effects) {
    for (const raft::Message& message : effects.messages) {
      naru::cluster::RaftMessage proto;
      quorum::encode(message, proto);
      const auto read = quorum::decode(proto);
      NARU_CHECK(read.has_value(), "what we send is not understood: {}", raft::describe(message));
    }
    disk_.submit(std::move(effects.persist));
  }

  Instant now_{std::chrono::hours(1)};
  common::model::SeededRandom random_{1};
  raft_test::SimDisk disk_;
  std::unique_ptr<raft::Node> node_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  Member member;
  while (!input.empty()) {
    switch (input.u8() % 8) {
      case 0:
        member.pass();
        break;
      case 1:
        member.finish_disk();
        break;
      case 2:
        member.propose();
        break;
      case 3:
        member.connect(BrokerId(input.u8() % 4));
        break;
      case 4:
        member.lose(BrokerId(input.u8() % 4));
        break;
      default:
        if (const auto message = understand(input.bytes(input.u16()))) member.hear(*message);
        break;
    }
  }
  member.finish_disk();
  member.pass();
  return 0;
}
