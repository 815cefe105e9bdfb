#include "broker/arrivals.h"

namespace broker {
namespace {

// More than any healthy client asks before it says something else, over long enough that it is no start-up.
constexpr int times_min = 10;
constexpr auto span_min = std::chrono::seconds(10);
constexpr auto window = std::chrono::seconds(60);
constexpr size_t clients_max = 1000;  // watched, and named
// Who is there asks every few minutes (metadata.max.age.ms). Without an end to what is remembered a broker would, once
// it has seen a thousand clients, tell of nobody any more.
constexpr auto remembered = std::chrono::hours(1);
constexpr auto named_again_after = std::chrono::hours(24);
constexpr auto make_room_every = std::chrono::minutes(1);
// What a client does next it does at once, or it waits for the addresses to answer.
constexpr auto silence_min = std::chrono::seconds(30);
constexpr auto look_every = std::chrono::seconds(1);

template <class Seen>
void make_room(Seen& seen, common::model::Instant now, common::model::Duration kept) {
  if (seen.size() < clients_max) return;
  std::erase_if(seen, [&](const auto& entry) { return now - entry.second > kept; });
}

bool is_local(std::string_view host) {
  return host.starts_with("127.") || host == "::1";
}

}  // namespace

void Arrivals::forget(common::model::Instant now) {
  std::erase_if(asking_, [&](const auto& entry) { return now - entry.second.first > window; });
  if (now - made_room_at_ < make_room_every) return;
  made_room_at_ = now;
  make_room(come_, now, remembered);
  make_room(hosts_, now, remembered);
  make_room(named_, now, named_again_after);
}

std::optional<Arrivals::Stranger> Arrivals::asked(std::string_view host, std::string_view client_id,
                                                  common::model::Instant now, Connection connection) {
  if (is_local(host)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  forget(now);
  asked_at_ = now;
  const Client client{host, client_id};
  if (const auto come = come_.find(client); come != come_.end()) come->second = now;
  const bool known = asking_.contains(client);
  if (named_.contains(client) || (!known && asking_.size() >= clients_max)) return std::nullopt;
  Asking& asking = asking_[client];
  if (!known) asking.first = now;
  ++asking.times;
  asking.connection = std::move(connection);
  const Stranger stranger{.times = asking.times, .within = now - asking.first};
  const bool name_it = asking.times >= times_min && stranger.within >= span_min && named_.size() < clients_max;
  if (name_it) {
    named_.emplace(client, now);
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
  if (come_.size() < clients_max || come_.contains(found->first)) come_.insert_or_assign(found->first, asked_at_);
  if (is_another && (hosts_.size() < clients_max || hosts_.contains(host)))
    hosts_.insert_or_assign(std::string(host), asked_at_);
  asking_.erase(found);
  watched_ = asking_.size();
}

std::vector<Arrivals::Silent> Arrivals::silent(common::model::Instant now) {
  std::vector<Silent> found;
  const std::lock_guard lock(mutex_);
  // Who has come and is not remembered must not be taken for one who never came.
  if (now - looked_ < look_every || come_.size() >= clients_max || hosts_.size() >= clients_max) return found;
  looked_ = now;
  for (const auto& [client, asking] : asking_) {
    if (now - asking.first < silence_min || asking.connection.expired()) continue;
    if (come_.contains(client) || hosts_.contains(client.first)) continue;
    if (named_.size() >= clients_max) break;
    named_.emplace(client, now);
    found.push_back({.host = client.first, .client_id = client.second, .since = now - asking.first});
  }
  for (const Silent& client : found) asking_.erase({client.host, client.client_id});
  watched_ = asking_.size();
  return found;
}

}  // namespace broker
