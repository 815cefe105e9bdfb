#include "sim/complaints.h"

#include <fmt/format.h>

namespace sim {

void Complaints::broken(const std::string& invariant, const std::string& what) {
  if (first_) return;
  const double seconds = std::chrono::duration<double>(world_.now().time_since_epoch()).count();
  first_ = fmt::format("{}: {} (event {}, {:.6f} s)", invariant, what, world_.events(), seconds);
}

}  // namespace sim
