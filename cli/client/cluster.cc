#include "cli/client/cluster.h"

#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/model/address_text.h"

namespace cli::client {

using common::config::HostPort;

Outcome<Connection*> Cluster::any(Deadline until) {
  if (any_ && !any_->broken()) return any_.get();
  std::vector<std::string> failures;
  for (size_t i = 0; i < bootstrap_.size(); ++i) {
    // Each address gets its share of what is left, so that one that swallows packets does not use up all.
    const auto now = std::chrono::steady_clock::now();
    const Deadline share = now + (until - now) / static_cast<int>(bootstrap_.size() - i);
    Outcome<std::unique_ptr<Connection>> opened = Connection::open(bootstrap_[(first_ + i) % bootstrap_.size()], share);
    if (opened) {
      any_ = std::move(*opened);
      return any_.get();
    }
    failures.push_back(opened.error().message);
  }
  return problem(Exit::unreachable, fmt::format("no broker answered: {}", fmt::join(failures, ", ")),
                 "is it running? `naru dev` starts one; -b names another address");
}

void Cluster::try_another(std::chrono::milliseconds pause) {
  first_ = (first_ + 1) % bootstrap_.size();
  std::this_thread::sleep_for(pause);
}

Outcome<Connection*> Cluster::at(const Broker& broker, Deadline until) {
  std::unique_ptr<Connection>& held = by_id_[broker.id];
  if (held && !held->has_ended()) return held.get();
  Outcome<std::unique_ptr<Connection>> opened = Connection::open(broker.address, until);
  if (!opened) {
    return problem(Exit::unreachable, fmt::format("broker {} does not answer: {}", broker.id, opened.error().message),
                   std::move(opened.error().next_step));
  }
  held = std::move(*opened);
  return held.get();
}

std::string Cluster::connected_to() const {
  return any_ ? common::model::address_text(any_->where().host, any_->where().port) : std::string();
}

Outcome<std::vector<HostPort>> parse_bootstrap(std::string_view text) {
  std::vector<HostPort> all;
  const auto wrong = [given = text] {
    return problem(Exit::usage, fmt::format("--brokers {}: must be host:port, several separated by commas", given));
  };
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view entry = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    while (entry.ends_with(' ')) entry.remove_suffix(1);
    if (entry.empty()) continue;
    HostPort one{.host = std::string(entry), .port = 9092};
    const bool bracketed = entry.starts_with('[');
    const size_t colon = bracketed ? entry.find("]:") : entry.find(':');
    if (colon != std::string_view::npos) {
      const std::string_view digits = entry.substr(colon + (bracketed ? 2 : 1));
      unsigned port = 0;
      for (const char c : digits) {
        if (c < '0' || c > '9' || port > 65535) return wrong();
        port = port * 10 + static_cast<unsigned>(c - '0');
      }
      if (digits.empty() || port == 0 || port > 65535) return wrong();
      one = {.host = std::string(entry.substr(0, colon)), .port = static_cast<uint16_t>(port)};
    }
    if (bracketed)
      one.host =
          one.host.substr(1, one.host.find(']') == std::string::npos ? std::string::npos : one.host.find(']') - 1);
    if (one.host.empty()) return wrong();
    all.push_back(std::move(one));
  }
  if (all.empty()) return wrong();
  return all;
}

}  // namespace cli::client
