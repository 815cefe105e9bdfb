// The page's files, which are part of the binary (broker/http/page, taken in by assets.py at build time). Immutable;
// thread-safe.
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "broker/http/message.h"

namespace broker::http {

struct Asset {
  std::string_view path;
  std::string_view plain;
  std::string_view compressed;  // by gzip; empty where that is no gain
};
std::span<const Asset> assets();

// The file at the request's path ("/" is index.html), or 304 if the client has it; none: there is no such file.
[[nodiscard]] std::optional<Response> find_asset(const Request& request);

}  // namespace broker::http
