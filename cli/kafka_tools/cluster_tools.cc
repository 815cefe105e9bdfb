// kafka-broker-api-versions: what brokers say of themselves.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/offsets.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"
#include "kafka/api_versions.h"
#include "proto/kafka/runtime/apis.h"

namespace cli::kafka_tools {
namespace {

std::string range_text(int16_t min, int16_t max) {
  return min == max ? std::to_string(min) : fmt::format("{} to {}", min, max);
}

// "\tProduce(0): 0 to 13 [usable: 13],": one line for each API that this client or the broker knows.
std::string versions_text(const kafka::ApiVersionsResponse& answer) {
  std::map<int16_t, std::string> lines;
  for (const kafka::ApiFacts& api : kafka::apis()) {
    std::string_view name(api.name);
    if (name.ends_with("Request")) name.remove_suffix(7);
    lines[api.key] = fmt::format("\t{}({}): UNSUPPORTED", name, api.key);
  }
  for (const auto& api : answer.api_keys) {
    const kafka::ApiFacts* known = kafka::find_api(api.api_key);
    if (known == nullptr) {
      lines[api.api_key] = fmt::format("\tUNKNOWN({}): {}", api.api_key, range_text(api.min_version, api.max_version));
      continue;
    }
    std::string_view name(known->name);
    if (name.ends_with("Request")) name.remove_suffix(7);
    const int16_t usable = std::min(known->stable_version, api.max_version);
    lines[api.api_key] =
        fmt::format("\t{}({}): {} [usable: {}]", name, api.api_key, range_text(api.min_version, api.max_version),
                    usable < std::max(known->min_version, api.min_version) ? "none" : std::to_string(usable));
  }
  std::vector<std::string> sorted;
  for (auto& [key, line] : lines) sorted.push_back(std::move(line));
  return fmt::format("{}", fmt::join(sorted, ",\n"));
}

}  // namespace

Exit broker_api_versions(int argc, const char* const* argv) {
  Target target;
  Flags flags("kafka-broker-api-versions", "This tool helps to retrieve broker version information.");
  target.add_to(flags);
  if (const auto over = flags.parse(argc, argv)) return *over;
  Outcome<client::Cluster> cluster = target.open();
  if (!cluster) return fail(cluster.error());
  const Outcome<Nodes> nodes = fetch_nodes(*cluster);
  if (!nodes) return fail(nodes.error());
  for (const auto& [id, broker] : nodes->brokers) {
    const auto answer = cluster->call_on<kafka::ApiVersionsResponse>(
        broker, kafka::ApiVersionsRequest{.client_software_name = "naru", .client_software_version = "1"});
    const std::string where =
        fmt::format("{}:{} (id: {} rack: {} isFenced: false)", broker.address.host, broker.address.port, id,
                    nodes->racks.contains(id) ? nodes->racks.at(id) : "null");
    if (!answer) {
      print_out(fmt::format("{} -> ERROR: {}\n", where, answer.error().message));
      continue;
    }
    print_out(fmt::format("{} -> (\n{}\n)\n", where, versions_text(*answer)));
  }
  return Exit::done;
}

}  // namespace cli::kafka_tools
