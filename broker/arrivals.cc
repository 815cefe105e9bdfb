#include "broker/arrivals.h"

namespace broker {
namespace {

// More than any healthy client asks before it says something else, over long enough that it is no start-up.
constexpr int times_min = 10;
constexpr auto span_min = std::chrono::seconds(10);
constexpr auto window = std::chrono::seconds(60);
constexpr size_t clients_max = 1000;  // watched, and named
// What a client does next it does at once, or it waits for the addresses to answer.
constexpr auto silence_min = std::chrono::seconds(30);
constexpr auto look_every = std::chrono::seconds(1);

bool is_local(std::string_view host) {
  return host.starts_with("127.") || host == "::1";
}

}  // namespace

void Arrivals::forget(common::model::Instant now) {
  std::erase_if(asking_, [&](const auto& entry) { return now - entry.second.first > window; });
}

std::optional<Arrivals::Stranger> Arrivals::asked(std::string_view host, std::string_view client_id,
                                                  common::model::Instant now, Connection connection) {
  if (is_local(host)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  forget(now);
  const Client client{host, client_id};
  const bool known = asking_.contains(client);
  if (named_.contains(client) || (!known && asking_.size() >= clients_max)) return std::nullopt;
  Asking& asking = asking_[client];
  if (!known) asking.first = now;
  ++asking.times;
  asking.connection = std::move(connection);
  const Stranger stranger{.times = asking.times, .within = now - asking.first};
  const bool name_it = asking.times >= times_min && stranger.within >= span_min && named_.size() < clients_max;
  if (name_it) {
    named_.insert(client);
    asking_.erase(client);
  }
  watched_ = asking_.size();
  return name_it ? std::optional(stranger) : std::nullopt;
}

void Arrivals::arrived(std::string_view host, std::string_view client_id, const Connection& by) {
  if (!watching() || is_local(host)) return;
  const std::lock_guard lock(mutex_);
  const auto found = asking_.find({std::string(host), std::string(client_id)});
  if (found == asking_.end()) return;
  const Connection& asked_by = found->second.connection;
  const bool is_another = asked_by.owner_before(by) || by.owner_before(asked_by);
  if (come_.size() < clients_max) {
    come_.insert(found->first);
    if (is_another) hosts_.emplace(host);
  }
  asking_.erase(found);
  watched_ = asking_.size();
}

std::vector<Arrivals::Silent> Arrivals::silent(common::model::Instant now) {
  std::vector<Silent> found;
  const std::lock_guard lock(mutex_);
  // Who has come and is not remembered must not be taken for one who never came.
  if (now - looked_ < look_every || come_.size() >= clients_max) return found;
  looked_ = now;
  for (const auto& [client, asking] : asking_) {
    if (now - asking.first < silence_min || asking.connection.expired()) continue;
    if (come_.contains(client) || hosts_.contains(client.first)) continue;
    if (named_.size() >= clients_max) break;
    named_.insert(client);
    found.push_back({.host = client.first, .client_id = client.second, .since = now - asking.first});
  }
  for (const Silent& client : found) asking_.erase({client.host, client.client_id});
  watched_ = asking_.size();
  return found;
}

}  // namespace broker
