#include "cli/session.h"

#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/client_properties.h"
#include "kafka/metadata.h"

namespace cli {

namespace {

Outcome<client::Cluster> open_with(const Shared& shared, const OwnSettings& own) {
  if (!own.speaks_plainly) {
    return problem(Exit::usage, "security.protocol: the command's own requests speak PLAINTEXT only",
                   "produce and consume leave it to the client library");
  }
  auto bootstrap = client::parse_bootstrap(own.brokers);
  if (!bootstrap) return tl::unexpected(std::move(bootstrap.error()));
  return client::Cluster(std::move(*bootstrap),
                         shared.is_timeout_given ? shared.timeout : own.timeout.value_or(shared.timeout));
}

Outcome<OwnSettings> own_settings_of(const Shared& shared) {
  const Outcome<ClientProperties> properties = client_properties(shared);
  if (!properties) return tl::unexpected(properties.error());
  return own_settings(*properties);
}

}  // namespace

std::string bootstrap_text(const Shared& shared) {
  const Outcome<OwnSettings> own = own_settings_of(shared);
  return own ? own->brokers : shared.brokers;
}

Outcome<client::Cluster> open_cluster(const Shared& shared, Properties properties) {
  const Outcome<OwnSettings> own = own_settings_of(shared);
  if (!own) return tl::unexpected(own.error());
  if (!own->without_effect.empty() && properties == Properties::are_for_requests && !shared.quiet) {
    fmt::print(stderr, "without effect here: -X {}\n", fmt::join(own->without_effect, ", "));
  }
  return open_with(shared, *own);
}

bool speaks_plainly(const Shared& shared) {
  const Outcome<OwnSettings> own = own_settings_of(shared);
  return own && own->speaks_plainly;
}

Outcome<void> look_for_brokers(const Shared& shared) {
  const Outcome<OwnSettings> own = own_settings_of(shared);
  if (!own) return tl::unexpected(own.error());
  if (!own->speaks_plainly) return {};
  Outcome<client::Cluster> cluster = open_with(shared, *own);
  if (!cluster) return tl::unexpected(std::move(cluster.error()));
  const kafka::MetadataRequest brokers_only;
  const auto answer = cluster->call<kafka::MetadataResponse>(brokers_only);
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

}  // namespace cli
