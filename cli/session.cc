#include "cli/session.h"

#include <algorithm>

#include "kafka/metadata.h"

namespace cli {

std::string bootstrap_text(const Shared& shared) {
  return shared.brokers.empty() ? "localhost:9092" : shared.brokers;
}

Outcome<client::Cluster> open_cluster(const Shared& shared) {
  auto bootstrap = client::parse_bootstrap(bootstrap_text(shared));
  if (!bootstrap) return tl::unexpected(std::move(bootstrap.error()));
  return client::Cluster(std::move(*bootstrap), shared.timeout);
}

bool leads_elsewhere(const std::vector<std::string>& properties) {
  return std::ranges::any_of(properties, [](const std::string& property) {
    return property.starts_with("bootstrap.servers=") || property.starts_with("metadata.broker.list=") ||
           property.starts_with("security.protocol=");
  });
}

Outcome<void> look_for_brokers(const Shared& shared, const std::vector<std::string>& properties) {
  if (leads_elsewhere(properties)) return {};
  Outcome<client::Cluster> cluster = open_cluster(shared);
  if (!cluster) return tl::unexpected(std::move(cluster.error()));
  const kafka::MetadataRequest brokers_only;
  const auto answer = cluster->call<kafka::MetadataResponse>(brokers_only);
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

}  // namespace cli
