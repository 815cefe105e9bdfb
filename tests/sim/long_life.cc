#include "sim/long_life.h"

#include <algorithm>

#include "sim/history.h"
#include "sim/invariant_partition.h"

namespace sim {

using namespace std::chrono_literals;
using broker::partition::Partition;

namespace {

// A record is as old as its producer says; it may have waited for a leader, and for its acknowledgement.
constexpr Duration unavailable_max = 1h;
// A broker that started with its clock a day behind believes it for up to a day longer (R82).
constexpr Duration behind_max = 26h;
constexpr Duration quiet_max = 31h;  // of a producer: segments are rolled when somebody writes
constexpr Duration age_step = 1s;

double hours(Duration d) {
  return std::chrono::duration<double, std::ratio<3600>>(d).count();
}

}  // namespace

std::optional<LongLife::Limits> LongLife::limits_of(const std::string& topic) {
  if (!topic.starts_with("orders-")) return std::nullopt;
  if (topic == "orders-0") return Limits{long_life::default_retention, long_life::default_segment};
  return Limits{long_life::short_retention, long_life::short_segment};
}

void LongLife::on_acknowledged(const Place& place, int64_t offset) {
  std::deque<Age>& ages = ages_[place];
  const Instant now = cluster_.world().now();
  if (!ages.empty() && (now - ages.back().acknowledged < age_step || offset <= ages.back().offset)) return;
  ages.push_back({offset, now});
}

Duration LongLife::most_ahead() const {
  Duration most{0};
  for (const auto& node : cluster_.nodes()) most = std::max(most, node->most_ahead_at_start());
  return most;
}

void LongLife::sweep() {
  for (const auto& node : cluster_.nodes()) {
    if (!node->is_serving()) continue;
    node->for_each_partition([&](const std::shared_ptr<Partition>& partition) {
      if (partition->is_offline()) return;
      const int64_t start = partition->log_start_offset().value;
      const Place place{partition->id().topic_id, partition->id().partition.value};
      int64_t& known = starts_[place];
      if (start <= known) return;
      known = start;
      if (const auto limits = limits_of(partition->topic())) {
        check_taken(place, fmt::format("{}-{} at broker {}", partition->topic(), partition->index(), node->id()), start,
                    *limits);
      }
    });
  }
}

// The last that is gone is younger than this: it came after another whose acknowledgement is known.
void LongLife::check_taken(const Place& place, const std::string& what, int64_t start, const Limits& limits) {
  const std::deque<Age>& ages = ages_[place];
  const auto after = std::partition_point(ages.begin(), ages.end(), [&](const Age& age) { return age.offset < start; });
  if (after == ages.begin()) return;
  const Duration age = cluster_.world().now() - std::prev(after)->acknowledged;
  if (age + unavailable_max + most_ahead() >= limits.retention) return;
  complaints_.broken("retention takes nothing early (R82)",
                     fmt::format("{}: the log starts at {}, and offset {} was acknowledged {:.2f} hours ago; {:.0f} are "
                                 "kept, and no clock was more than {:.1f} hours ahead when a broker started",
                                 what, start, std::prev(after)->offset, hours(age), hours(limits.retention),
                                 hours(most_ahead())));
}

void LongLife::check_left(const Place& place, const std::string& what, int64_t start, const Limits& limits) {
  const std::deque<Age>& ages = ages_[place];
  const auto first = std::partition_point(ages.begin(), ages.end(), [&](const Age& age) { return age.offset < start; });
  if (first == ages.end()) return;
  const Duration age = cluster_.world().now() - first->acknowledged;
  if (age <= limits.retention + limits.segment + behind_max) return;
  complaints_.broken("retention leaves nothing for ever (R82)",
                     fmt::format("{}: the log starts at {}, and offset {} was acknowledged {:.1f} hours ago; {:.0f} are "
                                 "kept, in segments of {:.0f}",
                                 what, start, first->offset, hours(age), hours(limits.retention), hours(limits.segment)));
}

void LongLife::look(History& history, PartitionInvariants& partitions) {
  std::map<Place, int64_t> least;
  for (const auto& node : cluster_.nodes()) {
    node->for_each_partition([&](const std::shared_ptr<Partition>& partition) {
      const auto limits = limits_of(partition->topic());
      if (!limits || partition->is_offline()) return;
      const Place place{partition->id().topic_id, partition->id().partition.value};
      const int64_t start = partition->log_start_offset().value;
      check_left(place, fmt::format("{}-{} at broker {}", partition->topic(), partition->index(), node->id()), start,
                 *limits);
      const auto [found, is_new] = least.try_emplace(place, start);
      found->second = std::min(found->second, start);
    });
  }
  for (const auto& [place, start] : least) {
    history.log_start(place, start);
    partitions.forget_below({place.topic, common::model::PartitionIndex(place.partition)}, start);
    std::deque<Age>& ages = ages_[place];
    while (ages.size() > 1 && ages[1].offset < start) ages.pop_front();  // one stays: it is how old the next is
  }
  check_files();
  check_strays();
}

// What was to be deleted at the last look is not there any more (file.delete.delay.ms is a minute).
void LongLife::check_files() {
  for (const auto& node : cluster_.nodes()) {
    std::set<std::string> now;
    for (const std::string& path : node->disk().paths()) {
      const bool doomed = path.find(".deleted") != std::string::npos || path.find("-delete/") != std::string::npos ||
                          path.ends_with(".cleaned") || path.ends_with(".swap");
      if (doomed) now.insert(path);
    }
    std::set<std::string>& before = leftovers_[node->host()];
    for (const std::string& path : now) {
      if (before.contains(path)) {
        complaints_.broken("what is deleted goes", fmt::format("broker {}: {} is still there", node->id(), path));
      }
    }
    before = std::move(now);
  }
}

// A broker is to run for a day beside what it set aside, whatever its lives are (R42). The limit is generous: each life
// that is ended loses some minutes of that, and a disk that is replaced by an older image of it what came since.
void LongLife::check_strays() {
  constexpr Duration limit = 7 * 24h;
  constexpr std::string_view suffix = "-stray";
  const Instant now = cluster_.world().now();
  std::map<std::pair<Host, std::string>, Instant> seen;
  for (const auto& node : cluster_.nodes()) {
    for (const std::string& path : node->disk().paths()) {
      const size_t at = path.find("-stray/");
      if (at == std::string::npos) continue;
      const std::pair stray(node->host(), path.substr(0, at + suffix.size()));
      const auto known = strays_.find(stray);
      seen.emplace(stray, known == strays_.end() ? now : known->second);
    }
  }
  strays_ = std::move(seen);
  for (const auto& [stray, since] : strays_) {
    if (now - since <= limit) continue;
    complaints_.broken("what is set aside goes in time (R42)",
                       fmt::format("broker {}: {} is there for {:.1f} hours", stray.first, stray.second,
                                   hours(now - since)));
  }
}

// Of two records of one key that the cleaner must both have met long ago, one is left.
void LongLife::check_compacted(const std::vector<FinalRecord>& records, int keys) {
  const Duration limit = long_life::compaction_lag_max + behind_max + quiet_max;
  const int64_t now = MachineClock::right_wall_time(cluster_.world()).value;
  std::map<int64_t, FinalRecord> last;
  for (const FinalRecord& record : records) {
    const auto [found, is_new] = last.try_emplace(record.value % keys, record);
    if (is_new) continue;
    const FinalRecord before = std::exchange(found->second, record);
    const Duration age = std::chrono::milliseconds(now - record.timestamp);
    if (age <= limit) continue;
    return complaints_.broken("max.compaction.lag.ms",
                              fmt::format("key {}: offset {} is left beside offset {}, which is {:.1f} hours old",
                                          record.value % keys, before.offset, record.offset, hours(age)));
  }
}

std::string LongLife::sizes() const {
  size_t files = 0;
  size_t metadata = 0;
  size_t bytes = 0;
  for (const auto& node : cluster_.nodes()) {
    for (const std::string& path : node->disk().paths()) {
      const size_t size = node->disk().durable_content(path).size();
      ++files;
      (path.starts_with("/meta") ? metadata : bytes) += size;
    }
  }
  return fmt::format("{} files, {:.1f} MiB of records, {:.1f} MiB of metadata", files, static_cast<double>(bytes) / (1 << 20),
                     static_cast<double>(metadata) / (1 << 20));
}

}  // namespace sim
