#include "broker/replication/send_throttle.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace broker::replication {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<int32_t> number_in(std::string_view text) {
  int32_t number = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && at == end ? std::optional(number) : std::nullopt;
}

// PARTITION:BROKER
std::optional<std::pair<int32_t, int32_t>> pair_in(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto partition = number_in(text.substr(0, colon));
  const auto broker = number_in(text.substr(colon + 1));
  return partition && broker ? std::optional(std::pair(*partition, *broker)) : std::nullopt;
}

int64_t cost_of(size_t bytes, int64_t bytes_per_second) {
  constexpr double cost_max = 3.6e15;  // a thousand hours: no sum of them overflows before somebody looks
  const auto rate = static_cast<double>(std::max<int64_t>(bytes_per_second, 1));
  return static_cast<int64_t>(std::min(cost_max, static_cast<double>(bytes) / rate * 1e9));
}

}  // namespace

void SendThrottle::set_rate(int64_t bytes_per_second) {
  if (rate_.exchange(bytes_per_second) == bytes_per_second) return;
  paid_at_.store(0);  // what was sent under a rate of next to nothing would bind for days
}

void SendThrottle::on_sent(size_t bytes, Instant now) {
  const int64_t rate = rate_.load(std::memory_order_relaxed);
  if (rate == unlimited) return;
  const int64_t cost = cost_of(bytes, rate);
  const int64_t from = now.time_since_epoch().count();
  int64_t paid = paid_at_.load();
  while (!paid_at_.compare_exchange_weak(paid, std::max(paid, from) + cost)) {
  }
}

// At another rate by now it may be too much: nothing is saved up, so that counts for nothing later.
void SendThrottle::give_back(size_t bytes) {
  if (const int64_t rate = rate_.load(std::memory_order_relaxed); rate != unlimited)
    paid_at_.fetch_sub(cost_of(bytes, rate));
}

Instant SendThrottle::ready_at() const {
  return is_set() ? Instant(Instant::duration(paid_at_.load())) : Instant();
}

void ThrottledReplicas::set(const std::string& topic, std::string_view list) {
  Named named;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view item = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (item == "*") named.all = true;
    if (const auto pair = pair_in(item)) named.replicas.insert(*pair);
  }
  if (named.all || !named.replicas.empty()) {
    topics_.insert_or_assign(topic, std::move(named));
  } else {
    topics_.erase(topic);
  }
}

bool ThrottledReplicas::contain(std::string_view topic, PartitionIndex partition, BrokerId broker) const {
  const auto found = topics_.find(topic);
  return found != topics_.end() &&
         (found->second.all || found->second.replicas.contains({partition.value, broker.value}));
}

}  // namespace broker::replication
