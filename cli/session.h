// From what a command was given to a cluster it can ask. Shared by all commands that talk to brokers.
#pragma once
#include "cli/client/cluster.h"
#include "cli/commands.h"

namespace cli {

// The addresses as text, for people: --brokers or NARU_BROKERS (the command line looks that up), else what the
// properties say, else localhost:9092.
std::string bootstrap_text(const Shared& shared);
// Says which -X mean nothing to it. An error: the properties are wrong, or ask for a protocol that the command's own
// requests do not speak.
enum class Properties { are_for_requests, are_for_the_library_too };
Outcome<client::Cluster> open_cluster(const Shared& shared, Properties properties = Properties::are_for_requests);
// A first look for commands whose client library would go on trying in silence: says at once that no broker answers, as
// all commands do. Properties may ask for a protocol that only the library speaks: no look then.
Outcome<void> look_for_brokers(const Shared& shared);
bool speaks_plainly(const Shared& shared);

}  // namespace cli
