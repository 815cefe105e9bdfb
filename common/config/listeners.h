// The text forms of addresses: listeners, voters, bootstrap servers. Errors are sentences without the property's name.
// Pure; thread-safe.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "common/config/config.h"

namespace common::config {

template <class T>
using Parsed = tl::expected<T, std::string>;

// "NAME:PROTOCOL,NAME:PROTOCOL"
Parsed<std::map<std::string, SecurityProtocol>> parse_protocol_map(std::string_view text);
// "NAME://host:port,NAME://[::1]:port"; names in upper case; protocols are left at plaintext.
Parsed<std::vector<Listener>> parse_listeners(std::string_view text);
// "host:port" or "[v6]:port"
Parsed<HostPort> parse_host_port(std::string_view text);
// "1@host:port,2@host:port"
Parsed<std::vector<Voter>> parse_voters(std::string_view text);
// "10.0.0.1:5,::1:7": how many connections each address may have.
Parsed<std::map<std::string, int32_t>> parse_connection_overrides(std::string_view text);
std::string_view to_string(SecurityProtocol protocol);
// The name of `property` for one listener alone: "listener.name.internal.max.connections".
std::string listener_property(std::string_view listener, std::string_view property);
// "NAME://host:port"
std::string to_string(const Listener& listener);

}  // namespace common::config
