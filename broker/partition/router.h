// Finds a partition's home shard from any shard and runs work there.
//
//   Result<ReadResult> r = co_await router.on_home(here, id, [options](Partition& p) { return p.read(options); });
//
// Immutable after construction; any thread.
#pragma once
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "broker/partition/partition.h"
#include "broker/partition/replica_manager.h"
#include "common/shard.h"

namespace broker::partition {

namespace detail {
template <class T>
struct Unwrapped {
  using type = T;
  static constexpr bool awaits = false;
};
template <class T>
struct Unwrapped<Awaitable<T>> {
  using type = T;
  static constexpr bool awaits = true;
};
template <class T>
struct AsResult {
  using type = Result<T>;
};
template <class T>
struct AsResult<Result<T>> {
  using type = Result<T>;
};
}  // namespace detail

class PartitionRouter {
 public:
  // `shards[i]` runs `managers[i]`; both outlive the router.
  PartitionRouter(std::vector<common::Shard*> shards, std::vector<ReplicaManager*> managers);

  [[nodiscard]] int shard_count() const { return static_cast<int>(shards_.size()); }
  [[nodiscard]] int home_of(const TopicIdPartition& id) const {
    return home_shard(id.topic_id, id.partition, shard_count());
  }
  [[nodiscard]] common::Shard& shard(int index) const { return *shards_[static_cast<size_t>(index)]; }
  [[nodiscard]] ReplicaManager& manager(int index) const { return *managers_[static_cast<size_t>(index)]; }

  // Runs `f(Partition&)` on the partition's home shard and returns its result on `here`. `f` returns R, Result<R> or an
  // Awaitable of either; the answer is a Result<R>. The partition lives while `f` runs. Without such a replica here:
  // NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR (its directory is offline) or UNKNOWN_TOPIC_OR_PARTITION.
  template <class F>
  auto on_home(common::Shard& here, TopicIdPartition id, F f) const -> Awaitable<
      typename detail::AsResult<typename detail::Unwrapped<std::invoke_result_t<F&, Partition&>>::type>::type> {
    using Unwrapped = detail::Unwrapped<std::invoke_result_t<F&, Partition&>>;
    using Answer = typename detail::AsResult<typename Unwrapped::type>::type;
    common::Shard& home = shard(home_of(id));
    if (&home != &here) co_await common::hop(home);
    Answer answer = common::model::fail(ErrorCode::unknown_server_error);
    if (is_being_made(id)) co_await until_made(id);
    {
      // Let go of at home: it may have been removed meanwhile.
      Result<std::shared_ptr<Partition>> found = find_here(id);
      if (!found) {
        answer = Answer(tl::unexpect, std::move(found.error()));
      } else if constexpr (Unwrapped::awaits) {
        answer = co_await f(**found);
      } else {
        answer = f(**found);
      }
    }
    if (&home != &here) co_await common::hop(here);
    co_return answer;
  }

  // On the partition's home shard. First wait for one that is being made (ReplicaManager::is_being_made).
  [[nodiscard]] Result<std::shared_ptr<Partition>> find_here(const TopicIdPartition& id) const;
  [[nodiscard]] bool is_being_made(const TopicIdPartition& id) const { return manager(home_of(id)).is_being_made(id); }
  [[nodiscard]] Awaitable<void> until_made(TopicIdPartition id) const { return manager(home_of(id)).until_made(id); }

 private:
  std::vector<common::Shard*> shards_;
  std::vector<ReplicaManager*> managers_;
};

}  // namespace broker::partition
