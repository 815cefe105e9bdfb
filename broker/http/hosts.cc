#include "broker/http/hosts.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace broker::http {

namespace {

// As names are compared: "Kafka-1.:9644" is kafka-1.
std::string plain_name(std::string_view address) {
  std::string_view host = host_in(address);
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string name(host);
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return name;
}

// An address is no name that anybody could point elsewhere.
bool is_ip_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> parsed{};
  return ::inet_pton(AF_INET, host.c_str(), parsed.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), parsed.data()) == 1;
}

// Browsers take these for the machine that they run on without asking anybody (RFC 6761).
bool is_localhost(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost");
}

}  // namespace

std::string_view host_in(std::string_view address) {
  if (const size_t scheme = address.find("://"); scheme != std::string_view::npos) address.remove_prefix(scheme + 3);
  if (address.starts_with('[')) return address.substr(1, std::min(address.find(']'), address.size()) - 1);
  const size_t colon = address.find(':');
  // More than one of them: an IPv6 address as the configuration has it.
  const bool has_port = colon != std::string_view::npos && address.find(':', colon + 1) == std::string_view::npos;
  return has_port ? address.substr(0, colon) : address;
}

std::string own_host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

bool is_same_host(std::string_view one_address, std::string_view other_address) {
  return plain_name(one_address) == plain_name(other_address);
}

AllowedHosts::AllowedHosts(const common::config::BrokerConfig& config, std::string_view own_name) {
  add(own_name);
  add(config.http_host);
  add(config.http_advertised);
  for (const auto* listeners : {&config.listeners, &config.peer_listeners, &config.advertised_listeners,
                                &config.advertised_peer_listeners}) {
    for (const common::config::Listener& listener : *listeners) add(listener.host);
  }
  std::string_view rest = config.http_allowed_hosts;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    std::string_view one = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    any_ = any_ || one == "*";
    if (one.starts_with('.')) domains_.push_back(plain_name(one));
    add(one.starts_with('.') ? one.substr(1) : one);
  }
}

void AllowedHosts::add(std::string_view address) {
  if (std::string name = plain_name(address); !name.empty()) names_.insert(std::move(name));
}

bool AllowedHosts::allow(std::string_view host_header) const {
  if (any_ || host_header.empty()) return true;
  const std::string host = plain_name(host_header);
  return is_ip_address(host) || is_localhost(host) || names_.contains(host) ||
         std::ranges::any_of(domains_, [&](const std::string& domain) { return host.ends_with(domain); });
}

}  // namespace broker::http
