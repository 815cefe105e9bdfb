// How an address is written wherever people or programs read one: kafka-1:9092, 127.0.0.1:9092, [::1]:9092.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace common::model {

// An IPv6 address in brackets (if it has none yet), so that its colons and the port's are told apart.
[[nodiscard]] inline std::string address_text(std::string_view host, int32_t port) {
  const bool v6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace common::model
