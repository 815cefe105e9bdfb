#include "broker/group/service/group_service.h"

#include <map>

#include "broker/group/service/coordinator_actor.h"
#include "common/model/mutant.h"

namespace broker::group {

using common::model::mutant;

namespace {

// UTF-16 units of a UTF-8 text, as Java's strings have them. Bytes that are no UTF-8 count as they are.
template <class F>
void for_each_utf16_unit(std::string_view text, F f) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    uint32_t code = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (size_t k = 1; k < length && i + k < text.size(); ++k)
      code = (code << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3f);
    if (code < 0x10000) {
      f(static_cast<uint16_t>(code));
    } else {
      f(static_cast<uint16_t>(0xd800 + ((code - 0x10000) >> 10)));
      f(static_cast<uint16_t>(0xdc00 + ((code - 0x10000) & 0x3ff)));
    }
    i += length;
  }
}

}  // namespace

PartitionIndex coordinator_partition(std::string_view group, int32_t partition_count) {
  uint32_t hash = 0;
  for_each_utf16_unit(group, [&](uint16_t unit) { hash = hash * 31 + unit; });
  // As Kafka's Utils.abs: Integer.MIN_VALUE becomes 0.
  const auto as_int = static_cast<int32_t>(hash);
  const int32_t absolute = as_int == INT32_MIN ? 0 : as_int < 0 ? -as_int : as_int;
  return PartitionIndex(absolute % partition_count);
}

class GroupService::Home {
 public:
  Home(common::Shard& shard, const GroupServiceOptions& options, uint64_t seed)
      : shard_(shard), options_(options), random_(seed) {}

  common::Shard& shard() { return shard_; }

  void on_leading(const TopicIdPartition& partition, LeaderEpoch epoch, std::unique_ptr<CoordinatorLog> log) {
    check_here();
    if (stopped_) return;
    std::shared_ptr<CoordinatorActor>& actor = actors_[partition];
    if (actor) {
      if (actor->epoch() >= epoch && !mutant<"R105-older-epochs-take-over">()) return;  // R105
      actor->stop();
    }
    ActorOptions options;
    options.config = options_.config;
    options.batch_bytes_max = options_.batch_bytes_max;
    options.load_chunk_bytes = options_.load_chunk_bytes;
    options.log = options_.log.with(fmt::format("{}-{}", offsets_topic_name, partition.partition));
    actor = std::make_shared<CoordinatorActor>(shard_, std::move(options), epoch, std::move(log));
    actor->start();
  }

  void on_stopped(const TopicIdPartition& partition) {
    check_here();
    const auto found = actors_.find(partition);
    if (found == actors_.end()) return;
    found->second->stop();
    actors_.erase(found);
  }

  Awaitable<Answer> ask(TopicIdPartition partition, Request request) {
    check_here();
    const auto found = actors_.find(partition);
    if (found == actors_.end()) co_return refusal(request, ErrorCode::not_coordinator);
    if (auto* join = std::get_if<JoinRequest>(&request)) {
      const uint64_t high = random_.next();
      join->fresh_id = common::model::random_uuid(high, random_.next());
    }
    const std::shared_ptr<CoordinatorActor> actor = found->second;
    co_return co_await actor->ask(std::move(request), shard_.now() + options_.load_patience);
  }

  Awaitable<ListAnswer> list(ListRequest request) {
    check_here();
    ListAnswer all;
    std::vector<std::shared_ptr<CoordinatorActor>> actors;
    for (const auto& [partition, actor] : actors_) actors.push_back(actor);
    const Instant patience = shard_.now() + options_.load_patience;  // for all of them together
    for (const auto& actor : actors) {
      Request one(request);
      Answer answer = co_await actor->ask(std::move(one), patience);
      auto& listed = std::get<ListAnswer>(answer);
      // Leadership that is just lost: another broker lists those groups.
      if (listed.error == ErrorCode::not_coordinator) continue;
      if (listed.error != ErrorCode::none) {
        all.error = listed.error;
        all.groups.clear();
        co_return all;
      }
      all.groups.insert(all.groups.end(), std::make_move_iterator(listed.groups.begin()),
                        std::make_move_iterator(listed.groups.end()));
    }
    co_return all;
  }

  void on_topic_deleted(const std::string& topic, std::optional<Uuid> id) {
    for (const auto& [partition, actor] : actors_) actor->on_topic_deleted(topic, id);
  }

  void survey(std::vector<GroupSurvey>& all) const {
    for (const auto& [partition, actor] : actors_) {
      for (GroupSurvey& one : actor->survey()) all.push_back(std::move(one));
    }
  }

  void load_times(std::vector<common::Duration>& all) const {
    for (const auto& [partition, actor] : actors_) {
      if (const auto took = actor->load_time()) all.push_back(*took);
    }
  }

  void stop() {
    stopped_ = true;
    for (const auto& [partition, actor] : actors_) actor->stop();
    actors_.clear();
  }

 private:
  void check_here() const { NARU_CHECK(shard_.is_current(), "group coordinators used off their shard"); }

  common::Shard& shard_;
  const GroupServiceOptions options_;
  common::model::SeededRandom random_;
  std::map<TopicIdPartition, std::shared_ptr<CoordinatorActor>> actors_;
  bool stopped_ = false;
};

GroupService::GroupService(GroupServiceOptions options, common::model::Random& random) : options_(std::move(options)) {
  options_.config.broker_memory = std::make_shared<std::atomic<size_t>>(0);
  for (common::Shard* shard : options_.shards)
    homes_.push_back(std::make_shared<Home>(*shard, options_, random.next()));
}

GroupService::~GroupService() = default;

GroupService::Home& GroupService::home_of(const TopicIdPartition& partition) {
  return *homes_[static_cast<size_t>(options_.home_of(partition))];
}

void GroupService::on_leading(const TopicIdPartition& partition, LeaderEpoch epoch,
                              std::unique_ptr<CoordinatorLog> log) {
  home_of(partition).on_leading(partition, epoch, std::move(log));
}

void GroupService::on_stopped(const TopicIdPartition& partition) {
  home_of(partition).on_stopped(partition);
}

Awaitable<Answer> GroupService::ask_any(common::Shard& here, TopicIdPartition partition, Request request) {
  Home& home = home_of(partition);
  co_return co_await common::on(here, home.shard(),
                                [&home, &partition, &request] { return home.ask(partition, std::move(request)); });
}

Awaitable<ListAnswer> GroupService::list(common::Shard& here, ListRequest request) {
  ListAnswer all;
  for (const auto& home : homes_) {
    ListAnswer one = co_await common::on(here, home->shard(), [&home, &request] { return home->list(request); });
    if (one.error != ErrorCode::none) co_return one;
    all.groups.insert(all.groups.end(), std::make_move_iterator(one.groups.begin()),
                      std::make_move_iterator(one.groups.end()));
  }
  co_return all;
}

Awaitable<std::vector<GroupSurvey>> GroupService::survey(common::Shard& here) {
  std::vector<GroupSurvey> all;
  for (const auto& home : homes_) {
    co_await common::hop(home->shard());
    home->survey(all);
    co_await common::hop(here);
  }
  co_return all;
}

Awaitable<std::vector<common::Duration>> GroupService::load_times(common::Shard& here) {
  std::vector<common::Duration> all;
  for (const auto& home : homes_) {
    co_await common::hop(home->shard());
    home->load_times(all);
    co_await common::hop(here);
  }
  co_return all;
}

void GroupService::on_topic_deleted(std::string topic, std::optional<Uuid> id) {
  for (const auto& home : homes_) home->shard().post([home, topic, id] { home->on_topic_deleted(topic, id); });
}

void GroupService::stop() {
  for (const auto& home : homes_) home->shard().post([home] { home->stop(); });
}

}  // namespace broker::group
