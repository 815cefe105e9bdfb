#include "sim/invariant_identity.h"

#include <fmt/format.h>

namespace sim {

void IdentityInvariants::on_ended(const Node& node) {
  if (node.holds_foreign_disk()) probes_.hit(Probe::foreign_disk_refused);
}

void IdentityInvariants::sweep(Cluster& cluster) {
  for (const auto& node : cluster.nodes()) look_at(*node);
  for (const auto& [id, twin] : cluster.twins()) look_at(*twin);
}

void IdentityInvariants::look_at(const Node& node) {
  if (!node.is_serving()) return;
  if (node.holds_foreign_disk()) {
    return complaints_.broken("nobody serves with another broker's disk (R24, R83)", fmt::format("broker {}", node.id()));
  }
  const auto epoch = node.core().controller().epoch();
  if (!epoch) return;
  const Life life{node.host(), node.lives()};
  const auto [owner, is_new] = owners_.try_emplace(*epoch, life);
  const bool is_twin = node.host() != node.id().value;
  if (is_new && is_twin) probes_.hit(Probe::twin_registered);
  if (owner->second != life) {
    complaints_.broken("a broker epoch is one process's (R24)",
                       fmt::format("{} is that of life {} at host {}, and of life {} at host {}", *epoch,
                                   owner->second.second, owner->second.first, life.second, life.first));
  }
}

}  // namespace sim
