// The networks that this machine is in, and whether an address belongs to one. Brokers without advertised.listeners
// tell each other so that a client that came by one of them hears of the others there.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace common::net {

// "172.18.0.3/16": the address of each interface that is up, with the length of its network's prefix. Loopback and
// link-local addresses mean something else on every machine and are left out.
std::vector<std::string> interface_networks();

// Whether `address` ("172.18.0.9") lies in the network of `interface` ("172.18.0.3/16"). False if one is neither.
bool is_neighbour(std::string_view address, std::string_view interface);

// "172.18.0.3/16" -> "172.18.0.3"; empty where there is no prefix.
std::string_view address_of_interface(std::string_view interface);

}  // namespace common::net
