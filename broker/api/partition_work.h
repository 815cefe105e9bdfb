// The loop over partitions that every data request has: find what the client names, split the work by
// home shard once, join it once.
//
// FanOut lives on the shard that started it; the work runs on the partitions' shards.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "broker/api/context.h"
#include "broker/partition/router.h"
#include "controller/metadata/image.h"

namespace broker::api {

using common::model::PartitionIndex;
using common::model::TopicId;
using common::model::TopicIdPartition;

// A partition as a request names it, looked up in the image. With an error there is no such partition.
struct Target {
  TopicIdPartition id;
  const controller::metadata::TopicImage* topic = nullptr;
  ErrorCode error = ErrorCode::none;
};
// UNKNOWN_TOPIC_OR_PARTITION
[[nodiscard]] Target find_target(const MetadataImage& image, std::string_view topic, int32_t partition);
// UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION
[[nodiscard]] Target find_target(const MetadataImage& image, const TopicId& topic, int32_t partition);

// Does something with each of several partitions at once.
class FanOut : public std::enable_shared_from_this<FanOut> {
 public:
  // Runs on the home shard of the `index`th partition. `partition` is an error if no such replica lives here. Must own
  // what it touches (shared state), and each index touches only its own part of it.
  using Work = std::function<Awaitable<void>(size_t index, Result<std::shared_ptr<partition::Partition>> partition)>;

  enum class TellsBegun { no, yes };

  // Starts them all: one message per shard; on each shard the works begin in the order of `ids`, and those of an
  // earlier FanOut of the same connection began before (R87).
  static std::shared_ptr<FanOut> start(common::Shard& here, const partition::PartitionRouter& router,
                                       std::vector<TopicIdPartition> ids, Work work,
                                       TellsBegun tells_begun = TellsBegun::no);
  // Waits for all of them. On the shard that started them.
  Awaitable<void> done();
  // Waits until each has come as far as it does without waiting, or all are done. Only if that was to be told: it costs
  // a message more for each other shard.
  Awaitable<void> begun();

 private:
  struct Group {
    std::vector<size_t> indexes;
    size_t left = 0;  // on the group's shard
  };
  FanOut(common::Shard& here, const partition::PartitionRouter& router, std::vector<TopicIdPartition> ids, Work work,
         TellsBegun tells_begun);
  void run_group(int shard);
  static Awaitable<void> run_one(std::shared_ptr<FanOut> self, int shard, size_t index);
  void on_group_done();
  void on_group_begun();

  common::Shard& here_;
  const partition::PartitionRouter& router_;
  const std::vector<TopicIdPartition> ids_;
  const Work work_;
  std::vector<Group> groups_;  // by shard
  const TellsBegun tells_begun_;
  std::atomic<size_t> groups_left_{0};
  std::atomic<size_t> groups_to_begin_{0};
  common::Event all_done_;
  common::Event all_begun_;  // or done
};

}  // namespace broker::api
