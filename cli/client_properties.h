// Kafka's client properties given to a command: by a file (--command-config, or the profile in use) and by -X. Where
// brokers are named, by -b, NARU_BROKERS or -X, nothing of the profile in use has a part, as its secrets belong to
// another cluster; a file of --command-config always has.
// Commands that write and read records hand them to librdkafka; the others ask the cluster by requests of their own,
// which understand a few of them.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "cli/problem.h"

namespace cli {

// "name=value" each; later ones weigh more.
struct ClientProperties {
  std::vector<std::string> before;  // of the file, then where the brokers are: what the command sets weighs more
  std::vector<std::string> after;   // -X: weighs more than anything else
};

// Whether a property, "name=value", says where the brokers are.
[[nodiscard]] bool names_brokers(std::string_view property);
// Reads the file. An error: it cannot be read, or a -X is not name=value.
[[nodiscard]] Outcome<ClientProperties> client_properties(const Shared& shared);
[[nodiscard]] std::vector<std::string> all_of(const ClientProperties& properties);
// Of the one that weighs most.
[[nodiscard]] std::optional<std::string> value_of(const ClientProperties& properties, std::string_view name);

// What the command's own requests make of them. Pure.
struct OwnSettings {
  std::string brokers;
  std::optional<std::chrono::milliseconds> timeout;
  bool speaks_plainly = true;               // security.protocol, which the command's own requests cannot follow
  std::vector<std::string> without_effect;  // names given to -X that mean nothing here
};
[[nodiscard]] Outcome<OwnSettings> own_settings(const ClientProperties& properties);

}  // namespace cli
