// How a cluster grows: many brokers and partitions, no faults but a kill of one broker and one of the controller. Tells what
// the controller costs, how large the metadata is, and how long a failover takes in simulated time.
#pragma once
#include <string>

namespace sim {

// "brokers:partitions,brokers:partitions,..."; prints a table as it goes. The process's exit code.
int run_scale(const std::string& sizes);

}  // namespace sim
