// What commits: the ISR of a partition, and an entry of the metadata log from proposal to delivery on three voters.
#include <array>
#include <deque>

#include "broker/partition/isr_tracker.h"
#include "common/model/random.h"
#include "controller/raft/node.h"
#include "micro.h"

namespace micro {

using namespace std::chrono_literals;
using common::model::Buffer;
using common::model::Uuid;

namespace {

// Every append seen by both followers: a batch committed with acks=all.
Step isr() {
  namespace part = broker::partition;
  struct State {
    part::IsrTracker tracker;
    part::Instant now;
    int64_t end = 0;
  };
  part::IsrStart start;
  start.leader = part::BrokerId(1);
  for (int id = 1; id <= 3; ++id) {
    start.replicas.push_back(part::BrokerId(id));
    start.isr.push_back(part::BrokerId(id));
    start.brokers.push_back({part::BrokerId(id), part::BrokerEpoch(id), true});
  }
  start.leader_broker_epoch = part::BrokerEpoch(1);
  start.min_isr = 2;
  auto own = std::make_shared<State>(State{part::IsrTracker(start), start.now, 0});
  return [own] {
    own->now += 1ms;
    own->end += 16;
    keep(own->tracker.on_append(part::Offset(own->end), own->now));
    for (int id = 2; id <= 3; ++id) {
      part::FollowerPosition position;
      position.follower = part::BrokerId(id);
      position.broker_epoch = part::BrokerEpoch(id);
      position.fetch_offset = position.durable_offset = part::Offset(own->end);
      keep(own->tracker.on_follower_position(position, own->now));
    }
    NARU_CHECK(own->tracker.high_watermark().value == own->end);
  };
}

// Three voters, a network without delay, and disks that are done at once.
class Quorum {
 public:
  Quorum() {
    using namespace controller::raft;  // NOLINT: what is measured
    std::vector<Voter> voters;
    for (int id = 0; id < 3; ++id) voters.push_back({key_of(id), {"broker", 9093}, {}});
    Entry first;
    first.term = Term(1);
    first.kind = EntryKind::bootstrap;
    first.payload = VoterSet(voters).encode();
    for (int id = 0; id < 3; ++id) {
      RestoredState state;
      state.hard_state.term = Term(1);
      state.entries = {first};
      Config config;
      config.self = key_of(id);
      nodes_[static_cast<size_t>(id)] = std::make_unique<Node>(config, std::move(state), random_, now_);
      carry(id, nodes_[static_cast<size_t>(id)]->start(now_));
    }
    while (nodes_[0]->role() != Role::leader) {
      now_ = nodes_[0]->next_deadline();
      carry(0, nodes_[0]->on_tick(now_));
      deliver();
    }
  }

  void commit(const Buffer& payload) {
    now_ += 1ms;
    auto proposed = nodes_[0]->propose(payload, now_);
    NARU_CHECK(proposed.has_value(), "{}", proposed.error().message);
    const auto index = proposed->index;
    carry(0, std::move(proposed->effects));
    deliver();
    NARU_CHECK(nodes_[0]->delivered() > index);
  }

 private:
  static controller::raft::NodeKey key_of(int id) {
    return {common::model::BrokerId(id), Uuid::from_halves(1, static_cast<uint64_t>(id) + 1)};
  }
  void carry(int id, controller::raft::Effects effects) {
    for (auto& message : effects.messages) network_.push_back(std::move(message));
    if (!effects.persist.empty()) {
      carry(id, nodes_[static_cast<size_t>(id)]->on_durable(effects.persist.back().token, now_));
    }
  }
  void deliver() {
    while (!network_.empty()) {
      const controller::raft::Message message = std::move(network_.front());
      network_.pop_front();
      const int to = message.to.id.value;
      carry(to, nodes_[static_cast<size_t>(to)]->on_message(message, now_));
    }
  }

  common::model::SeededRandom random_{1};
  controller::raft::Instant now_{1h};
  std::array<std::unique_ptr<controller::raft::Node>, 3> nodes_;
  std::deque<controller::raft::Message> network_;
};

Step raft() {
  return [quorum = std::make_shared<Quorum>(), payload = Buffer::copy_of(std::string(200, 'r'))] {
    quorum->commit(payload);
  };
}

}  // namespace

void add_replication(Cases& all) {
  all.push_back({"ISR: an append seen by two followers", 1000, isr});
  all.push_back({"Raft: an entry from proposal to delivery, three voters", 200, raft});
}

}  // namespace micro
