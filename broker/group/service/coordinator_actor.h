// Runs one GroupCoordinator over its log for one leader epoch: loads it, feeds it requests, commits and time, and does
// what it says.
//
// Held by shared_ptr: coroutines in here keep it alive. Lives on its partition's home shard.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/group/coordinator.h"
#include "broker/group/service/coordinator_log.h"
#include "common/logging.h"
#include "common/records/batch.h"
#include "common/records/batch_builder.h"
#include "common/shard.h"

namespace broker::group {

struct ActorOptions {
  GroupConfig config;
  size_t batch_bytes_max = 1'048'576;
  size_t load_chunk_bytes = 256 << 10;
  // Writes that have not reached the log; beyond it requests are told to come back.
  size_t queue_bytes_max = 4 << 20;
  common::Logger log;
};

class CoordinatorActor : public std::enable_shared_from_this<CoordinatorActor> {
 public:
  CoordinatorActor(common::Shard& shard, ActorOptions options, LeaderEpoch epoch, std::unique_ptr<CoordinatorLog> log);
  CoordinatorActor(const CoordinatorActor&) = delete;
  CoordinatorActor& operator=(const CoordinatorActor&) = delete;

  // Begins to load. Once.
  void start();
  // The epoch is over: who waits is told, and so is whoever still asks.
  void stop();
  [[nodiscard]] bool is_over_with(ErrorCode error) const;

  // Waits until `patience` for a load that is going on.
  common::Awaitable<Answer> ask(Request request, Instant patience);
  void on_topic_deleted(const std::string& topic, std::optional<Uuid> id);
  [[nodiscard]] LeaderEpoch epoch() const { return epoch_; }
  // Empty while it is loading.
  [[nodiscard]] std::vector<GroupSurvey> survey() const {
    return coordinator_ && state_ == State::active ? coordinator_->survey() : std::vector<GroupSurvey>{};
  }

  // How long loading took; none: not loaded.
  [[nodiscard]] std::optional<common::Duration> load_time() const { return load_time_; }

 private:
  enum class State { loading, active, stopped };
  // A request that waits; lives in the frame of its coroutine.
  struct Waiter {
    explicit Waiter(common::Shard& shard) : event(shard) {}
    common::Event event;
    std::optional<Answer> answer;
  };
  struct Queued {
    WriteId id;
    std::shared_ptr<const std::vector<GroupRecord>> records;
  };

  static common::Awaitable<void> run_load(std::shared_ptr<CoordinatorActor> self);
  static common::Awaitable<void> run_writer(std::shared_ptr<CoordinatorActor> self);
  common::Awaitable<common::model::Result<void>> load();
  common::model::Result<void> replay(common::model::BytesView batches, Offset& next);
  common::model::Result<void> replay_batch(const common::records::BatchView& batch, Offset from);

  void forget_deleted_topics();
  [[nodiscard]] bool is_of_no_use_to(const Request& request) const;
  void leave_out_former_topics(FetchAnswer& answer, bool asks_for_all) const;
  [[nodiscard]] bool is_for_other_topics(const CommitRequest& request) const;
  void perform(Effects effects);
  void arm();
  // Everything that waits is answered with `error`; the coordinator's state is given up.
  void give_up(ErrorCode error, State next);
  // Takes writes off the queue into one batch; those that cannot be written fail. None: nothing to append.
  struct Batch {
    common::model::Buffer bytes;
    std::vector<WriteId> ids;
  };
  std::optional<Batch> next_batch();
  void on_append(const Batch& batch, const common::model::Result<Offset>& outcome);
  [[nodiscard]] Moment now() const;

  common::Shard& shard_;
  const ActorOptions options_;
  const LeaderEpoch epoch_;
  const std::unique_ptr<CoordinatorLog> log_;
  State state_ = State::loading;
  std::unique_ptr<GroupCoordinator> coordinator_;
  common::Event loaded_;  // or stopped
  common::Event wake_writer_;
  std::deque<Queued> queue_;
  size_t queue_bytes_ = 0;
  std::map<RequestToken, Waiter*> waiters_;
  uint64_t last_token_ = 0;
  int awaiting_load_ = 0;     // requests that wait for it, or behind one that did
  bool load_failed_ = false;  // at the last attempt
  std::optional<common::Duration> load_time_;
  std::set<std::pair<std::string, std::optional<Uuid>>> deleted_meanwhile_;  // topics, while it loads
  std::vector<OffsetStored> unforgotten_;  // removals of an earlier life of which nobody knows whether they are written
  int life_ = 0;              // counts loads: what was appended for an earlier one means nothing now
  common::TimerHandle timer_;
  std::optional<Instant> armed_for_;
};

}  // namespace broker::group
