// From what a command was given to a cluster it can ask. Shared by all commands that talk to brokers.
#pragma once
#include "cli/client/cluster.h"
#include "cli/commands.h"

namespace cli {

// The addresses as text: --brokers, else NARU_BROKERS (the command line looks that up), else localhost:9092.
std::string bootstrap_text(const Shared& shared);
Outcome<client::Cluster> open_cluster(const Shared& shared);
// A first look for commands whose client library would go on trying in silence: says at once that no broker answers, as
// all commands do. `properties` (-X) may lead the library elsewhere, or by a protocol that only it speaks: no look
// then.
Outcome<void> look_for_brokers(const Shared& shared, const std::vector<std::string>& properties);
bool leads_elsewhere(const std::vector<std::string>& properties);

}  // namespace cli
