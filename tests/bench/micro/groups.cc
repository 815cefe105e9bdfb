// A consumer group of 1,000 members: one rebalance, and one heartbeat.
#include "broker/group/coordinator.h"

#include <algorithm>

#include "micro.h"

namespace micro {

using namespace broker::group;  // NOLINT: what is measured
using namespace std::chrono_literals;

namespace {

constexpr int member_count = 1000;

class BigGroup {
 public:
  BigGroup() : coordinator_(GroupConfig{}) {
    keep(coordinator_.start(now()));
    for (int i = 0; i < member_count; ++i) {
      const Buffer metadata = subscription();
      metadata_.push_back(metadata);
      ids_.emplace_back();
      join(i);
    }
    while (joined_ < member_count) {
      const auto deadline = coordinator_.next_deadline();
      NARU_CHECK(deadline.has_value());
      now_ = *deadline;
      take(coordinator_.on_time(now()));
    }
    sync();
  }

  // The leader asks for it, everybody joins again and gets an assignment.
  void rebalance() {
    now_ += 1s;
    joined_ = 0;
    const size_t leader = static_cast<size_t>(std::find(ids_.begin(), ids_.end(), leader_) - ids_.begin());
    join(static_cast<int>(leader));
    for (int i = 0; i < member_count; ++i) {
      if (i != static_cast<int>(leader)) join(i);
    }
    NARU_CHECK(joined_ == member_count, "{} of {} joined", joined_, member_count);
    sync();
  }

  void heartbeat() {
    now_ += 1ms;
    next_ = (next_ + 389) % member_count;
    take(coordinator_.handle(RequestToken(0),
                             HeartbeatRequest{group, generation_, ids_[static_cast<size_t>(next_)], {}}, now()));
  }

 private:
  static constexpr const char* group = "billing";
  // ConsumerProtocolSubscription 0: one topic, no data of the user's.
  static Buffer subscription() {
    return Buffer::copy_of(std::string_view("\0\0\0\0\0\1\0\6orders\xff\xff\xff\xff", 18));
  }
  [[nodiscard]] Moment now() const { return {now_, TimestampMs(1'000'000)}; }

  void join(int i) {
    JoinRequest request;
    request.group = group;
    request.member_id = ids_[static_cast<size_t>(i)];
    request.client_id = "consumer";
    request.client_host = "10.0.0.1";
    request.session_timeout = 45s;
    request.rebalance_timeout = 300s;
    request.protocol_type = "consumer";
    request.protocols = {{"range", metadata_[static_cast<size_t>(i)]}, {"sticky", metadata_[static_cast<size_t>(i)]}};
    request.member_id_rule = MemberIdRule::may_be_empty;
    request.fresh_id = common::model::Uuid::from_halves(9, static_cast<uint64_t>(i));
    take(coordinator_.handle(RequestToken(static_cast<uint64_t>(i)), std::move(request), now()));
  }
  void sync() {
    synced_ = 0;
    for (int i = 0; i < member_count; ++i) {
      SyncRequest request;
      request.group = group;
      request.generation = generation_;
      request.member_id = ids_[static_cast<size_t>(i)];
      if (request.member_id == leader_) {
        for (const std::string& id : ids_) request.assignments.emplace_back(id, metadata_[0]);
      }
      take(coordinator_.handle(RequestToken(static_cast<uint64_t>(i)), std::move(request), now()));
    }
    NARU_CHECK(synced_ == member_count, "{} of {} synced", synced_, member_count);
  }
  void take(Effects effects) {
    for (Answered& one : effects.answers) {
      if (auto* answer = std::get_if<JoinAnswer>(&one.answer)) {
        NARU_CHECK(answer->error == ErrorCode::none, "{}", answer->error);
        ids_[one.token.value] = answer->member_id;
        leader_ = answer->leader;
        generation_ = *answer->generation;
        ++joined_;
      } else if (const auto* given = std::get_if<SyncAnswer>(&one.answer)) {
        NARU_CHECK(given->error == ErrorCode::none, "{}", given->error);
        ++synced_;
      } else if (const auto* alive = std::get_if<HeartbeatAnswer>(&one.answer)) {
        NARU_CHECK(alive->error == ErrorCode::none, "{}", alive->error);
      }
    }
    for (const Write& write : effects.writes) take(coordinator_.on_committed(write.id, now()));
  }

  GroupCoordinator coordinator_;
  Instant now_{1h};
  std::vector<std::string> ids_;
  std::vector<Buffer> metadata_;
  std::string leader_;
  Generation generation_{0};
  int joined_ = 0;
  int synced_ = 0;
  int next_ = 0;
};

}  // namespace

void add_groups(Cases& all) {
  all.push_back({"group: a rebalance of 1,000 members", 2,
                 []() -> Step { return [own = std::make_shared<BigGroup>()] { own->rebalance(); }; }});
  all.push_back({"group: a heartbeat among 1,000 members", 500,
                 []() -> Step { return [own = std::make_shared<BigGroup>()] { own->heartbeat(); }; }});
}

}  // namespace micro
