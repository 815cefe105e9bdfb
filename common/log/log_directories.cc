#include "common/log/log_directories.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "common/model/mutant.h"

namespace common::log {

using common::model::mutant;
using model::DirectoryId;
using model::ErrorCode;
using model::fail;

bool found_less(const std::vector<const LogDirectory*>& directories) {
  std::set<DirectoryId> here;
  for (const LogDirectory* directory : directories) {
    if (directory->identity()) here.insert(directory->identity()->directory_id);
  }
  const auto is_gone = [&](const DirectoryId& id) {
    return !here.contains(id) && !mutant<"R46-does-not-miss-a-directory">();
  };
  const auto misses_something = [&](const LogDirectory* directory) {
    return directory->was_new() ||
           (directory->misses_copies() && !mutant<"R46-forgets-at-the-next-start-what-is-missing">()) ||
           std::any_of(directory->siblings().begin(), directory->siblings().end(), is_gone);
  };
  return std::any_of(directories.begin(), directories.end(), misses_something) || !lost_partitions(directories).empty();
}

void note_if_less(const std::vector<std::unique_ptr<LogDirectory>>& directories) {
  std::vector<const LogDirectory*> views;
  for (const auto& directory : directories) views.push_back(directory.get());
  if (!found_less(views)) return;
  for (const auto& directory : directories) directory->note_missing_copies();
}

void note_siblings(const std::vector<std::unique_ptr<LogDirectory>>& directories) {
  std::vector<const LogDirectory*> views;
  std::vector<DirectoryId> all;
  for (const auto& directory : directories) {
    views.push_back(directory.get());
    if (directory->identity()) all.push_back(directory->identity()->directory_id);
  }
  std::sort(all.begin(), all.end());
  const bool less = found_less(views);
  for (const auto& directory : directories) {
    // The next start misses it by one note or the other.
    if (!less || directory->misses_copies()) directory->note_siblings(all);
  }
}

namespace {

struct Place {
  LogDirectory* directory;
  PartitionDirectory found;
};

const Place* worth_less(const Place& a, const Place& b) {
  if (a.found.topic_id != b.found.topic_id) return nullptr;
  // No life of this broker began in a directory without an identity: what lies there was begun while another one in its
  // place was going (a disk taken away meanwhile), and made anew in the other.
  if (a.directory->was_new() != b.directory->was_new()) return a.directory->was_new() ? &a : &b;
  if (a.found.never_in_sync != b.found.never_in_sync) {
    const Place& stand_in = a.found.never_in_sync ? a : b;
    // With records it is for a person to say: it may have been in sync without having been noted to be.
    return stand_in.found.is_blank || mutant<"R46-drops-a-stand-in-with-records">() ? &stand_in : nullptr;
  }
  if (a.found.never_in_sync) return nullptr;
  // A life in which both were here would not have begun: so the one that missed the last life is the stale one.
  const auto life_a = a.directory->previous_broker_epoch();
  const auto life_b = b.directory->previous_broker_epoch();
  if (!life_a || !life_b || life_a == life_b) return nullptr;
  const bool is_a_stale = mutant<"R44-keeps-what-missed-a-life">() ? *life_a > *life_b : *life_a < *life_b;
  return is_a_stale ? &a : &b;
}

}  // namespace

std::vector<MadeWay> make_way(const std::vector<std::unique_ptr<LogDirectory>>& directories) {
  std::map<TopicPartition, std::vector<Place>> places;
  for (const auto& directory : directories) {
    for (const PartitionDirectory& found : directory->partitions()) {
      if (found.topic_id) places[found.partition].push_back({directory.get(), found});
    }
  }
  std::vector<MadeWay> made;
  for (const auto& [partition, there] : places) {
    const Place* stale = there.size() == 2 ? worth_less(there[0], there[1]) : nullptr;
    if (stale == nullptr) continue;
    stale->directory->disown(partition);
    made.push_back({partition, stale->found.path, stale->directory});
  }
  return made;
}

void set_aside(const std::vector<MadeWay>& stale, model::Random& random, const Logger& logger) {
  for (const MadeWay& one : stale) {
    const uint64_t high = random.next();
    const auto moved = one.directory->set_disowned_aside(one.partition, model::random_uuid(high, random.next()));
    if (!moved) logger.warn("{} is not set aside yet: {}", one.path, moved.error().message);
  }
}

Result<void> check_each_partition_once(const std::vector<const LogDirectory*>& directories) {
  struct Seen {
    const LogDirectory* directory;
    bool never_in_sync;
  };
  std::map<TopicPartition, Seen> seen;
  for (const LogDirectory* directory : directories) {
    for (const PartitionDirectory& found : directory->partitions()) {
      if (!found.topic_id) continue;  // a stray
      const auto [there, is_new] = seen.emplace(found.partition, Seen{directory, found.never_in_sync});
      if (is_new) continue;
      const Seen& first = there->second;
      std::string remedy = "one of the two is old: move the old one away";
      if (first.never_in_sync != found.never_in_sync)
        remedy = fmt::format("that in {} was begun while the other was not there, and is not known to have been in sync: "
                             "move that one away",
                             (found.never_in_sync ? directory : first.directory)->path());
      return fail(ErrorCode::invalid_config,
                  fmt::format("{} lies in two of log.dirs, {} and {}, and {}", found.partition,
                              first.directory->path(), directory->path(), remedy));
    }
  }
  return {};
}

std::vector<TopicPartition> lost_partitions(const std::vector<const LogDirectory*>& directories) {
  std::set<TopicPartition> lost;
  for (const LogDirectory* directory : directories) lost.merge(directory->checkpointed());
  for (const LogDirectory* directory : directories) {
    for (const PartitionDirectory& found : directory->partitions()) {
      if (found.topic_id) lost.erase(found.partition);
    }
  }
  return {lost.begin(), lost.end()};
}

std::optional<BrokerEpoch> agreed_previous_epoch(const std::vector<const LogDirectory*>& directories) {
  std::optional<BrokerEpoch> agreed;
  for (const LogDirectory* directory : directories) {
    if (directory->previous_end() == PreviousEnd::unknown || !directory->previous_broker_epoch()) return std::nullopt;
    if (agreed && agreed != directory->previous_broker_epoch() && !mutant<"R70-directories-need-not-agree">())
      return std::nullopt;
    agreed = directory->previous_broker_epoch();
  }
  return agreed;
}

}  // namespace common::log
