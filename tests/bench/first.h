// When is a cluster that is starting there for a client? Waits until every address takes connections, then produces one
// record with acks=all to a topic that the cluster makes on its own, as a client that is in a hurry does.
// Prints {"listening": t, "acknowledged": t}, seconds on the system's monotonic clock.
#pragma once
#include <string>

namespace load {

int first_write(const std::string& bootstrap, const std::string& topic);

}  // namespace load
