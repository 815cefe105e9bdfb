#include "common/config/listeners.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "common/config/values.h"
#include "common/model/address_text.h"

namespace common::config {
namespace {

std::string upper(std::string_view s) {
  std::string text(trimmed(s));
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return text;
}

std::optional<SecurityProtocol> protocol_of(std::string_view name) {
  const std::string word = upper(name);
  if (word == "PLAINTEXT") return SecurityProtocol::plaintext;
  if (word == "SSL") return SecurityProtocol::ssl;
  if (word == "SASL_PLAINTEXT") return SecurityProtocol::sasl_plaintext;
  if (word == "SASL_SSL") return SecurityProtocol::sasl_ssl;
  return std::nullopt;
}

tl::unexpected<std::string> wrong(std::string message) {
  return tl::unexpected<std::string>(std::move(message));
}

}  // namespace

std::string_view to_string(SecurityProtocol protocol) {
  switch (protocol) {
    case SecurityProtocol::plaintext:
      return "PLAINTEXT";
    case SecurityProtocol::ssl:
      return "SSL";
    case SecurityProtocol::sasl_plaintext:
      return "SASL_PLAINTEXT";
    case SecurityProtocol::sasl_ssl:
      return "SASL_SSL";
  }
  return "?";
}

std::string listener_property(std::string_view listener, std::string_view property) {
  std::string key = fmt::format("listener.name.{}.", listener);
  for (char& c : key) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return key.append(property);
}

std::string to_string(const Listener& listener) {
  return fmt::format("{}://{}", listener.name, common::model::address_text(listener.host, listener.port));
}

Parsed<std::map<std::string, SecurityProtocol>> parse_protocol_map(std::string_view text) {
  std::map<std::string, SecurityProtocol> map;
  for (const std::string& entry : split_list(text)) {
    const size_t colon = entry.rfind(':');
    const std::optional<SecurityProtocol> protocol =
        colon == std::string::npos ? std::nullopt : protocol_of(std::string_view(entry).substr(colon + 1));
    if (!protocol || colon == 0) {
      return wrong(
          fmt::format("'{}' must be NAME:PROTOCOL with one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL", entry));
    }
    map[upper(std::string_view(entry).substr(0, colon))] = *protocol;
  }
  return map;
}

Parsed<HostPort> parse_host_port(std::string_view text) {
  text = trimmed(text);
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong(fmt::format("'{}' must be host:port", text));
  std::string_view host = text.substr(0, colon);
  const std::optional<int64_t> port = parse_integer(text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65535) {
    return wrong(fmt::format("'{}' must end in a port from 0 to 65535", text));
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong(fmt::format("'{}': an IPv6 address stands in brackets, as in [::1]:9092", text));
  }
  return HostPort{.host = std::string(host), .port = static_cast<uint16_t>(*port)};
}

Parsed<std::vector<Listener>> parse_listeners(std::string_view text) {
  std::vector<Listener> all;
  std::set<std::string> names;
  std::set<std::pair<std::string, uint16_t>> addresses;
  for (const std::string& entry : split_list(text)) {
    const size_t slashes = entry.find("://");
    if (slashes == std::string::npos || slashes == 0) {
      return wrong(fmt::format("'{}' must be NAME://host:port, as in PLAINTEXT://:9092", entry));
    }
    Parsed<HostPort> address = parse_host_port(std::string_view(entry).substr(slashes + 3));
    if (!address) return wrong(fmt::format("'{}' must be NAME://host:port ({})", entry, address.error()));
    Listener listener{.name = upper(entry.substr(0, slashes)), .host = address->host, .port = address->port};
    if (!names.insert(listener.name).second) return wrong(fmt::format("the name {} stands there twice", listener.name));
    if (listener.port != 0 && !addresses.insert({listener.host, listener.port}).second) {
      return wrong("two listeners on " + common::model::address_text(listener.host, listener.port));
    }
    all.push_back(std::move(listener));
  }
  return all;
}

Parsed<std::vector<Voter>> parse_voters(std::string_view text) {
  std::vector<Voter> all;
  for (const std::string& entry : split_list(text)) {
    const size_t at = entry.find('@');
    const std::optional<int64_t> id = at == std::string::npos ? std::nullopt : parse_integer(entry.substr(0, at));
    if (!id || *id < 0 || *id > std::numeric_limits<int32_t>::max()) {
      return wrong(fmt::format("'{}' must be id@host:port, as in 1@kafka-1:9093", entry));
    }
    Parsed<HostPort> address = parse_host_port(std::string_view(entry).substr(at + 1));
    if (!address || address->host.empty() || address->port == 0) {
      return wrong(fmt::format("'{}' must be id@host:port, as in 1@kafka-1:9093", entry));
    }
    const model::BrokerId node(static_cast<int32_t>(*id));
    if (std::any_of(all.begin(), all.end(), [&](const Voter& v) { return v.id == node; })) {
      return wrong(fmt::format("node {} stands there twice", *id));
    }
    all.push_back({.id = node, .address = std::move(*address)});
  }
  return all;
}

Parsed<std::map<std::string, int32_t>> parse_connection_overrides(std::string_view text) {
  std::map<std::string, int32_t> all;
  for (const std::string& entry : split_list(text)) {
    const size_t colon = entry.rfind(':');
    const std::optional<int64_t> count =
        colon == std::string::npos ? std::nullopt : parse_integer(entry.substr(colon + 1));
    if (!count || *count < 0 || *count > std::numeric_limits<int32_t>::max()) {
      return wrong(fmt::format("'{}' must be address:count", entry));
    }
    all[entry.substr(0, colon)] = static_cast<int32_t>(*count);
  }
  return all;
}

}  // namespace common::config
