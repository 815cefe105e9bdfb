#include "common/net/networks.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

namespace common::net {

namespace ip = boost::asio::ip;

namespace {

template <size_t N>
int prefix_of(const std::array<unsigned char, N>& mask) {
  int bits = 0;
  for (const unsigned char byte : mask) bits += std::popcount(byte);
  return bits;
}

std::string text_of(const ifaddrs& entry) {
  if (entry.ifa_addr->sa_family == AF_INET) {
    ip::address_v4::bytes_type address;
    ip::address_v4::bytes_type mask;
    std::memcpy(address.data(), &reinterpret_cast<const sockaddr_in*>(entry.ifa_addr)->sin_addr, address.size());
    std::memcpy(mask.data(), &reinterpret_cast<const sockaddr_in*>(entry.ifa_netmask)->sin_addr, mask.size());
    return fmt::format("{}/{}", ip::address_v4(address).to_string(), prefix_of(mask));
  }
  if (entry.ifa_addr->sa_family == AF_INET6) {
    ip::address_v6::bytes_type address;
    ip::address_v6::bytes_type mask;
    std::memcpy(address.data(), &reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr)->sin6_addr, address.size());
    std::memcpy(mask.data(), &reinterpret_cast<const sockaddr_in6*>(entry.ifa_netmask)->sin6_addr, mask.size());
    if (ip::address_v6(address).is_link_local()) return {};
    return fmt::format("{}/{}", ip::address_v6(address).to_string(), prefix_of(mask));
  }
  return {};
}

}  // namespace

std::vector<std::string> interface_networks() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all(first, &::freeifaddrs);
  std::vector<std::string> networks;
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_netmask == nullptr) continue;
    if ((entry->ifa_flags & IFF_UP) == 0 || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
    if (std::string text = text_of(*entry); !text.empty()) networks.push_back(std::move(text));
  }
  return networks;
}

bool is_neighbour(std::string_view address, std::string_view interface) {
  boost::system::error_code wrong;
  const ip::address one = ip::make_address(std::string(address), wrong);
  if (wrong) return false;
  if (one.is_v4()) {
    const ip::network_v4 network = ip::make_network_v4(std::string(interface), wrong);
    return !wrong && ip::network_v4(one.to_v4(), network.prefix_length()).canonical() == network.canonical();
  }
  const ip::network_v6 network = ip::make_network_v6(std::string(interface), wrong);
  return !wrong && ip::network_v6(one.to_v6(), network.prefix_length()).canonical() == network.canonical();
}

std::string_view address_of_interface(std::string_view interface) {
  const size_t slash = interface.find('/');
  return slash == std::string_view::npos ? std::string_view() : interface.substr(0, slash);
}

}  // namespace common::net
