#include "cli/session.h"

namespace cli {

std::string bootstrap_text(const Shared& shared) {
  return shared.brokers.empty() ? "localhost:9092" : shared.brokers;
}

Outcome<client::Cluster> open_cluster(const Shared& shared) {
  auto bootstrap = client::parse_bootstrap(bootstrap_text(shared));
  if (!bootstrap) return tl::unexpected(std::move(bootstrap.error()));
  return client::Cluster(std::move(*bootstrap), shared.timeout);
}

}  // namespace cli
