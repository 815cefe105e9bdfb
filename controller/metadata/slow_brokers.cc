#include "controller/metadata/slow_brokers.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include <fmt/format.h>

namespace controller::metadata {
namespace {

using std::chrono::milliseconds;

// Brokers on disks of one kind, or on one machine, differ by less, also while one of them catches up.
constexpr int times_the_median = 10;
// What no client minds is no failure, however fast the peers are. A mean of a second is not that long for single stalls
// of a busy machine: they are few among many writes.
constexpr milliseconds slow_at_least{250};
constexpr size_t peers_min = 2;
constexpr std::chrono::seconds slow_for{5};
// Longer than a burst lets go of a disk, so that leaders do not go to and fro with it.
constexpr std::chrono::seconds well_for{60};
// Who has had nothing to do for so long may have been mended meanwhile, and nothing would ever tell: it is given
// another try, which costs an election if it was in vain.
constexpr std::chrono::minutes forgiven_after{10};
constexpr std::chrono::minutes between_moves{1};
// Heartbeats come every 100 ms: who has said nothing for so long is not compared.
constexpr std::chrono::seconds heard_within{1};
// Where acknowledgements wait for a slow broker, clients send the next records only then, and its peers have nothing to
// write meanwhile: what they said last still counts. For no longer than slow_for, so that nobody becomes slow by what
// peers said before that began.
constexpr std::chrono::seconds said_within = slow_for;

struct Kind {
  std::optional<milliseconds> Progress::*figure;
  const char* name;
};
constexpr Kind kind_of[] = {{&Progress::write_time, "write"}, {&Progress::sync_time, "sync"}};

}  // namespace

std::optional<std::string> SlowBrokers::on_heartbeat(BrokerId id, BrokerEpoch epoch, const Progress& progress,
                                                     Instant now) {
  Broker& broker = brokers_[id];
  if (broker.epoch != epoch) {
    broker = Broker{};
    broker.epoch = epoch;
  }
  if (now - broker.heard_at > heard_within) {
    broker.since.reset();
    broker.quiet_since.reset();
  }
  broker.heard_at = now;
  broker.progress = progress;
  static_assert(std::size(kind_of) == kinds);
  for (size_t kind = 0; kind < kinds; ++kind) {
    if (const auto figure = progress.*kind_of[kind].figure) broker.said[kind] = Said{*figure, now};
  }
  return broker.is_slow ? look_for_recovery(id, broker, now) : look_for_slowness(id, broker, now);
}

std::optional<milliseconds> SlowBrokers::median_of_others(BrokerId id, size_t kind, Instant now) const {
  std::vector<milliseconds> said;
  for (const auto& [other, broker] : brokers_) {
    if (other == id || now - broker.heard_at > heard_within) continue;
    const std::optional<Said>& last = broker.said[kind];
    if (last && now - last->at <= said_within) said.push_back(last->figure);
  }
  if (said.size() < peers_min) return std::nullopt;
  const auto middle = std::next(said.begin(), static_cast<std::ptrdiff_t>(said.size() / 2));
  std::nth_element(said.begin(), middle, said.end());
  return *middle;
}

milliseconds SlowBrokers::limit(BrokerId id, size_t kind, Instant now) const {
  const milliseconds median = median_of_others(id, kind, now).value_or(milliseconds(0));
  return std::max(slow_at_least, times_the_median * median);
}

std::optional<std::string> SlowBrokers::look_for_slowness(BrokerId id, Broker& broker, Instant now) const {
  for (size_t kind = 0; kind < kinds; ++kind) {
    const std::optional<milliseconds> figure = broker.progress.*kind_of[kind].figure;
    const std::optional<milliseconds> median = median_of_others(id, kind, now);
    if (!figure || !median || *figure < limit(id, kind, now)) continue;
    broker.looked_slow_at = now;
    if (!broker.since) broker.since = now;
    if (now - *broker.since < slow_for) return std::nullopt;
    broker.is_slow = true;
    broker.since.reset();
    return fmt::format("broker {} is slow: a {} takes {} ms, on its peers {} ms", id, kind_of[kind].name,
                       figure->count(), median->count());
  }
  broker.since.reset();
  return std::nullopt;
}

// A broker that has nothing to write says nothing of itself: it stays what it is, for a time.
std::optional<std::string> SlowBrokers::look_for_recovery(BrokerId id, Broker& broker, Instant now) const {
  bool says_anything = false;
  for (size_t kind = 0; kind < kinds; ++kind) {
    const std::optional<milliseconds> figure = broker.progress.*kind_of[kind].figure;
    if (!figure) continue;
    says_anything = true;
    broker.quiet_since.reset();
    if (*figure < limit(id, kind, now) / 2) continue;
    broker.since.reset();
    return std::nullopt;
  }
  if (!says_anything) {
    if (!broker.quiet_since) broker.quiet_since = now;
    if (now - *broker.quiet_since < forgiven_after) return std::nullopt;
    broker.is_slow = false;
    broker.since.reset();
    broker.quiet_since.reset();
    return fmt::format("broker {} is no longer taken for slow: it has written nothing for {} minutes", id,
                       forgiven_after.count());
  }
  if (!broker.since) broker.since = now;
  if (now - *broker.since < well_for) return std::nullopt;
  broker.is_slow = false;
  broker.since.reset();
  return fmt::format("broker {} is no longer slow", id);
}

void SlowBrokers::on_own_pause() {
  for (auto& [id, broker] : brokers_) {
    broker.since.reset();
    broker.quiet_since.reset();
  }
}

bool SlowBrokers::is_slow(BrokerId id) const {
  const auto found = brokers_.find(id);
  return found != brokers_.end() && found->second.is_slow;
}

std::set<BrokerId> SlowBrokers::slow() const {
  std::set<BrokerId> found;
  for (const auto& [id, broker] : brokers_) {
    if (broker.is_slow) found.insert(id);
  }
  return found;
}

std::set<BrokerId> SlowBrokers::suspects(Instant now) const {
  std::set<BrokerId> found = slow();
  for (const auto& [id, broker] : brokers_) {
    if (broker.looked_slow_at && now - *broker.looked_slow_at <= said_within) found.insert(id);
  }
  return found;
}

bool SlowBrokers::may_move(Instant now) const {
  return !moved_at_ || now - *moved_at_ >= between_moves;
}

}  // namespace controller::metadata
