#include "broker/api/partition_work.h"

#include <utility>

namespace broker::api {

namespace {

Target find_in(const controller::metadata::TopicImage* topic, int32_t partition, ErrorCode no_topic) {
  Target target;
  target.topic = topic;
  if (topic == nullptr) {
    target.error = no_topic;
    return target;
  }
  target.id = {topic->id, PartitionIndex(partition)};
  if (topic->partition(target.id.partition) == nullptr) target.error = ErrorCode::unknown_topic_or_partition;
  return target;
}

}  // namespace

Target find_target(const MetadataImage& image, std::string_view topic, int32_t partition) {
  return find_in(image.topic_by_name(topic), partition, ErrorCode::unknown_topic_or_partition);
}

Target find_target(const MetadataImage& image, const TopicId& topic, int32_t partition) {
  return find_in(image.visible_topic(topic), partition, ErrorCode::unknown_topic_id);
}

FanOut::FanOut(common::Shard& here, const partition::PartitionRouter& router, std::vector<TopicIdPartition> ids,
               Work work, TellsBegun tells_begun)
    : here_(here),
      router_(router),
      ids_(std::move(ids)),
      work_(std::move(work)),
      groups_(static_cast<size_t>(router.shard_count())),
      tells_begun_(tells_begun),
      all_done_(here),
      all_begun_(here) {}

std::shared_ptr<FanOut> FanOut::start(common::Shard& here, const partition::PartitionRouter& router,
                                      std::vector<TopicIdPartition> ids, Work work, TellsBegun tells_begun) {
  const std::shared_ptr<FanOut> self(new FanOut(here, router, std::move(ids), std::move(work), tells_begun));
  for (size_t i = 0; i < self->ids_.size(); ++i) {
    Group& group = self->groups_[static_cast<size_t>(router.home_of(self->ids_[i]))];
    group.indexes.push_back(i);
    ++group.left;
  }
  size_t count = 0;
  for (const Group& group : self->groups_) count += group.indexes.empty() ? 0 : 1;
  if (count == 0) {
    self->all_done_.set();
    self->all_begun_.set();
    return self;
  }
  self->groups_left_.store(count, std::memory_order_relaxed);
  self->groups_to_begin_.store(count, std::memory_order_relaxed);
  std::optional<int> own;
  for (int shard = 0; shard < router.shard_count(); ++shard) {
    if (self->groups_[static_cast<size_t>(shard)].indexes.empty()) continue;
    if (&router.shard(shard) == &here) {
      own = shard;
    } else {
      router.shard(shard).post([self, shard] { self->run_group(shard); });
    }
  }
  if (own) self->run_group(*own);
  return self;
}

// spawn() on the shard's own thread begins at once and returns at the first suspension.
void FanOut::run_group(int shard) {
  // The last work may end the group, and with it this loop's object, before the loop is left.
  const std::shared_ptr<FanOut> self = shared_from_this();
  bool has_begun = true;
  for (const size_t index : groups_[static_cast<size_t>(shard)].indexes) {
    has_begun = has_begun && !router_.is_being_made(ids_[index]);  // else it begins later: all_done_ tells
    router_.shard(shard).spawn("partition work", run_one(self, shard, index));
  }
  if (has_begun && tells_begun_ == TellsBegun::yes) on_group_begun();
}

Awaitable<void> FanOut::run_one(std::shared_ptr<FanOut> self, int shard, size_t index) {
  const TopicIdPartition& id = self->ids_[index];
  if (self->router_.is_being_made(id)) co_await self->router_.until_made(id);
  co_await self->work_(index, self->router_.find_here(id));
  if (--self->groups_[static_cast<size_t>(shard)].left == 0) self->on_group_done();
}

void FanOut::on_group_begun() {
  if (groups_to_begin_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (here_.is_current()) {
    all_begun_.set();
  } else {
    here_.post([self = shared_from_this()] { self->all_begun_.set(); });
  }
}

void FanOut::on_group_done() {
  if (groups_left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const auto tell = [](FanOut& self) {
    self.all_done_.set();
    self.all_begun_.set();
  };
  if (here_.is_current()) {
    tell(*this);
  } else {
    here_.post([self = shared_from_this(), tell] { tell(*self); });
  }
}

Awaitable<void> FanOut::done() {
  co_await common::until(all_done_);
}

Awaitable<void> FanOut::begun() {
  co_await common::until(all_begun_);
}

}  // namespace broker::api
