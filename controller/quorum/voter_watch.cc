#include "controller/quorum/voter_watch.h"

namespace controller::quorum {

using metadata::ProbeResult;

bool others_may_decide(const raft::VoterSet& voters, BrokerId self, const std::map<BrokerId, ProbeResult>& found) {
  size_t votes = 0;
  bool has_reached = false;
  for (const raft::Voter& voter : voters.voters()) {
    if (voter.key.id == self) continue;
    const auto result = found.find(voter.key.id);
    if (result == found.end() || result->second != ProbeResult::refused) ++votes;
    if (result != found.end() && result->second == ProbeResult::connected) has_reached = true;
  }
  if (has_reached && voters.find(self) != nullptr) ++votes;
  return votes >= voters.majority();
}

void VoterWatch::look(const raft::VoterSet& voters,
                      const std::function<std::optional<metadata::ClusterEndpoint>(BrokerId)>& address) {
  if (look_) return;
  const auto look = look_ = std::make_shared<Look>();
  look->voters = voters;
  std::vector<metadata::ProbeOrder> orders;
  for (const raft::Voter& voter : voters.voters()) {
    if (voter.key.id == self_) continue;
    const auto endpoint = address(voter.key.id);
    if (!endpoint) continue;
    metadata::ProbeOrder order;
    order.broker_id = voter.key.id;
    order.endpoint = *endpoint;
    orders.push_back(std::move(order));
  }
  look->expected = orders.size();
  if (orders.empty()) return settle(*look);
  for (const metadata::ProbeOrder& order : orders) {
    prober_.probe(order, [this, weak = std::weak_ptr(look), id = order.broker_id](ProbeResult result) {
      const auto current = weak.lock();
      if (!current || current != look_) return;
      current->found[id] = result;
      if (current->found.size() == current->expected) settle(*current);
    });
  }
}

void VoterWatch::settle(const Look& look) {
  may_decide_.store(quorum::others_may_decide(look.voters, self_, look.found), std::memory_order_release);
  look_.reset();
}

void VoterWatch::forget() {
  look_.reset();
  may_decide_.store(true, std::memory_order_release);
}

}  // namespace controller::quorum
