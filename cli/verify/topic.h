// A topic and a group of the command's own for the time of a run.
// Network; thread-compatible.
#pragma once
#include <string>

#include "cli/client/cluster.h"

namespace cli::verify {

// With as many copies as there are brokers, at most three, if `replicas` says none.
Outcome<void> create_topic(client::Cluster& cluster, const std::string& name, int partitions, int replicas);
// Writers can begin when every partition is led.
Outcome<void> wait_led(client::Cluster& cluster, const std::string& name);
// Says what went wrong, if something did.
void delete_topic(client::Cluster& cluster, const std::string& name);
// Its members must have left. Says what went wrong, if something did.
void delete_group(client::Cluster& cluster, const std::string& name);

}  // namespace cli::verify
