#include "broker/replication/replication_leader.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace broker::replication {

// One stream: the session decides, this carries.
class ReplicationLeader::Stream final : public ToFollowerEvents {
 public:
  Stream(ReplicationLeader& owner, const FollowerHello& follower, std::unique_ptr<ConnectionToFollower> connection)
      : owner_(owner),
        shard_(*owner.options_.shard),
        key_(follower.node_id, follower.follower_shard),
        connection_(std::move(connection)),
        session_(follower, owner.options_.fetch, owner.options_.find, [this] { schedule(); }),
        heard_at_(shard_.now()),
        spoke_at_(shard_.now()) {
    arm();
  }

  void on_frame(FollowerFrame frame) override {
    heard_at_ = shard_.now();
    const bool was_scheduled = std::exchange(is_scheduled_, true);  // what is to be said is said below
    const auto taken = session_.on_frame(frame, heard_at_);
    is_scheduled_ = was_scheduled;
    if (!taken) return end(taken.error().message);
    pump();
  }
  void on_writable() override { pump(); }
  void on_broken(const Broken& broken) override { end(broken.why); }

  void on_replica_created(const TopicIdPartition& partition) { session_.on_replica_created(partition); }
  void on_throttle_changed() { session_.on_throttle_changed(); }
  [[nodiscard]] Instant heard_at() const { return heard_at_; }

 private:
  // Appends of one turn of the loop travel together.
  void schedule() {
    if (is_scheduled_ || has_ended_) return;
    is_scheduled_ = true;
    shard_.post([this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      is_scheduled_ = false;
      pump();
    });
  }

  void pump() {
    if (has_ended_) return;
    while (session_.has_work(shard_.now()) && connection_->can_write()) {
      std::optional<LeaderFrame> frame = session_.next_frame(shard_.now());
      if (!frame) break;
      spoke_at_ = shard_.now();
      connection_->write(std::move(*frame));
    }
    owner_.watch_turns();
    arm();
  }

  void arm() {
    const auto& options = owner_.options_;
    Instant at = std::min(spoke_at_ + options.heartbeat, heard_at_ + options.silence_max);
    if (const auto deadline = session_.next_deadline(); deadline && may_act_on(*deadline)) at = std::min(at, *deadline);
    if (armed_for_ && *armed_for_ <= at) return;
    armed_for_ = at;
    timer_ = shard_.call_at(at, [this] {
      armed_for_.reset();
      on_timer();
    });
  }

  // One that has passed is of use only if we can write; else on_writable comes.
  [[nodiscard]] bool may_act_on(Instant deadline) { return deadline > shard_.now() || connection_->can_write(); }

  void on_timer() {
    const Instant now = shard_.now();
    if (now - heard_at_ >= owner_.options_.silence_max) return end("silent for too long");
    if (now - spoke_at_ >= owner_.options_.heartbeat && connection_->can_write()) {
      spoke_at_ = now;
      connection_->write(session_.heartbeat());
    } else if (now - spoke_at_ >= owner_.options_.heartbeat) {
      spoke_at_ = now;  // a write is under way
    }
    pump();
  }

  void end(const std::string& why) {
    if (has_ended_) return;
    has_ended_ = true;
    owner_.options_.logger.info("fetch stream of broker {} shard {} ended: {}", key_.first, key_.second, why);
    // Not from inside one's own callbacks.
    // The stream that has replaced this one by then may lie at its address.
    shard_.post([&owner = owner_, alive = std::weak_ptr(owner_.alive_), key = key_, self = this,
                 self_alive = std::weak_ptr(alive_)] {
      if (!alive.expired() && !self_alive.expired()) owner.drop(key, self);
    });
  }

  ReplicationLeader& owner_;
  common::Shard& shard_;
  const Key key_;
  std::unique_ptr<ConnectionToFollower> connection_;
  LeaderFetchSession session_;
  Instant heard_at_;
  Instant spoke_at_;
  common::TimerHandle timer_;
  std::optional<Instant> armed_for_;
  bool is_scheduled_ = false;
  bool has_ended_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

ReplicationLeader::ReplicationLeader(ReplicationLeaderOptions options) : options_(std::move(options)) {}
ReplicationLeader::~ReplicationLeader() = default;

void ReplicationLeader::watch_turns() {
  constexpr std::chrono::milliseconds between{5};
  if (options_.fetch.pace == nullptr || turn_due_ || !options_.fetch.pace->is_feeding()) return;
  turn_due_ = options_.shard->now() + between;
  turn_ = options_.shard->call_at(*turn_due_, [this] {
    const Instant now = options_.shard->now();
    options_.fetch.pace->on_turn(now - *std::exchange(turn_due_, std::nullopt), now);
    watch_turns();
  });
}

ToFollowerEvents* ReplicationLeader::on_follower(const FollowerHello& hello,
                                                 std::unique_ptr<ConnectionToFollower> connection) {
  LeaderHello own;
  own.cluster_id = options_.cluster_id;
  own.node_id = options_.self;
  own.shards = options_.shards;
  own.broker_epoch = broker_epoch_.value_or(BrokerEpoch(-1));
  const Key key(hello.node_id, hello.follower_shard);
  std::string why;
  if (hello.version_min > protocol_version || hello.version_max < protocol_version) {
    why = fmt::format("speaks versions {} to {}, not {}", hello.version_min, hello.version_max, protocol_version);
  } else if (hello.cluster_id != options_.cluster_id) {
    why = fmt::format("belongs to cluster {}, this is {}", hello.cluster_id, options_.cluster_id);
  } else if (hello.to_node != options_.self) {
    why = fmt::format("looks for broker {}, this is {}", hello.to_node, options_.self);
  } else if (!broker_epoch_) {
    why = "not registered yet";
  } else if (hello.leader_shards != options_.shards || hello.leader_shard != options_.shard_index) {
    why = fmt::format("expects shard {} of {}, this is {} of {}", hello.leader_shard, hello.leader_shards,
                      options_.shard_index, options_.shards);
  } else if (const auto known = newest_.find(key);
             known != newest_.end() && std::pair(hello.broker_epoch, hello.session) <= known->second) {
    why = fmt::format("session {} of broker epoch {} is over, {} of {} has been here", hello.session,
                      hello.broker_epoch, known->second.second, known->second.first);
  }
  if (!why.empty()) {
    options_.logger.debug("fetch stream of broker {} rejected: {}", hello.node_id, why);
    connection->reject(own, why);
    return nullptr;
  }
  own.accepted = true;
  newest_[key] = {hello.broker_epoch, hello.session};
  connection->accept(own);
  auto& place = streams_[key];
  place.reset();  // the follower has given the older one up
  place = std::make_unique<Stream>(*this, hello, std::move(connection));
  options_.logger.info("fetch stream of broker {} shard {}, session {}", hello.node_id, hello.follower_shard,
                       hello.session);
  return place.get();
}

void ReplicationLeader::drop(const Key& key, const Stream* stream) {
  const auto found = streams_.find(key);
  if (found != streams_.end() && found->second.get() == stream) streams_.erase(found);
}

void ReplicationLeader::on_throttle_changed() {
  for (const auto& [key, stream] : streams_) stream->on_throttle_changed();
}

void ReplicationLeader::on_partition_appeared(const TopicIdPartition& partition) {
  for (const auto& [key, stream] : streams_) stream->on_replica_created(partition);
}

std::vector<std::pair<BrokerId, Instant>> ReplicationLeader::spoken_at() const {
  std::vector<std::pair<BrokerId, Instant>> all;
  for (const auto& [key, stream] : streams_) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const auto& e) { return e.first == key.first; });
    if (same == all.end()) {
      all.emplace_back(key.first, stream->heard_at());
    } else {
      same->second = std::max(same->second, stream->heard_at());
    }
  }
  return all;
}

}  // namespace broker::replication
