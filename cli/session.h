// From what a command was given to a cluster it can ask. Shared by all commands that talk to brokers.
#pragma once
#include "cli/client/cluster.h"
#include "cli/commands.h"

namespace cli {

// The addresses as text: --brokers, else NARU_BROKERS (the command line looks that up), else localhost:9092.
std::string bootstrap_text(const Shared& shared);
Outcome<client::Cluster> open_cluster(const Shared& shared);

}  // namespace cli
