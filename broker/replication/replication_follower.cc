#include "broker/replication/replication_follower.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "broker/replication/patience.h"

namespace broker::replication {

// One stream and its successors: survives reconnections, each of which gets a new fetcher.
class ReplicationFollower::Stream final : public ToLeaderEvents {
 public:
  Stream(ReplicationFollower& owner, Key key)
      : owner_(owner), shard_(*owner.options_.shard), key_(key), patience_(owner.options_.silence_max) {}

  void follow(const TopicIdPartition& id, const std::shared_ptr<partition::FollowerReplica>& replica) {
    partitions_[id] = replica;
    if (fetcher_) {
      fetcher_->follow(id, replica);
    } else if (!connection_) {
      connect_soon(Duration::zero());
    }
  }
  void unfollow(const TopicIdPartition& id) {
    partitions_.erase(id);
    if (!fetcher_) return;
    fetcher_->unfollow(id);
    if (fetcher_->is_worn_out()) end({BreakKind::rejected, "its numbers are used up by partitions that are gone"});
  }
  [[nodiscard]] bool is_unused() const { return partitions_.empty(); }

  // Says nothing about the leader.
  void restart() { end({BreakKind::rejected, "this broker has another epoch now"}); }
  // Somebody thinks that it is worth trying now.
  void retry() {
    if (!connection_) connect_soon(Duration::zero());
  }

  void on_connected(const LeaderHello& leader) override {
    heard_at_ = shard_.now();
    if (leader.cluster_id != owner_.options_.cluster_id || leader.node_id != key_.first) {
      return end(
          {BreakKind::rejected, fmt::format("reached broker {} of cluster {}", leader.node_id, leader.cluster_id)});
    }
    if (leader.shards != owner_.shards_of(key_.first) && leader.shards > 0) {
      is_over_ = true;  // this object dies in a moment
      shard_.post([&owner = owner_, alive = std::weak_ptr(owner_.alive_), leader] {
        if (!alive.expired()) owner.on_shard_count(leader.node_id, leader.shards);
      });
      return;
    }
    if (!leader.accepted) return;  // on_broken says why
    owner_.options_.logger.info("fetch stream to broker {} shard {} for {} partitions", key_.first, key_.second,
                                partitions_.size());
    pause_ = Duration::zero();
    fetcher_ = std::make_unique<FollowerFetcher>(owner_.options_.fetch, [this] { schedule(); });
    for (const auto& [id, replica] : partitions_) fetcher_->follow(id, replica);
    pump();
  }

  void on_frame(LeaderFrame frame) override {
    heard_at_ = shard_.now();
    patience_.on_heard(heard_at_);
    if (!fetcher_) return;
    const bool was_scheduled = std::exchange(is_scheduled_, true);  // what is to be said is said below
    const auto batches = std::ranges::count_if(frame.answers, [](const SlotAnswer& a) { return !a.records.empty(); });
    const auto taken = fetcher_->on_frame(std::move(frame), heard_at_);
    is_scheduled_ = was_scheduled;
    if (!taken) return end({BreakKind::rejected, taken.error().message});
    const Instant now = shard_.now();
    if (batches > 0 && owner_.options_.writes != nullptr) owner_.options_.writes->add(now - heard_at_, batches);
    pump(now);
  }
  void on_writable() override { pump(); }
  void on_broken(const Broken& broken) override { end(broken); }

 private:
  void connect_soon(Duration pause) {
    if (is_over_) return;
    reconnect_ = shard_.call_at(shard_.now() + pause, [this] { connect(); });
  }

  void connect() {
    if (connection_ || is_over_ || !owner_.broker_epoch_ || is_unused()) return;
    const auto& options = owner_.options_;
    const std::optional<Endpoint> endpoint = options.endpoint_of(key_.first);
    if (!endpoint) return pause_and_retry();
    FollowerHello hello;
    hello.cluster_id = options.cluster_id;
    hello.node_id = options.self;
    hello.broker_epoch = *owner_.broker_epoch_;
    hello.to_node = key_.first;
    hello.leader_shard = key_.second;
    hello.leader_shards = owner_.shards_of(key_.first);
    hello.follower_shard = options.shard_index;
    hello.session = owner_.next_session_++;
    spoke_at_ = heard_at_ = connecting_since_ = shard_.now();
    connection_ = options.transport->connect(shard_, *endpoint, hello, *this);
    arm();
  }

  void pause_and_retry() {
    connect_soon(pause_);
    pause_ = std::clamp<Duration>(pause_ * 2, std::chrono::milliseconds(10), owner_.options_.reconnect_pause_max);
  }

  void end(const Broken& broken) {
    if (!connection_ || is_ending_) return;
    is_ending_ = true;
    if (fetcher_)
      owner_.options_.logger.info("fetch stream to broker {} shard {} ended: {}", key_.first, key_.second, broken.why);
    if (owner_.options_.on_broken) owner_.options_.on_broken(key_.first, broken);
    // Not from inside one's own callbacks.
    shard_.post([this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      is_ending_ = false;
      fetcher_.reset();
      connection_.reset();
      timer_.cancel();
      armed_for_.reset();
      pause_and_retry();
    });
  }

  void schedule() {
    if (is_scheduled_) return;
    is_scheduled_ = true;
    shard_.post([this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      is_scheduled_ = false;
      pump();
    });
  }

  void pump() { pump(shard_.now()); }
  void pump(Instant now) {
    if (!fetcher_ || is_ending_ || is_over_) return;
    while (fetcher_->has_work(now) && connection_->can_write()) {
      std::optional<FollowerFrame> frame = fetcher_->next_frame(now);
      const bool gives_way = fetcher_->gives_way();
      // By a timer: what is posted comes before the sockets.
      if (gives_way) goes_on_ = shard_.call_at(shard_.now(), [this] { pump(); });
      if (!frame) break;
      spoke_at_ = now = shard_.now();
      connection_->write(std::move(*frame));
      if (gives_way) break;
    }
    arm();
  }

  void arm() {
    const auto& options = owner_.options_;
    Instant at = fetcher_ ? std::min(spoke_at_ + options.heartbeat, heard_at_ + patience_.current())
                          : connecting_since_ + options.connect_timeout;
    if (fetcher_) {
      if (const auto deadline = fetcher_->next_deadline(); deadline && may_act_on(*deadline))
        at = std::min(at, *deadline);
    }
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
    if (!connection_ || is_ending_ || is_over_) return;
    if (!fetcher_) {
      if (now - connecting_since_ < owner_.options_.connect_timeout) return arm();
      return end({BreakKind::unreachable, "no answer"});
    }
    if (now - heard_at_ >= patience_.current()) {
      patience_.on_silence(now);
      return end({BreakKind::unreachable, "silent for too long"});
    }
    if (now - spoke_at_ >= owner_.options_.heartbeat) {
      spoke_at_ = now;
      if (connection_->can_write()) connection_->write(fetcher_->heartbeat());
    }
    pump();
  }

  ReplicationFollower& owner_;
  common::Shard& shard_;
  const Key key_;
  std::map<TopicIdPartition, std::shared_ptr<partition::FollowerReplica>> partitions_;
  std::unique_ptr<ConnectionToLeader> connection_;  // null: waiting to connect
  std::unique_ptr<FollowerFetcher> fetcher_;        // null: no hello yet
  Instant heard_at_;
  Instant spoke_at_;
  Instant connecting_since_;
  Duration pause_ = Duration::zero();
  Patience patience_;  // over all connections
  common::TimerHandle reconnect_;
  common::TimerHandle timer_;
  common::TimerHandle goes_on_;
  std::optional<Instant> armed_for_;
  bool is_scheduled_ = false;
  bool is_ending_ = false;
  bool is_over_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

ReplicationFollower::ReplicationFollower(ReplicationFollowerOptions options)
    : options_(std::move(options)), next_session_(options_.first_session) {}
ReplicationFollower::~ReplicationFollower() = default;

void ReplicationFollower::set_broker_epoch(BrokerEpoch epoch) {
  if (broker_epoch_ == epoch) return;
  broker_epoch_ = epoch;
  for (const auto& [key, stream] : streams_) stream->restart();
  on_brokers_changed();
}

void ReplicationFollower::on_leading(const std::shared_ptr<partition::Partition>& partition) {
  unfollow(partition->id());
}

void ReplicationFollower::on_following(const std::shared_ptr<partition::Partition>& partition) {
  follow(partition->id(), partition, *partition->leader());
}

void ReplicationFollower::on_stopped(const TopicIdPartition& partition, const std::string& /*topic*/) {
  unfollow(partition);
}

void ReplicationFollower::follow(const TopicIdPartition& id, std::shared_ptr<partition::FollowerReplica> replica,
                                 BrokerId leader) {
  const int leader_shard = partition::home_shard(id.topic_id, id.partition, shards_of(leader));
  const auto known = followed_.find(id);
  if (known != followed_.end()) {
    // The same leader in another epoch: the replica itself has told the fetcher that its position changed.
    if (known->second.leader == leader && known->second.replica == replica) return;
    unfollow(id);
  }
  followed_[id] = {replica, leader, leader_shard};
  stream({leader, leader_shard}).follow(id, replica);
}

void ReplicationFollower::unfollow(const TopicIdPartition& id) {
  const auto known = followed_.find(id);
  if (known == followed_.end()) return;
  const Key key(known->second.leader, known->second.leader_shard);
  followed_.erase(known);
  if (const auto found = streams_.find(key); found != streams_.end()) found->second->unfollow(id);
}

void ReplicationFollower::on_brokers_changed() {
  std::erase_if(streams_, [this](const auto& entry) {
    return entry.second->is_unused() && !options_.endpoint_of(entry.first.first);
  });
  for (const auto& [key, stream] : streams_) stream->retry();
}

int ReplicationFollower::shards_of(BrokerId leader) const {
  const auto known = leader_shards_.find(leader);
  return known != leader_shards_.end() ? known->second : options_.shards;  // brokers of one cluster are usually alike
}

ReplicationFollower::Stream& ReplicationFollower::stream(const Key& key) {
  auto& place = streams_[key];
  if (!place) place = std::make_unique<Stream>(*this, key);
  return *place;
}

void ReplicationFollower::on_shard_count(BrokerId leader, int shards) {
  options_.logger.info("broker {} has {} shards", leader, shards);
  leader_shards_[leader] = shards;
  std::erase_if(streams_, [&](const auto& entry) { return entry.first.first == leader; });
  for (auto& [id, followed] : followed_) {
    if (followed.leader != leader) continue;
    followed.leader_shard = partition::home_shard(id.topic_id, id.partition, shards);
    stream({leader, followed.leader_shard}).follow(id, followed.replica);
  }
}

}  // namespace broker::replication
