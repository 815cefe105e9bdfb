#include "broker/arrivals.h"

namespace broker {
namespace {

// More than any healthy client asks before it says something else, over long enough that it is no start-up.
constexpr int times_min = 10;
constexpr auto span_min = std::chrono::seconds(10);
constexpr auto window = std::chrono::seconds(60);
constexpr size_t clients_max = 1000;  // watched, and named

bool is_local(std::string_view host) {
  return host.starts_with("127.") || host == "::1";
}

}  // namespace

void Arrivals::forget(common::model::Instant now) {
  std::erase_if(asking_, [&](const auto& entry) { return now - entry.second.first > window; });
}

std::optional<Arrivals::Stranger> Arrivals::asked(std::string_view host, std::string_view client_id,
                                                  common::model::Instant now) {
  if (is_local(host)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  forget(now);
  const Client client{host, client_id};
  const bool known = asking_.contains(client);
  if (named_.contains(client) || (!known && asking_.size() >= clients_max)) return std::nullopt;
  Asking& asking = asking_[client];
  if (!known) asking.first = now;
  ++asking.times;
  const Stranger stranger{.times = asking.times, .within = now - asking.first};
  const bool name_it = asking.times >= times_min && stranger.within >= span_min && named_.size() < clients_max;
  if (name_it) {
    named_.insert(client);
    asking_.erase(client);
  }
  watched_ = asking_.size();
  return name_it ? std::optional(stranger) : std::nullopt;
}

void Arrivals::arrived(std::string_view host, std::string_view client_id) {
  if (!watching() || is_local(host)) return;
  const std::lock_guard lock(mutex_);
  asking_.erase({std::string(host), std::string(client_id)});
  watched_ = asking_.size();
}

}  // namespace broker
