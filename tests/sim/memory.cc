#include "sim/memory.h"

#include <fmt/format.h>

#include "sim/kafka_wire.h"

namespace sim {

std::string ShardMemory::complaint() const {
  if (in_flight == 0 && (requests.used() > 0 || responses.used() > 0)) {
    return fmt::format("nothing is in flight, and {} bytes of requests and {} of answers are held", requests.used(),
                       responses.used());
  }
  if (requests.used() > requests.limit() + largest_frame) {
    return fmt::format("{} bytes of requests are held, {} are allowed, the largest had {}", requests.used(),
                       requests.limit(), largest_frame);
  }
  return {};
}

void ShardMemory::let_go() {
  for (const auto& weak : std::exchange(connections, {})) {
    if (const auto connection = weak.lock()) connection->let_go();
  }
}

}  // namespace sim
