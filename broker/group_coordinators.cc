#include "broker/group_coordinators.h"

namespace broker {

using common::Awaitable;
using common::model::Buffer;
using common::model::BufferChain;
using common::model::ErrorCode;
using common::model::LeaderEpoch;
using common::model::Offset;
using common::model::Result;
using partition::Partition;

namespace {

// The coordinator decides how long it waits; a commit is awaited until the leader epoch ends.
constexpr auto practically_for_ever = std::chrono::hours(24);

class PartitionCoordinatorLog final : public group::CoordinatorLog {
 public:
  PartitionCoordinatorLog(std::shared_ptr<Partition> partition, LeaderEpoch epoch, TopicIdOf topic_id_of,
                          std::function<bool()> may_be_replaced)
      : partition_(std::move(partition)),
        epoch_(epoch),
        topic_id_of_(std::move(topic_id_of)),
        may_be_replaced_(std::move(may_be_replaced)) {}

  Awaitable<Result<Offset>> append(Buffer batch) override {
    partition::ProduceOptions options;
    options.acks = partition::Acks::all;
    options.deadline = partition_->shard().now() + practically_for_ever;
    options.from_coordinator = true;
    options.only_in_epoch = epoch_;
    const partition::ProduceResult result = co_await partition_->produce(std::move(batch), std::move(options));
    // A full disk: what is in memory is still what the log says, and the next write may work.
    const bool is_for_now =
        result.error == ErrorCode::kafka_storage_error && result.is_definite && !partition_->is_offline();
    if (is_for_now) co_return common::model::fail(ErrorCode::not_enough_replicas, result.message);
    if (result.error != ErrorCode::none) co_return common::model::fail(result.error, result.message);
    NARU_CHECK(result.last_offset.has_value(), "a successful append has an offset");
    co_return *result.last_offset;
  }

  size_t batch_bytes_max() const override { return partition_->batch_bytes_max(); }

  Awaitable<Result<BufferChain>> read(Offset from, size_t max_bytes) override {
    partition::ReadOptions options;
    options.from = from;
    options.max_bytes = max_bytes;
    options.to_log_end = true;
    options.current_leader_epoch = epoch_;
    auto result = co_await partition_->read(std::move(options));
    if (!result) co_return tl::unexpected(result.error());
    co_return std::move(result->records);
  }

  Awaitable<bool> until_committed_before(Offset end) override {
    if (!leads()) co_return false;
    const auto committed = co_await partition_->until_committed(end, partition_->shard().now() + practically_for_ever);
    co_return committed.has_value() && leads();
  }

  // What is answered from memory needs no follower: whoever follows somebody else by now may still have a stream to
  // us, and an ISR of one misses nobody. So the clock is asked too, at this moment and not with the last tick: what lay
  // in the sockets of a process that was stopped comes before its timers.
  bool is_cut_off() const override { return partition_->is_cut_off() || (may_be_replaced_ && may_be_replaced_()); }
  bool may_be_outdated() const override { return partition_->may_be_outdated(); }
  std::optional<common::model::Uuid> topic_id(const std::string& name) const override { return topic_id_of_(name); }
  const common::BelievedClock& believed_clock() const override { return partition_->believed_clock(); }
  Result<Offset> log_start_offset() const override {
    if (!leads()) return no_longer();
    return partition_->log_start_offset();
  }
  Result<Offset> log_end_offset() const override {
    if (!leads()) return no_longer();
    return partition_->log_end_offset();
  }

 private:
  bool leads() const { return partition_->is_leader() && partition_->leader_epoch() == epoch_; }
  static common::model::Unexpected no_longer() {
    return common::model::fail(ErrorCode::not_leader_or_follower, "the leader epoch of the coordinator is over");
  }

  std::shared_ptr<Partition> partition_;
  const LeaderEpoch epoch_;
  const TopicIdOf topic_id_of_;
  const std::function<bool()> may_be_replaced_;
};

}  // namespace

std::unique_ptr<group::CoordinatorLog> make_coordinator_log(std::shared_ptr<Partition> partition, LeaderEpoch epoch,
                                                            TopicIdOf topic_id_of,
                                                            std::function<bool()> may_be_replaced) {
  return std::make_unique<PartitionCoordinatorLog>(std::move(partition), epoch, std::move(topic_id_of),
                                                   std::move(may_be_replaced));
}

void GroupCoordinators::on_leading(const std::shared_ptr<Partition>& partition) {
  if (partition->topic() != group::offsets_topic_name) return;
  const LeaderEpoch epoch = partition->leader_epoch();
  groups_.on_leading(partition->id(), epoch, make_coordinator_log(partition, epoch, topic_id_of_, may_be_replaced_));
}

void GroupCoordinators::on_following(const std::shared_ptr<Partition>& partition) {
  if (partition->topic() == group::offsets_topic_name) groups_.on_stopped(partition->id());
}

void GroupCoordinators::on_stopped(const common::model::TopicIdPartition& partition, const std::string& topic) {
  if (topic == group::offsets_topic_name) groups_.on_stopped(partition);
}

}  // namespace broker
