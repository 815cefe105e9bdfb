#include "common/log/log_directory.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "common/disk/durable_directory.h"
#include "common/log/file_names.h"
#include "common/model/check.h"
#include "common/model/mutant.h"
#include "common/records/crc32c.h"

namespace common::log {

using common::model::mutant;

using disk::Durability;
using disk::IoFault;
using disk::IoResult;
using model::as_bytes;
using model::ErrorCode;
using model::fail;

namespace {

constexpr std::string_view lock_name = ".lock";
constexpr std::string_view identity_name = "meta.properties";
constexpr std::string_view clean_name = ".kafka_cleanshutdown";
constexpr std::string_view running_name = ".naru_running";
constexpr std::string_view missing_name = ".naru_copies_missing";
constexpr std::string_view siblings_name = ".naru_directories";
constexpr std::string_view siblings_version = "version=0";
constexpr std::string_view delete_suffix = "-delete";
constexpr std::string_view stray_suffix = "-stray";
constexpr std::string_view kept_name = ".naru_kept";  // in a stray
constexpr std::string_view damaged_suffix = "-damaged";
// The Raft log, and former ones that its driver has set aside. Topics may have names that begin like it.
constexpr std::string_view metadata_log_name = "__cluster_metadata-0";
constexpr std::string_view lost_metadata_log_prefix = "__cluster_metadata-0.lost-";
constexpr size_t small_file = 64u << 10;
constexpr size_t checkpoint_file = 256u << 20;
constexpr std::array checkpoint_names{"recovery-point-offset-checkpoint", "replication-offset-checkpoint",
                                      "log-start-offset-checkpoint", "cleaner-offset-checkpoint"};
static_assert(checkpoint_names.size() == checkpoint_kinds);

std::string_view name_of(CheckpointKind kind) {
  return checkpoint_names[static_cast<size_t>(kind)];
}

// name=value lines; '#' begins a comment. Java's escapes occur in none of our values.
std::map<std::string, std::string, std::less<>> parse_properties(std::string_view text) {
  std::map<std::string, std::string, std::less<>> all;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    const size_t equals = line.find('=');
    if (line.empty() || line.front() == '#' || equals == std::string_view::npos) continue;
    all.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return all;
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string encode_identity(const DirectoryIdentity& identity) {
  return fmt::format("#\n#\ncluster.id={}\ndirectory.id={}\nnode.id={}\nversion=1\n", identity.cluster_id,
                     identity.directory_id, identity.node_id);
}

std::optional<DirectoryIdentity> decode_identity(std::string_view text) {
  const auto all = parse_properties(text);
  const auto get = [&](std::string_view name) {
    const auto it = all.find(name);
    return it == all.end() ? std::string_view() : std::string_view(it->second);
  };
  const auto node = number<int32_t>(get("node.id"));
  const auto directory = DirectoryId::parse(get("directory.id"));
  if (get("version") != "1" || get("cluster.id").empty() || !node || *node < 0 || !directory) return std::nullopt;
  return DirectoryIdentity{std::string(get("cluster.id")), BrokerId(*node), *directory};
}

// What both markers say, with a checksum over it.
struct Marker {
  disk::MachineIdentity machine;
  std::optional<BrokerEpoch> epoch;
};

std::string marker_body(const Marker& marker) {
  return fmt::format("\"version\":0,\"brokerEpoch\":{},\"bootId\":\"{}\",\"fileSystemId\":\"{}\"",
                     marker.epoch ? marker.epoch->value : -1, marker.machine.boot_id, marker.machine.file_system_id);
}
std::string encode_marker(const Marker& marker) {
  const std::string body = marker_body(marker);
  return fmt::format("{{{},\"crc32c\":{}}}\n", body, records::crc32c(as_bytes(body)));
}
std::optional<Marker> decode_marker(std::string_view text) {
  const auto after = [&](std::string_view key, char end) {
    const size_t at = text.find(key);
    if (at == std::string_view::npos) return std::string_view();
    const std::string_view rest = text.substr(at + key.size());
    return rest.substr(0, rest.find(end));
  };
  Marker marker;
  marker.machine = {std::string(after("\"bootId\":\"", '"')), std::string(after("\"fileSystemId\":\"", '"'))};
  const auto epoch = number<int64_t>(after("\"brokerEpoch\":", ','));
  if (!epoch) return std::nullopt;
  if (*epoch >= 0) marker.epoch = BrokerEpoch(*epoch);
  if (encode_marker(marker) != text && !mutant<"R73-reads-a-torn-marker">()) return std::nullopt;
  return marker;
}

std::string encode_siblings(const std::vector<DirectoryId>& all) {
  return fmt::format("{}\n{}\n", siblings_version, fmt::join(all, "\n"));
}

// One that is damaged says nothing: it is compared with what it would be written as.
std::vector<DirectoryId> decode_siblings(std::string_view text) {
  std::vector<DirectoryId> all;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = rest.find('\n');
    if (const auto id = DirectoryId::parse(rest.substr(0, end))) all.push_back(*id);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return encode_siblings(all) == text ? all : std::vector<DirectoryId>();
}

std::string encode_kept(int64_t kept_ms) {
  return fmt::format("{}\n{:08x}\n", kept_ms, records::crc32c(as_bytes(fmt::format("{}", kept_ms))));
}

std::optional<TopicPartition> partition_in_name(std::string_view name) {
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0) return std::nullopt;
  const std::string_view digits = name.substr(dash + 1);
  const auto index = number<int32_t>(digits);
  if (!index || *index < 0 || fmt::format("{}", *index) != digits) return std::nullopt;
  return TopicPartition{std::string(name.substr(0, dash)), model::PartitionIndex(*index)};
}

// Kafka's form: at most 255 characters, so a long topic name is cut.
std::string leaving_name(std::string_view directory_name, const model::Uuid& unique, std::string_view suffix) {
  const std::string tail = fmt::format(".{:016x}{:016x}{}", unique.high(), unique.low(), suffix);
  return std::string(directory_name.substr(0, 255 - tail.size())) + tail;
}

std::optional<TopicId> decode_metadata(std::string_view text) {
  std::string_view prefix = "version: 0\ntopic_id: ";
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  return TopicId::parse(text);
}

// Not there, or no such file at all. Anything else may be a good file on a disk that fails.
bool is_missing(IoFault fault) {
  return fault == IoFault::not_found || fault == IoFault::too_large;
}

// Several files that are written for one `done`.
class Storing {
 public:
  explicit Storing(disk::Done<void> done) : done_(std::move(done)) {}

  disk::Done<void> begin(const std::shared_ptr<Storing>& self) {
    ++left_;
    return [self](const IoResult<void>& stored) { self->end(stored); };
  }
  void end(const IoResult<void>& stored) {
    if (!stored) result_ = stored;
    if (--left_ == 0) done_(result_);
  }

 private:
  size_t left_ = 1;  // so that it cannot end before all have begun
  IoResult<void> result_;
  const disk::Done<void> done_;
};

Result<void> as_result(const IoResult<void>& result) {
  if (!result) return disk::storage_error(result.error());
  return {};
}

}  // namespace

// One that is damaged says nothing: it is compared with what it would be written as.
std::chrono::milliseconds kept_of(disk::Disk& disk, const std::string& stray) {
  const auto text = disk.read_file(stray + "/" + std::string(kept_name), small_file);
  if (!text) return {};
  const auto kept = number<int64_t>(text->text().substr(0, text->text().find('\n')));
  return std::chrono::milliseconds(kept && encode_kept(*kept) == text->text() ? *kept : 0);
}

IoResult<void> note_kept(disk::Disk& disk, const std::string& stray, std::chrono::milliseconds kept) {
  const std::string text = encode_kept(kept.count());
  return disk.replace_file(stray + "/" + std::string(kept_name), as_bytes(text), Durability::medium);
}

// Checkpoints that wait for the one of their kind being written.
struct LogDirectory::Pending {
  struct Kind {
    OffsetMap newest;  // what lies there, or will once all that was asked for is written
    bool is_next = false;  // newest is to be written, behind the one being written
    std::vector<disk::Done<void>> next_done;
    bool is_writing = false;
    bool is_unsure = false;  // the last write failed: the file may say what an older map did
  };
  std::array<Kind, checkpoint_kinds> kinds;
};

std::string LogDirectory::file(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

Result<std::unique_ptr<LogDirectory>> LogDirectory::open(disk::Disk& disk, std::string path, Logger logger) {
  std::unique_ptr<LogDirectory> self(new LogDirectory(disk, std::move(path), std::move(logger)));
  self->pending_ = std::make_shared<Pending>();
  if (auto made = disk::create_directories_durably(disk, self->path_); !made) return disk::storage_error(made.error());
  auto lock = disk.lock(self->file(lock_name));
  const bool is_shared = !lock && lock.error().fault == IoFault::locked && mutant<"R83-shares-a-directory">();
  if (!lock && !is_shared) {
    if (lock.error().fault != IoFault::locked) return disk::storage_error(lock.error());
    return fail(
        ErrorCode::kafka_storage_error,
        fmt::format(
            "the data directory {} is in use by another process: stop that one, or give this broker its own log.dirs",
            self->path_));
  }
  if (lock) self->lock_ = std::move(*lock);
  auto machine = disk.machine_identity(self->path_);
  if (!machine) return disk::storage_error(machine.error());
  self->machine_ = *machine;
  if (auto read = self->read_identity(); !read) return tl::unexpected(read.error());
  self->was_new_ = !self->identity_;
  if (auto read = self->read_partitions(); !read) return tl::unexpected(read.error());
  if (auto read = self->read_checkpoints(); !read) return tl::unexpected(read.error());
  if (auto read = self->read_markers(); !read) return tl::unexpected(read.error());
  if (auto read = self->read_what_is_missed(); !read) return tl::unexpected(read.error());
  return self;
}

Result<void> LogDirectory::read_identity() {
  auto text = disk_.read_file(file(identity_name), small_file);
  if (!text) {
    if (text.error().fault == IoFault::not_found) return {};
    return disk::storage_error(text.error());
  }
  identity_ = decode_identity(text->text());
  if (identity_) return {};
  // Without knowing whose it is, it must be nobody's: a guess could mix two clusters.
  return fail(ErrorCode::kafka_storage_error,
              fmt::format("{} cannot be understood: restore it, or move {} away if its data are of no use",
                          file(identity_name), path_));
}

// R70, R75.
Result<void> LogDirectory::read_markers() {
  const auto read = [&](std::string_view name) -> Result<std::optional<Marker>> {
    auto text = disk_.read_file(file(name), small_file);
    if (text) return decode_marker(text->text());
    if (is_missing(text.error().fault)) return std::nullopt;
    return disk::storage_error(text.error());
  };
  auto clean = read(clean_name);
  if (!clean) return tl::unexpected(clean.error());
  auto running = read(running_name);
  if (!running) return tl::unexpected(running.error());
  const bool has_checkpoint =
      std::any_of(checkpoints_.begin(), checkpoints_.end(), [](const auto& c) { return c.has_value(); });
  const bool was_used = !found_.empty() || !strays_.empty() || !to_delete_.empty() || has_checkpoint;
  if (*clean) {
    previous_end_ = PreviousEnd::clean;
    previous_epoch_ = (*clean)->epoch;
  } else if (*running && ((*running)->machine == machine_ || mutant<"R75-believes-another-boot">())) {
    // Same kernel, same file system: what was written is there. Made durable before anybody relies on it.
    if (auto synced = mutant<"R75-does-not-sync-what-was-written">() ? IoResult<void>() : disk_.sync_file_system(path_);
        !synced) {
      logger_.error("{}: what the killed process had written cannot be made durable: {}", path_,
                    synced.error().message);
      return disk::storage_error(synced.error());
    }
    previous_end_ = PreviousEnd::process_crash;
    previous_epoch_ = (*running)->epoch;
  } else if (!was_used && !*running) {
    previous_end_ = PreviousEnd::clean;
  } else {
    // The marker of another boot is that of a machine that was lost. One that is gone may have been taken away because
    // a sync had failed, and the machine may still be up (distrust_run).
    is_page_cache_doubted_ = !*running || (*running)->machine.boot_id == machine_.boot_id;
  }
  if (has_lost_records_ && !mutant<"R44-a-replica-without-its-id-is-no-loss">()) previous_epoch_.reset();
  epoch_ = previous_epoch_;
  return {};
}

void LogDirectory::forget_previous_epoch() {
  NARU_CHECK(!has_begun_, "{}: a run has begun", path_);
  previous_epoch_.reset();
  epoch_.reset();
}

Result<void> LogDirectory::read_partitions() {
  auto entries = disk_.list(path_);
  if (!entries) return disk::storage_error(entries.error());
  for (const disk::DirectoryEntry& entry : *entries) {
    if (!entry.is_directory) continue;
    // The Raft log lies here too unless metadata.log.dir says otherwise, and is the controller's business alone.
    if (entry.name == metadata_log_name || entry.name.starts_with(lost_metadata_log_prefix)) continue;
    const std::string full = file(entry.name);
    if (entry.name.ends_with(delete_suffix)) {
      to_delete_.push_back(full);
    } else if (entry.name.ends_with(stray_suffix)) {
      strays_.push_back(full);
    } else if (auto partition = partition_in_name(entry.name)) {
      auto found = read_partition(full, std::move(*partition));
      if (!found) return tl::unexpected(found.error());
      found_.push_back(std::move(*found));
    }
  }
  return {};
}

// An id that cannot be read is not one that is missing: with it the replica would be set aside and begun anew (R76).
Result<PartitionDirectory> LogDirectory::read_partition(std::string path, TopicPartition partition) {
  PartitionDirectory found{std::move(path), std::move(partition), {}};
  auto text = disk_.read_file(found.path + "/" + std::string(metadata_file_name), small_file);
  if (text) found.topic_id = decode_metadata(text->text());
  if (!text && !is_missing(text.error().fault) && !mutant<"R76-takes-an-unreadable-replica-for-a-stray">())
    return disk::storage_error(text.error());
  auto unproven = disk_.read_file(found.path + "/" + std::string(never_in_sync_file_name), small_file);
  if (!unproven && !is_missing(unproven.error().fault)) return disk::storage_error(unproven.error());
  found.never_in_sync = unproven.has_value();
  if (found.topic_id && !found.never_in_sync) return found;
  auto files = disk_.list(found.path);
  if (!files) return disk::storage_error(files.error());
  const bool has_records = std::any_of(files->begin(), files->end(), [](const disk::DirectoryEntry& entry) {
    return offset_in_name(entry.name, log_suffix) && entry.size_bytes > 0;
  });
  found.is_blank = found.never_in_sync && !has_records;
  // Whoever died while it was made left no records.
  if (found.topic_id || !has_records) return found;
  logger_.error("{} has records, but its topic id is missing or damaged: they are set aside", found.path);
  has_lost_records_ = true;
  return found;
}

void LogDirectory::disown(const TopicPartition& partition) {
  for (PartitionDirectory& found : found_) {
    if (found.partition == partition) found.topic_id.reset();
  }
}

IoResult<void> LogDirectory::set_disowned_aside(const TopicPartition& partition, const model::Uuid& unique) {
  for (const PartitionDirectory& found : found_) {
    if (found.partition != partition || found.topic_id) continue;
    auto moved = set_aside(found.path, unique);
    if (!moved) return tl::unexpected(moved.error());
    strays_.push_back(*std::move(moved));
  }
  return {};
}

Result<void> LogDirectory::read_what_is_missed() {
  auto missing = disk_.read_file(file(missing_name), small_file);
  if (!missing && !is_missing(missing.error().fault)) return disk::storage_error(missing.error());
  misses_copies_ = missing.has_value();
  auto siblings = disk_.read_file(file(siblings_name), small_file);
  if (!siblings && !is_missing(siblings.error().fault)) return disk::storage_error(siblings.error());
  if (siblings) siblings_ = decode_siblings(siblings->text());
  return {};
}

void LogDirectory::note_siblings(const std::vector<DirectoryId>& all) {
  if (all == siblings_ || (all.size() == 1 && siblings_.empty())) return;
  const std::string text = encode_siblings(all);
  if (auto noted = disk_.replace_file(file(siblings_name), as_bytes(text), Durability::medium); !noted)
    logger_.warn("{}: which directories this broker has is not noted: {}", path_, noted.error().message);
}

void LogDirectory::note_missing_copies() {
  if (misses_copies_) return;
  auto made = disk_.open(file(missing_name), disk::OpenMode::create_if_missing);
  IoResult<void> noted = made ? IoResult<void>() : tl::unexpected(made.error());
  if (noted) noted = disk_.sync_directory(path_);
  misses_copies_ = noted.has_value();
  if (!noted) logger_.warn("{}: that this broker may have had more is not noted: {}", path_, noted.error().message);
}

void LogDirectory::forget_missing_copies(disk::Done<void> done) {
  misses_copies_ = false;
  disk_.offload(
      disk::Job::changes,
      [d = &disk_, mark = file(missing_name), where = path_]() -> IoResult<void> {
        auto removed = d->remove_file(mark);
        if (!removed) return removed.error().fault == IoFault::not_found ? IoResult<void>() : removed;
        return d->sync_directory(where);
      },
      std::move(done));
}

// R73: one that is missing or damaged can be done without. One that cannot be read may say what must not be cut (R72).
Result<void> LogDirectory::read_checkpoints() {
  for (size_t i = 0; i < checkpoint_kinds; ++i) {
    const auto kind = static_cast<CheckpointKind>(i);
    const std::string name = file(name_of(kind));
    auto text = disk_.read_file(name, checkpoint_file);
    if (!text && !is_missing(text.error().fault)) return disk::storage_error(text.error());
    if (!text) {
      if (text.error().fault != IoFault::not_found) logger_.warn("{}", text.error().message);
      continue;
    }
    auto& offsets = checkpoints_[static_cast<size_t>(kind)];
    offsets = decode_offsets(text->text());
    if (offsets) pending_->kinds[i].newest = *offsets;
    if (!offsets) logger_.warn("{} is damaged and ignored: what it says is found out from the logs", name);
  }
  return {};
}

std::set<TopicPartition> LogDirectory::checkpointed() const {
  std::set<TopicPartition> all;
  for (const CheckpointKind kind : {CheckpointKind::recovery_point, CheckpointKind::high_watermark}) {
    const auto& offsets = checkpoints_[static_cast<size_t>(kind)];
    if (!offsets) continue;
    for (const auto& [partition, offset] : *offsets) {
      if (offset > Offset(0)) all.insert(partition);
    }
  }
  return all;
}

OpenHints LogDirectory::hints_for(const TopicPartition& partition) const {
  const auto get = [&](CheckpointKind kind) -> std::optional<Offset> {
    const auto& offsets = checkpoints_[static_cast<size_t>(kind)];
    if (!offsets) return std::nullopt;
    const auto it = offsets->find(partition);
    if (it == offsets->end()) return std::nullopt;
    return it->second;
  };
  OpenHints hints{previous_end_,
                  get(CheckpointKind::recovery_point),
                  get(CheckpointKind::high_watermark),
                  get(CheckpointKind::log_start),
                  get(CheckpointKind::cleaner),
                  {}};
  if (is_page_cache_doubted_) hints.doubted_from = hints.recovery_point.value_or(Offset(0));
  return hints;
}

Result<void> LogDirectory::give_identity(const DirectoryIdentity& identity) {
  if (identity_ == identity) return {};
  if (identity_ && !mutant<"R83-takes-any-directory">()) {
    return fail(ErrorCode::invalid_config,
                fmt::format("{} belongs to node {} of cluster {}, not to node {} of cluster {}", path_,
                            identity_->node_id, identity_->cluster_id, identity.node_id, identity.cluster_id));
  }
  const std::string text = encode_identity(identity);
  if (auto written = disk_.replace_file(file(identity_name), as_bytes(text), Durability::medium); !written)
    return as_result(written);
  identity_ = identity;
  return {};
}

IoResult<void> LogDirectory::check_is_there() const {
  if (!identity_ || mutant<"R44-makes-replicas-where-a-disk-was">()) return {};
  const auto text = disk_.read_file(file(identity_name), small_file);
  if (!text) return tl::unexpected(text.error());
  if (decode_identity(text->text()) == identity_) return {};
  return disk::io_failure(IoFault::failed, fmt::format("{} is not what it was at the start", file(identity_name)));
}

// The new marker comes before the old one goes: a crash in between finds the clean one and nothing written after it.
Result<void> LogDirectory::begin_run() {
  const std::string text = encode_marker({machine_, epoch_});
  if (auto written = disk_.replace_file(file(running_name), as_bytes(text), Durability::medium); !written) {
    if (!disk::may_pass(written.error().fault)) return as_result(written);
    // R81: a full disk can be read, and be given room, by a broker that runs. Without the marker the next start takes
    // this run for one that may have lost something, unless it ends in order or the broker epoch can be noted.
    logger_.warn("{}: the start is not noted: {}", path_, written.error().message);
    auto stale = disk_.remove_file(file(running_name));
    if (!stale && stale.error().fault != IoFault::not_found) return as_result(stale);
  }
  if (mutant<"R70-keeps-the-clean-marker-while-running">()) return {};
  auto removed = disk_.remove_file(file(clean_name));
  if (!removed && removed.error().fault != IoFault::not_found) return as_result(removed);
  if (auto synced = disk_.sync_directory(path_); !synced) return as_result(synced);
  has_begun_ = true;
  remove_left_overs();
  return {};
}

void LogDirectory::remove_left_overs() {
  for (const std::string& leaving : std::exchange(to_delete_, {})) remove_leaving(leaving, {});
}

// Nobody waits for it: what is left of it goes at the next start, or later where only descriptors were short.
void LogDirectory::remove_leaving(const std::string& leaving, disk::Done<void> removed) {
  disk_.offload(
      disk::Job::removals, [d = &disk_, leaving] { return d->remove_tree(leaving); },
      [this, weak = std::weak_ptr(pending_), logger = logger_, leaving,
       removed = std::move(removed)](const IoResult<void>& result) {
        if (!result) logger.warn("{} not removed: {}", leaving, result.error().message);
        if (!result && !weak.expired() && disk::may_pass(result.error().fault)) to_delete_.push_back(leaving);
        if (removed) removed(result);
      });
}

void LogDirectory::note_broker_epoch(BrokerEpoch epoch, disk::Done<void> done) {
  epoch_ = epoch;
  if (is_distrusted_) {
    if (done) done({});
    return;
  }
  disk_.offload(
      disk::Job::changes,
      [d = &disk_, to = file(running_name), text = encode_marker({machine_, epoch})] {
        return d->replace_file(to, as_bytes(text), Durability::medium);
      },
      [this, weak = std::weak_ptr(pending_), done = std::move(done)](const IoResult<void>& result) {
        if (done) done(result);
        if (!weak.expired() && is_distrusted_) remove_running_marker();  // written after it had been removed
      });
}

void LogDirectory::distrust_run() {
  if (std::exchange(is_distrusted_, true)) return;
  remove_running_marker();
}

void LogDirectory::remove_running_marker() {
  disk_.offload(
      disk::Job::changes,
      [d = &disk_, marker = file(running_name), where = path_]() -> IoResult<void> {
        auto removed = d->remove_file(marker);
        if (!removed && removed.error().fault != IoFault::not_found) return removed;
        return d->sync_directory(where);
      },
      [logger = logger_, where = path_](const IoResult<void>& result) {
        if (!result) logger.warn("{}: the running marker stays: {}", where, result.error().message);
      });
}

Result<void> LogDirectory::end_run() {
  if (failure_ && !mutant<"R70-clean-marker-after-a-failure">()) return fail(failure_->code, failure_->message);
  if (is_distrusted_) {
    return fail(ErrorCode::kafka_storage_error, fmt::format("{}: another directory has failed in this run", path_));
  }
  if (!has_begun_ && !mutant<"R70-clean-marker-before-the-start-ended">())
    return fail(ErrorCode::kafka_storage_error, fmt::format("{}: the start had not ended", path_));
  const std::string text = encode_marker({machine_, epoch_});
  if (auto written = disk_.replace_file(file(clean_name), as_bytes(text), Durability::medium); !written)
    return as_result(written);
  has_begun_ = false;
  auto removed = disk_.remove_file(file(running_name));
  if (!removed && removed.error().fault != IoFault::not_found) return as_result(removed);
  return as_result(disk_.sync_directory(path_));
}

// -- checkpoints --

Result<void> LogDirectory::store_checkpoint_blocking(CheckpointKind kind, const OffsetMap& offsets) {
  const std::string text = encode_offsets(offsets);
  Pending::Kind& state = pending_->kinds[static_cast<size_t>(kind)];
  state.newest = offsets;
  const auto stored = disk_.replace_file(file(name_of(kind)), as_bytes(text), Durability::medium);
  state.is_unsure = !stored;
  return as_result(stored);
}

void LogDirectory::store_checkpoint(CheckpointKind kind, OffsetMap offsets, disk::Done<void> done) {
  pending_->kinds[static_cast<size_t>(kind)].newest = std::move(offsets);
  store_newest(kind, std::move(done));
}

// No copy of the map for each call: one failover lowers the points of thousands of partitions.
void LogDirectory::store_newest(CheckpointKind kind, disk::Done<void> done) {
  Pending::Kind& state = pending_->kinds[static_cast<size_t>(kind)];
  state.is_next = true;
  state.next_done.push_back(std::move(done));
  if (!state.is_writing) start_store(kind);
}

// Whether the file has to be written for that.
bool LogDirectory::lower(CheckpointKind kind, const TopicPartition& partition, std::optional<Offset> to) {
  if (!to) return false;
  Pending::Kind& state = pending_->kinds[static_cast<size_t>(kind)];
  const auto known = state.newest.find(partition);
  const bool is_low = known == state.newest.end() || known->second <= *to;
  // What is being written may replace one that is not, and what could not be written may have been to.
  if (is_low && !state.is_writing && !state.is_unsure) return false;
  if (!is_low && !mutant<"R71-recovery-point-beyond-a-cut">()) known->second = *to;
  return true;
}

void LogDirectory::lower_checkpoints(const TopicPartition& partition, const Ceilings& most, disk::Done<void> done) {
  const auto storing = std::make_shared<Storing>(std::move(done));
  const auto look = [&](CheckpointKind kind, std::optional<Offset> to) {
    if (lower(kind, partition, to)) store_newest(kind, storing->begin(storing));
  };
  look(CheckpointKind::recovery_point, most.recovery_point);
  look(CheckpointKind::cleaner, most.recovery_point);
  look(CheckpointKind::high_watermark, most.high_watermark);
  look(CheckpointKind::log_start, most.log_start);
  storing->end({});
}

void LogDirectory::forget_checkpoints(const TopicPartition& partition, disk::Done<void> done) {
  const auto storing = std::make_shared<Storing>(std::move(done));
  for (size_t i = 0; i < checkpoint_kinds && !mutant<"R42-checkpoints-outlive-their-partition">(); ++i) {
    Pending::Kind& state = pending_->kinds[i];
    // What is being written may still name it, though the newest map does not.
    const bool is_in_doubt = state.is_unsure || (state.is_writing && !mutant<"R42-forgets-what-is-being-written">());
    if (state.newest.erase(partition) == 0 && !is_in_doubt) continue;
    store_newest(static_cast<CheckpointKind>(i), storing->begin(storing));
  }
  storing->end({});
}

void LogDirectory::start_store(CheckpointKind kind) {
  Pending::Kind& state = pending_->kinds[static_cast<size_t>(kind)];
  state.is_writing = true;
  state.is_next = false;
  auto text = std::make_shared<std::string>(encode_offsets(state.newest));
  // After a failover thousands of epoch files may wait for their syncs, and a replica that was cut waits for this one
  // file before it serves again (lower_checkpoints).
  disk_.offload(
      disk::Job::urgent_changes,
      [d = &disk_, to = file(name_of(kind)), text] { return d->replace_file(to, as_bytes(*text), Durability::medium); },
      [this, kind, weak = std::weak_ptr(pending_),
       served = std::exchange(state.next_done, {})](const IoResult<void>& result) {
        if (const auto there = weak.lock()) there->kinds[static_cast<size_t>(kind)].is_unsure = !result;
        for (const auto& done : served) {
          if (done) done(result);
        }
        const auto still = weak.lock();
        if (!still) return;
        Pending::Kind& now = still->kinds[static_cast<size_t>(kind)];
        now.is_writing = false;
        if (now.is_next) start_store(kind);
      });
}

// -- partitions --

std::string LogDirectory::partition_path(const TopicPartition& partition) const {
  return file(fmt::format("{}", partition));
}

Result<std::string> LogDirectory::create_partition(const TopicPartition& partition, const TopicId& topic_id,
                                                   NewCopy copy) {
  const std::string to = partition_path(partition);
  if (auto made = disk_.create_directories(to); !made) return disk::storage_error(made.error());
  auto there = disk_.list(to);
  if (!there) return disk::storage_error(there.error());
  for (const disk::DirectoryEntry& entry : *there) {
    // R42: whatever they are, they are not this topic's.
    if (offset_in_name(entry.name, log_suffix) && entry.size_bytes > 0 && !mutant<"R42-takes-over-what-lies-there">())
      return fail(ErrorCode::kafka_storage_error, fmt::format("{} holds records of another topic", to));
  }
  // The empty log too, and all of it durable: its shard, which may not wait for a sync (R78), then has nothing to make.
  const std::string segment = file_path(to, Offset(0), log_suffix);
  if (auto made = disk_.open(segment, disk::OpenMode::create_if_missing); !made) return disk::storage_error(made.error());
  const std::string epochs = encode_epochs({});
  if (auto made = disk_.replace_file(to + "/" + std::string(epoch_file_name), as_bytes(epochs), Durability::medium); !made)
    return disk::storage_error(made.error());
  // Before the id, without which there is no copy.
  if (auto marked = mark_new(to, copy); !marked) return disk::storage_error(marked.error());
  const std::string text = fmt::format("version: 0\ntopic_id: {}", topic_id);
  const std::string metadata = to + "/" + std::string(metadata_file_name);
  if (auto written = disk_.replace_file(metadata, as_bytes(text), Durability::medium); !written)
    return disk::storage_error(written.error());
  if (auto synced = disk_.sync_directory(path_); !synced) return disk::storage_error(synced.error());
  return to;
}

// Whoever died while a copy was made may have left the mark of another kind.
IoResult<void> LogDirectory::mark_new(const std::string& partition_path, NewCopy copy) {
  const std::string mark = partition_path + "/" + std::string(never_in_sync_file_name);
  if (copy == NewCopy::counts_later) {
    auto made = disk_.open(mark, disk::OpenMode::create_if_missing);
    return made ? IoResult<void>() : tl::unexpected(made.error());
  }
  auto removed = disk_.remove_file(mark);
  return removed || removed.error().fault == IoFault::not_found ? IoResult<void>() : removed;
}

void LogDirectory::note_in_sync(const TopicPartition& partition, disk::Done<void> done) {
  disk_.offload(
      disk::Job::changes,
      [d = &disk_, where = partition_path(partition)]() -> IoResult<void> {
        auto removed = d->remove_file(where + "/" + std::string(never_in_sync_file_name));
        if (!removed) return removed.error().fault == IoFault::not_found ? IoResult<void>() : removed;
        return d->sync_directory(where);
      },
      std::move(done));
}

void LogDirectory::delete_partition(const TopicPartition& partition, const model::Uuid& unique,
                                    std::shared_ptr<JobGate> jobs, disk::Done<void> done, disk::Done<void> removed) {
  const std::string from = partition_path(partition);
  const std::string to = file(leaving_name(fmt::format("{}", partition), unique, delete_suffix));
  disk_.offload(
      disk::Job::changes,
      [d = &disk_, from, to, parent = path_, jobs = std::move(jobs)]() -> IoResult<void> {
        if (jobs) jobs->close();
        // Not there: an earlier attempt got so far.
        auto renamed = d->rename(from, to);
        if (!renamed && renamed.error().fault != IoFault::not_found) return renamed;
        return d->sync_directory(parent);
      },
      [this, weak = std::weak_ptr(pending_), to, done = std::move(done),
       removed = std::move(removed)](const IoResult<void>& result) {
        if (result && !weak.expired()) remove_leaving(to, removed);
        if (done) done(result);
      });
}

IoResult<std::string> LogDirectory::set_aside(const std::string& partition_path, const model::Uuid& unique,
                                              Aside aside) {
  const std::string name = partition_path.substr(partition_path.rfind('/') + 1);
  const std::string to = file(leaving_name(name, unique, aside == Aside::for_good ? damaged_suffix : stray_suffix));
  if (auto renamed = disk_.rename(partition_path, to); !renamed) return tl::unexpected(renamed.error());
  // Its name is free. Whoever makes the next one there syncs the directory again.
  if (auto synced = disk_.sync_directory(path_); !synced && !disk::may_pass(synced.error().fault))
    return tl::unexpected(synced.error());
  return to;
}

void LogDirectory::mark_failed(const Error& error) {
  if (failure_) return;
  failure_ = error;
  logger_.error("{} is offline: {}", path_, error.message);
}

}  // namespace common::log
