#include "cli/elect_plan.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/output.h"

namespace cli {
namespace {

using Kind = Election::Kind;

bool has(const std::vector<int32_t>& ids, int32_t id) {
  return std::ranges::find(ids, id) != ids.end();
}

bool is_up(const std::vector<BrokerFacts>& brokers, int32_t id) {
  const auto found = std::ranges::find(brokers, id, &BrokerFacts::id);
  return found != brokers.end() && !found->fenced;
}

Election begin(const std::vector<BrokerFacts>& brokers, const PartitionFacts& p) {
  Election election{.partition = p.index, .leader = p.leader};
  for (const int32_t id : p.replicas) {
    if (is_up(brokers, id)) election.live.push_back(id);
  }
  return election;
}

// The controller's order: those last known to hold everything, then as the replicas stand; one whose copy cannot be
// used only where there is no other.
int32_t best_guess(const PartitionFacts& p, const std::vector<int32_t>& live) {
  for (const bool is_any_copy_good : {false, true}) {
    for (const std::vector<int32_t>* ids : {&p.last_known_eligible, &live}) {
      for (const int32_t id : *ids) {
        if (has(live, id) && (is_any_copy_good || !has(p.offline, id))) return id;
      }
    }
  }
  return live.front();
}

Election uncleanly(const std::vector<BrokerFacts>& brokers, const PartitionFacts& p) {
  Election election = begin(brokers, p);
  if (p.led()) return election;
  std::vector<int32_t> complete = p.isr;
  complete.insert(complete.end(), p.eligible.begin(), p.eligible.end());
  for (const int32_t id : complete) {
    if (!is_up(brokers, id) || has(p.offline, id)) election.given_up.push_back(id);
  }
  if (election.live.empty()) {
    election.kind = Kind::impossible;
    return election;
  }
  const auto clean = std::ranges::find_if(
      complete, [&](int32_t id) { return has(election.live, id) && !has(p.offline, id); });
  election.kind = clean == complete.end() ? Kind::unclean : Kind::clean;
  election.next = clean == complete.end() ? best_guess(p, election.live) : *clean;
  return election;
}

Election preferably(const std::vector<BrokerFacts>& brokers, const PartitionFacts& p) {
  Election election = begin(brokers, p);
  if (p.replicas.empty() || p.leader == p.replicas.front()) return election;
  const bool can_lead = has(election.live, p.replicas.front()) && has(p.isr, p.replicas.front());
  election.kind = can_lead ? Kind::clean : Kind::impossible;
  if (can_lead) election.next = p.replicas.front();
  return election;
}

std::string loss_text(const Election& election) {
  switch (election.kind) {
    case Kind::needless:
      return "nothing: it has a leader";
    case Kind::clean:
      return "nothing: it holds all that was acknowledged";
    case Kind::impossible:
      return "nothing: none of its brokers is up";
    case Kind::unclean:
      break;
  }
  if (election.given_up.empty()) return fmt::format("what broker {} does not hold", *election.next);
  return fmt::format("what only {} {} holds", election.given_up.size() == 1 ? "broker" : "one of the brokers",
                     ids_text(election.given_up));
}

std::string copies_text(const Election& election, const ReplicaSizes& sizes) {
  std::vector<std::string> all;
  for (const int32_t id : election.live) {
    const auto size = sizes.find({election.partition, id});
    all.push_back(size == sizes.end() ? std::to_string(id) : fmt::format("{} ({})", id, bytes_text(size->second)));
  }
  return fmt::format("{}", fmt::join(all, ", "));
}

std::string id_or_none(const std::optional<int32_t>& id) {
  return id ? std::to_string(*id) : "";
}

}  // namespace

void note_lost_copies(std::vector<PartitionFacts>& partitions, const Copies& copies) {
  for (PartitionFacts& p : partitions) {
    for (const int32_t id : p.replicas) {
      const bool is_lost = !p.led() && copies.told.contains(id) && !copies.sizes.contains({p.index, id});
      if (is_lost && !has(p.offline, id)) p.offline.push_back(id);
    }
  }
}

std::vector<Election> plan_preferred(const std::vector<BrokerFacts>& brokers,
                                     const std::vector<PartitionFacts>& partitions) {
  std::vector<Election> all;
  for (const PartitionFacts& p : partitions) all.push_back(preferably(brokers, p));
  return all;
}

std::vector<Election> plan_unclean(const std::vector<BrokerFacts>& brokers,
                                   const std::vector<PartitionFacts>& partitions) {
  std::vector<Election> all;
  for (const PartitionFacts& p : partitions) all.push_back(uncleanly(brokers, p));
  return all;
}

std::string unclean_text(const std::vector<Election>& elections, const ReplicaSizes& sizes) {
  Table table({{"PARTITION", Align::right},
               {"LEADER", Align::right},
               {"WOULD LEAD", Align::right},
               {"COPIES THAT ARE UP"},
               {"LOST"}});
  for (const Election& e : elections) {
    table.add({std::to_string(e.partition), id_or_none(e.leader), id_or_none(e.next), copies_text(e, sizes),
               loss_text(e)});
  }
  return table.text();
}

}  // namespace cli
