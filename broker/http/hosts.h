// By which names the data behind the page may be asked for.
//
// Why: a browser lets a site's script read what it gets from the site's own name, and the site's owner decides which
// address that name stands for. Pointed at a broker (DNS rebinding), it would hand any site that somebody behind the
// firewall looks at the records of every topic. The name comes along in the Host header, so names that nobody but this
// cluster's people can have given are answered, and others refused. Health and metrics know nothing worth stealing and
// are asked for by every name there is.
//
// Immutable; thread-safe.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"

namespace broker::http {

// The host of "host:port", "http://host:port" and "[::1]:port", port and brackets left out.
[[nodiscard]] std::string_view host_in(std::string_view address);
[[nodiscard]] std::string own_host_name();

class AllowedHosts {
 public:
  // Those that the configuration names: naru.http.*, the listeners and what is advertised of them; and `own_name`.
  AllowedHosts(const common::config::BrokerConfig& config, std::string_view own_name);

  // By the Host header: one of these names, an address, or this machine's name for itself. No browser sends none.
  [[nodiscard]] bool allow(std::string_view host_header) const;

 private:
  void add(std::string_view address);

  bool any_ = false;
  std::set<std::string, std::less<>> names_;  // in small letters
  std::vector<std::string> domains_;          // ".example.com"
};

// Whether both name the same host; neither letters' case nor the dot at the end of a full name matters.
[[nodiscard]] bool is_same_host(std::string_view one_address, std::string_view other_address);

}  // namespace broker::http
