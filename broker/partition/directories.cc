#include "broker/partition/directories.h"

#include <algorithm>
#include <utility>

#include "broker/partition/replica_manager.h"
#include "common/log/log_directories.h"
#include "common/model/mutant.h"

namespace broker::partition {

using common::Awaitable;
using common::log::Aside;
using common::log::LogDirectory;
using common::model::Error;
using common::model::ErrorCode;
using common::model::fail;
using common::model::mutant;
using common::model::Result;

namespace {

constexpr size_t changes_at_a_time = 4;  // enough to keep the disk's pool busy
constexpr auto stray_note_interval = std::chrono::minutes(10);
constexpr auto stray_retry = std::chrono::minutes(1);

std::vector<const LogDirectory*> views_of(const std::vector<std::unique_ptr<LogDirectory>>& directories) {
  std::vector<const LogDirectory*> all;
  for (const auto& directory : directories) all.push_back(directory.get());
  return all;
}

}  // namespace

Directories::Directories(DirectoriesOptions options, std::vector<std::unique_ptr<LogDirectory>> directories)
    : options_(std::move(options)),
      directories_(std::move(directories)),
      found_less_(common::log::found_less(views_of(directories_))),
      change_ended_(*options_.home) {
  for (const auto& directory : directories_) {
    for (const auto& found : directory->partitions()) {
      if (found.topic_id) occupied_.emplace(found.partition, Occupant{*found.topic_id, directory.get(), false});
    }
  }
}

Directories::~Directories() = default;

void Directories::on_home(std::function<void()> f) {
  options_.home->post([alive = std::weak_ptr(alive_), f = std::move(f)] {
    if (!alive.expired()) f();
  });
}

// ---- start ----

std::vector<PlacedLog> Directories::found(int shard, int shard_count) const {
  std::vector<PlacedLog> all;
  for (const auto& directory : directories_) {
    for (const auto& p : directory->partitions()) {
      if (!p.topic_id || home_shard(*p.topic_id, p.partition.partition, shard_count) != shard) continue;
      all.push_back(
          {p.partition, *p.topic_id, p.path, directory->path(), directory->hints_for(p.partition), p.never_in_sync});
    }
  }
  return all;
}

Result<void> Directories::begin_run(Claims claims, std::map<std::string, Error> failed) {
  for (const auto& directory : directories_) {
    if (failed.contains(directory->path())) continue;
    // Nor may the next run, should this one end before it is registered.
    if (claims == Claims::given_up && !mutant<"R44-claims-what-is-damaged">()) directory->forget_previous_epoch();
    if (auto begun = directory->begin_run(); !begun) failed.emplace(directory->path(), std::move(begun.error()));
  }
  if (failed.size() == directories_.size()) return tl::unexpected(failed.begin()->second);
  for (const auto& [path, error] : failed) {
    find(path)->mark_failed(error);
    if (options_.on_failure) options_.on_failure(path, error);
  }
  if (failed.empty()) return {};
  for (const auto& directory : directories_) directory->distrust_run();
  return {};
}

void Directories::start(std::vector<common::Shard*> shards, std::vector<ReplicaManager*> managers) {
  shards_ = std::move(shards);
  managers_ = std::move(managers);
  const common::Instant now = options_.home->now();
  next_high_watermark_ = now + options_.high_watermark_interval;
  next_recovery_point_ = now + options_.recovery_point_interval;
  next_log_start_ = now + options_.log_start_interval;
  next_stray_note_ = now + stray_note_interval;
  // R42: directories that lack their id, or that nobody knew in an earlier run.
  for (const auto& directory : directories_) {
    if (directory->failure()) {
      for (size_t i = 0; i < managers_.size(); ++i) tell_failed(i, directory->path());
      continue;
    }
    for (const auto& p : directory->partitions()) {
      if (!p.topic_id) set_aside({p.partition, {}, p.path, directory->path(), {}});
    }
    for (const std::string& path : directory->strays())
      keep_stray({path, directory.get()}, common::log::kept_of(*options_.disk, path));
  }
  forget_what_is_lost();
  look_at_space();
  arm();
}

// R44: this start gives up every claim for them, which its marker says. The next one need not miss them once more: that
// copies are still to be made in their place is noted (R46).
void Directories::forget_what_is_lost() {
  for (const TopicPartition& lost : common::log::lost_partitions(views_of(directories_))) {
    for (const auto& directory : directories_) {
      if (directory->misses_copies() && !directory->failure()) directory->forget_checkpoints(lost, [](const auto&) {});
    }
  }
}

// ---- making and removing ----

void Directories::create(TopicPartition partition, TopicId topic_id, common::log::NewCopy copy, common::Shard& reply,
                         Placed done) {
  Creation asked{topic_id, copy, &reply, std::move(done)};
  on_home([this, partition = std::move(partition), creation = std::move(asked)]() mutable {
    const auto there = occupied_.find(partition);
    if (there != occupied_.end() && (there->second.leaving || there->second.topic_id != creation.topic_id)) {
      if (there->second.directory->failure() && !mutant<"R76-waits-for-what-has-failed">())
        return refuse_name(creation, *there->second.directory);
      waiting_[partition].push_back(std::move(creation));  // until the old one is out of the way
      return;
    }
    begin_creation(partition, std::move(creation));
  });
}

void Directories::begin_creation(const TopicPartition& partition, Creation creation) {
  LogDirectory* directory = choose(creation.topic_id, partition.partition);
  if (directory == nullptr) {
    creation.reply->post([done = std::move(creation.done)] {
      done(fail(ErrorCode::kafka_storage_error, "every directory has failed"));
    });
    return;
  }
  occupied_[partition] = {creation.topic_id, directory, false, ++made_};
  // R42: what the checkpoints say of the one that had this name is nothing that holds for the new one.
  directory->forget_checkpoints(
      partition, [this, alive = std::weak_ptr(alive_), directory, partition,
                  creation = std::move(creation)](const common::disk::IoResult<void>& stored) {
        if (alive.expired()) return;
        if (stored) {
          return in_turn({.start = [this, directory, partition, creation] { make(*directory, partition, creation); },
                          .is_creation = true});
        }
        fail_creation(partition, creation, {ErrorCode::kafka_storage_error, stored.error().message});
        if (!common::disk::may_pass(stored.error().fault))
          report_failure(directory->path(), {ErrorCode::kafka_storage_error, stored.error().message});
      });
}

// Made elsewhere, the next start would find two directories of that name. Whoever asked says that it has no replica, so
// that others lead.
void Directories::refuse_name(const Creation& creation, const LogDirectory& failed) {
  const std::string reason =
      fmt::format("an older topic's replica of this name lies in {}, which has failed", failed.path());
  creation.reply->post([done = creation.done, reason] { done(fail(ErrorCode::kafka_storage_error, reason)); });
}

void Directories::fail_creation(const TopicPartition& partition, const Creation& creation, const Error& error) {
  creation.reply->post([done = creation.done, error] { done(tl::unexpected(error)); });
  on_removed(partition);  // the name is free again
}

void Directories::make(LogDirectory& made_in, const TopicPartition& partition, Creation creation) {
  LogDirectory* directory = &made_in;
  const auto path = std::make_shared<Result<std::string>>();
  // The names' work on the pool (R78); nothing else of the directory is touched there.
  options_.disk->offload(
      common::disk::Job::changes,
      [directory, partition, id = creation.topic_id, copy = creation.copy, path]() -> common::disk::IoResult<void> {
        auto there = directory->check_is_there();
        *path = there ? directory->create_partition(partition, id, copy) : common::disk::storage_error(there.error());
        return there;
      },
      [this, alive = std::weak_ptr(alive_), directory, partition, path,
       creation = std::move(creation)](const common::disk::IoResult<void>& there) {
        if (alive.expired()) return;
        end_turn();
        if (!there && !common::disk::may_pass(there.error().fault)) report_failure(directory->path(), path->error());
        if (!*path) return fail_creation(partition, creation, path->error());
        if (directory->failure())
          return fail_creation(partition, creation,
                               {ErrorCode::kafka_storage_error, fmt::format("{} has failed", directory->path())});
        PlacedLog log{partition, creation.topic_id, **path, directory->path(), {}};
        log.hints.previous_end = common::log::PreviousEnd::clean;
        log.never_in_sync = creation.copy == common::log::NewCopy::counts_later;
        creation.reply->post([done = creation.done, placed = std::move(log)] { done(placed); });
      });
}

// Each is a few syncs, a topic can have a thousand, and logs sync by the same threads: what acknowledgements wait for
// must not stand behind all of them (R32).
void Directories::in_turn(Change change) {
  if (is_closing_ && change.is_creation) return;
  changes_.push_back(std::move(change));
  start_changes();
}

void Directories::end_turn() {
  --changing_;
  start_changes();
  change_ended_.pulse();
}

// A job that makes a directory refers to its LogDirectory, so none may be left when those go. Nobody waits any more for
// what would be made; what is deleted would be read from its beginning at the next start, as no checkpoint knows of it.
Awaitable<bool> Directories::end_changes() {
  const std::weak_ptr<bool> alive(alive_);
  while (!alive.expired() && changing_ > 0) co_await common::until(change_ended_);
  co_return !alive.expired();
}

void Directories::start_changes() {
  while (changing_ < changes_at_a_time && !changes_.empty()) {
    const Change change = std::move(changes_.front());
    changes_.pop_front();
    ++changing_;
    change.start();
  }
}

void Directories::remove(TopicPartition partition, TopicId topic_id, std::shared_ptr<common::log::JobGate> jobs) {
  on_home([this, partition = std::move(partition), topic_id, jobs = std::move(jobs)] {
    const auto there = occupied_.find(partition);
    if (there == occupied_.end() || there->second.topic_id != topic_id || there->second.leaving) return;
    there->second.leaving = true;
    const auto unique = common::model::random_uuid(options_.random->next(), options_.random->next());
    take_away({partition, there->second.directory, unique, jobs});
  });
}

// As long as it is there its name is taken: another topic of that name would find its records.
void Directories::take_away(const Removal& removal) {
  if (removal.directory->failure()) return;  // the next start sees to it
  forget_then(removal.partition, *removal.directory,
              [this, removal] { in_turn({.start = [this, removal] { delete_it(removal); }}); });
}

// R44: before its name is free, or the next start would miss it. A full disk is no reason to keep it (R81).
void Directories::forget_then(const TopicPartition& partition, LogDirectory& directory, std::function<void()> then) {
  directory.forget_checkpoints(partition, [this, alive = std::weak_ptr(alive_), where = &directory,
                                           then = std::move(then)](const common::disk::IoResult<void>& forgotten) {
    if (alive.expired()) return;
    if (forgotten || common::disk::may_pass(forgotten.error().fault)) return then();
    report_failure(where->path(), {ErrorCode::kafka_storage_error, forgotten.error().message});
  });
}

void Directories::delete_it(const Removal& removal) {
  removal.directory->delete_partition(
      removal.partition, removal.unique, removal.jobs,
      [this, alive = std::weak_ptr(alive_), removal](const common::disk::IoResult<void>& deleted) {
        if (alive.expired()) return;
        end_turn();
        if (deleted) return on_removed(removal.partition);
        options_.logger.error("{} not deleted: {}", removal.partition, deleted.error().message);
        if (!common::disk::may_pass(deleted.error().fault))
          report_failure(removal.directory->path(), {ErrorCode::kafka_storage_error, deleted.error().message});
        not_removed_.push_back(removal);  // once more with the next tick
      },
      [this, alive = std::weak_ptr(alive_), where = removal.directory](const common::disk::IoResult<void>& removed) {
        // A disk that cannot delete is no place for other replicas either (R76).
        if (removed || alive.expired() || common::disk::may_pass(removed.error().fault)) return;
        report_failure(where->path(), {ErrorCode::kafka_storage_error, removed.error().message});
      });
}

void Directories::on_removed(const TopicPartition& partition) {
  occupied_.erase(partition);
  const auto waiting = waiting_.find(partition);
  if (waiting == waiting_.end()) return;
  const std::vector<Creation> creations = std::move(waiting->second);
  waiting_.erase(waiting);
  // Topics that were deleted while they waited are removed again by those who asked for them.
  for (const Creation& creation : creations)
    create(partition, creation.topic_id, creation.copy, *creation.reply, creation.done);
}

void Directories::note_in_sync(TopicPartition partition, TopicId topic_id) {
  on_home([this, partition = std::move(partition), topic_id] {
    const auto there = occupied_.find(partition);
    if (there == occupied_.end() || there->second.topic_id != topic_id || there->second.leaving) return;
    LogDirectory* where = there->second.directory;
    if (where->failure()) return;
    where->note_in_sync(
        partition, [this, alive = std::weak_ptr(alive_), where, partition](const common::disk::IoResult<void>& noted) {
          if (noted || alive.expired()) return;
          // The next start tries again, if it finds the copy in sync.
          options_.logger.warn("{}: that it is in sync was not noted: {}", partition, noted.error().message);
          if (!common::disk::may_pass(noted.error().fault))
            report_failure(where->path(), {ErrorCode::kafka_storage_error, noted.error().message});
        });
  });
}

void Directories::note_copies_made() {
  on_home([this] {
    if (++have_made_all_ != managers_.size()) return;
    for (const auto& directory : directories_) {
      if (!directory->misses_copies() || directory->failure()) continue;
      directory->forget_missing_copies([this, alive = std::weak_ptr(alive_),
                                        where = directory.get()](const common::disk::IoResult<void>& forgotten) {
        if (forgotten || alive.expired()) return;
        options_.logger.warn("{}: that all copies are made is not noted: {}", where->path(), forgotten.error().message);
        if (!common::disk::may_pass(forgotten.error().fault))
          report_failure(where->path(), {ErrorCode::kafka_storage_error, forgotten.error().message});
      });
    }
  });
}

void Directories::set_aside(PlacedLog log, Aside aside, Forget forget) {
  on_home([this, log = std::move(log), aside, forget] {
    LogDirectory* directory = find(log.directory);
    if (directory == nullptr) return;
    // Also a name that nobody has noted, as its directory lacks the id; and not one that lies in another directory,
    // too, where it stays: whoever forgets that one does not delete it with its topic.
    const auto there = occupied_.try_emplace(log.partition, Occupant{log.topic_id, directory, true}).first;
    const bool is_it = there->second.directory == directory;
    if (is_it) there->second.leaving = true;
    const auto rename = [this, is_it, directory, log, aside] {
      rename_aside(*directory, log, aside, [this, is_it, directory, partition = log.partition] {
        directory->forget_checkpoints(partition, [](const auto&) {});
        if (is_it) on_removed(partition);
      });
    };
    if (forget == Forget::after) return rename();
    forget_then(log.partition, *directory, rename);
  });
}

void Directories::rename_aside(LogDirectory& directory, const PlacedLog& log, Aside aside, std::function<void()> done) {
  const auto unique = common::model::random_uuid(options_.random->next(), options_.random->next());
  const auto moved_to = std::make_shared<common::disk::IoResult<std::string>>();
  ++changing_;
  options_.disk->offload(
      common::disk::Job::changes,
      [&directory, log, unique, aside, moved_to]() -> common::disk::IoResult<void> {
        if (log.jobs) log.jobs->close();
        *moved_to = directory.set_aside(log.path, unique, aside);
        return {};
      },
      [this, alive = std::weak_ptr(alive_), where = &directory, log, aside, moved_to,
       done = std::move(done)](common::disk::IoResult<void>) {
        if (alive.expired()) return;
        end_turn();
        if (*moved_to) {
          if (aside == Aside::for_a_while) {
            keep_stray({**moved_to, where}, common::Duration::zero());
          } else {
            options_.logger.warn("{}: what could still be read of the only copy; nobody deletes it", **moved_to);
          }
          return done();
        }
        if (moved_to->error().fault == common::disk::IoFault::not_found) return done();  // somebody has taken it away
        options_.logger.error("{} not set aside: {}", log.path, moved_to->error().message);
        if (!common::disk::may_pass(moved_to->error().fault))
          return report_failure(where->path(), {ErrorCode::kafka_storage_error, moved_to->error().message});
        // Once more with the next tick. Until then its name is taken: what lies there is nobody else's.
        not_set_aside_.emplace_back([this, where, log, aside, done] {
          if (!where->failure()) rename_aside(*where, log, aside, done);
        });
      });
}

void Directories::keep_stray(Stray stray, common::Duration kept) {
  const common::Duration left = std::max(options_.stray_delay - kept, common::Duration::zero());
  strays_.emplace(options_.home->now() + left, std::move(stray));
}

// A broker that is started anew more often than once in that time would never delete any.
void Directories::note_strays() {
  const common::Instant now = options_.home->now();
  next_stray_note_ = now + stray_note_interval;
  for (const auto& [due, stray] : strays_) {
    if (stray.directory->failure()) continue;  // R76
    const auto kept = std::chrono::duration_cast<std::chrono::milliseconds>(options_.stray_delay - (due - now));
    options_.disk->offload(
        common::disk::Job::changes,
        [disk = options_.disk, path = stray.path, kept] { return common::log::note_kept(*disk, path, kept); },
        [logger = options_.logger, path = stray.path](common::disk::IoResult<void> noted) {
          if (!noted) logger.debug("{}: how long it is kept is not noted: {}", path, noted.error().message);
        });
  }
}

// R42: the delay gives an operator the time to notice that the cluster has forgotten a topic.
void Directories::remove_old_strays() {
  while (!strays_.empty() &&
         (strays_.begin()->first <= options_.home->now() || mutant<"R42-deletes-strays-at-once">())) {
    const Stray stray = strays_.begin()->second;
    strays_.erase(strays_.begin());
    options_.logger.info("{} has been unknown for long enough: deleted", stray.path);
    options_.disk->offload(
        common::disk::Job::removals, [disk = options_.disk, path = stray.path] { return disk->remove_tree(path); },
        [this, alive = std::weak_ptr(alive_), logger = options_.logger, stray](common::disk::IoResult<void> removed) {
          if (removed) return;
          logger.warn("{} not deleted: {}", stray.path, removed.error().message);
          if (!alive.expired() && common::disk::may_pass(removed.error().fault))
            strays_.emplace(options_.home->now() + stray_retry, stray);
        });
  }
}

LogDirectory* Directories::find(const std::string& path) {
  for (const auto& directory : directories_) {
    if (directory->path() == path) return directory.get();
  }
  return nullptr;
}

// Those with room first; a partition whose directory is low on space is refused produces (R81).
LogDirectory* Directories::choose(const TopicId& id, common::model::PartitionIndex partition) {
  std::vector<LogDirectory*> usable;
  std::vector<LogDirectory*> roomy;
  for (const auto& directory : directories_) {
    if (directory->failure()) continue;
    usable.push_back(directory.get());
    if (const auto low = low_.find(directory->path()); low == low_.end() || !low->second) roomy.push_back(directory.get());
  }
  if (usable.empty()) return nullptr;
  if (!roomy.empty()) usable = std::move(roomy);
  return usable[static_cast<size_t>(home_shard(id, partition, static_cast<int>(usable.size())))];
}

size_t Directories::usable() const {
  return static_cast<size_t>(
      std::count_if(directories_.begin(), directories_.end(), [](const auto& d) { return !d->failure(); }));
}

void Directories::tell_failed(size_t manager, const std::string& directory) {
  shards_[manager]->post([to = managers_[manager], directory] { to->directory_failed(directory); });
}

void Directories::lower_checkpoints(TopicPartition partition, const std::string& directory, common::log::Ceilings most,
                                    common::Shard& reply, std::function<void()> done) {
  on_home([this, partition = std::move(partition), directory, most, &reply, done = std::move(done)] {
    LogDirectory* where = find(directory);
    if (where == nullptr || where->failure()) return reply.post(done);
    Lowered& lowered = lowered_[partition];
    const common::log::Ceilings before = lowered.most;  // of cuts that no checkpoint knows of yet
    lowered = {most, ++lowerings_};
    if (!most.high_watermark) lowered.most.high_watermark = before.high_watermark;
    if (!most.log_start) lowered.most.log_start = before.log_start;
    auto on_stored = [this, alive = std::weak_ptr(alive_), partition, directory, most, &reply,
                      done](const common::disk::IoResult<void>& stored) {
      if (alive.expired()) return;
      if (!stored && !std::exchange(has_told_not_lowered_, true))
        options_.logger.warn("checkpoints in {} not lowered: {}", directory, stored.error().message);
      if (stored) has_told_not_lowered_ = false;
      if (!stored && common::disk::may_pass(stored.error().fault)) {
        not_lowered_.emplace_back([this, partition, directory, most, &reply, done] {
          lower_checkpoints(partition, directory, most, reply, done);
        });
        return;
      }
      reply.post(done);
      if (!stored) report_failure(directory, {ErrorCode::kafka_storage_error, stored.error().message});
    };
    where->lower_checkpoints(partition, most, std::move(on_stored));
  });
}

void Directories::report_failure(const std::string& directory, const Error& error) {
  on_home([this, directory, error] {
    LogDirectory* failed = find(directory);
    if (failed == nullptr || failed->failure()) return;
    failed->mark_failed(error);
    for (const auto& each : directories_) each->distrust_run();
    for (size_t i = 0; i < managers_.size(); ++i) tell_failed(i, directory);
    std::erase_if(waiting_, [&](const auto& waiting) {
      if (occupied_.at(waiting.first).directory != failed) return false;
      for (const Creation& creation : waiting.second) refuse_name(creation, *failed);
      return true;
    });
    if (options_.on_failure) options_.on_failure(directory, error);
  });
}

}  // namespace broker::partition
