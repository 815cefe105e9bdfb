#include "controller/metadata/election.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "common/model/mutant.h"

namespace controller::metadata {

using common::model::mutant;

namespace {

using Brokers = std::vector<BrokerId>;

Brokers without(const Brokers& members, const auto& excluded) {
  Brokers left;
  for (const BrokerId m : members) {
    if (!excluded(m)) left.push_back(m);
  }
  return left;
}

// `members` in assignment order, so that equal sets are equal lists (R19) and the first is the one to prefer (R38).
Brokers in_order_of(const Brokers& replicas, const std::set<BrokerId>& members) {
  return without(replicas, [&](BrokerId r) { return !members.contains(r); });
}

size_t clipped(size_t min_isr, const Brokers& replicas) {
  return std::clamp<size_t>(min_isr, 1, std::max<size_t>(1, replicas.size()));
}

Brokers minus(const Brokers& members, const Brokers& others) {
  return without(members, [&](BrokerId m) { return contains(others, m); });
}

bool is_subset(const Brokers& members, const Brokers& of) {
  return minus(members, of).empty();
}

struct Outcome {
  ReplicaSet assignment;
  Brokers isr;
  Brokers elr;
  Brokers last_known_elr;
  std::optional<LeaderChoice> leader;  // set: a change of leader
  RecoveryState recovery = RecoveryState::recovered;
};

class Planner {
 public:
  Planner(const PartitionState& state, const PartitionPlan& plan, const ElectionRules& rules)
      : state_(state), plan_(plan), rules_(rules) {}

  Outcome run() {
    out_.recovery = plan_.recovery_state.value_or(state_.recovery_state);
    out_.isr = without(plan_.isr.value_or(state_.isr), [&](BrokerId m) { return plan_.lost_claim.contains(m); });
    out_.assignment = plan_.assignment.value_or(ReplicaSet{state_.replicas, state_.adding, state_.removing});
    if (plan_.assignment) keep_in_isr(out_.assignment.replicas);
    finish_reassignment();
    // While new replicas are on their way, the partition promises no more copies than it had (R43, R48).
    min_isr_ = clipped(rules_.min_isr, minus(out_.assignment.replicas, out_.assignment.adding));
    list_eligible();
    choose_leader();
    begin_epoch_if_shrunk();
    return std::move(out_);
  }

 private:
  void keep_in_isr(const Brokers& replicas) {
    out_.isr = in_order_of(replicas, std::set<BrokerId>(out_.isr.begin(), out_.isr.end()));
  }

  // R40: those who are to go do so once all who are to stay are in the ISR. A reassignment that is turned back waits
  // for nobody new: enough of the old ones will do.
  void finish_reassignment() {
    const ReplicaSet& now = out_.assignment;
    if (now.adding.empty() && now.removing.empty()) return;
    if (out_.recovery == RecoveryState::recovering && !mutant<"R40-completes-while-recovering">()) return;
    const Brokers targets = minus(now.replicas, now.removing);
    const size_t in_sync = targets.size() - minus(targets, out_.isr).size();
    size_t needed = targets.size();
    const bool turned_back = is_subset(now.adding, now.removing) && is_subset(now.removing, now.adding);
    if (turned_back) needed = mutant<"R40-turns-back-with-one">() ? 1 : clipped(rules_.min_isr, targets);
    if (mutant<"R40-completes-with-one-in-sync">()) needed = 1;
    if (in_sync < needed) return;
    out_.assignment = {targets, {}, {}};
    keep_in_isr(targets);
  }

  // R40, R41: who is no replica any more must not be counted under the epoch in which it was one.
  void begin_epoch_if_shrunk() {
    const bool shrunk = !is_subset(state_.replicas, out_.assignment.replicas);
    if (!shrunk || out_.leader || !state_.leader || mutant<"R40-shrinks-within-an-epoch">()) return;
    out_.leader = LeaderChoice{*state_.leader};
  }

  // KIP-966: while the ISR is below minISR nothing commits (R48), so whoever leaves it then, or was eligible before,
  // still holds everything committed. With a full ISR that ends (R43).
  void list_eligible() {
    if (out_.isr.size() >= min_isr_ && !mutant<"R43-never-empties-the-elr">()) return;
    if (mutant<"R43-remembers-no-elr">()) return;
    std::set<BrokerId> left(state_.elr.begin(), state_.elr.end());
    left.insert(state_.isr.begin(), state_.isr.end());
    for (const BrokerId m : out_.isr) left.erase(m);
    std::set<BrokerId> eligible = left;
    const bool is_last = mutant<"R45-keeps-the-last-one">() && eligible.size() == 1;
    if (!is_last && !mutant<"R44-stays-eligible-after-an-unclean-end">())
      for (const BrokerId m : plan_.lost_claim) eligible.erase(m);
    std::set<BrokerId> known = left;
    known.insert(state_.last_known_elr.begin(), state_.last_known_elr.end());
    for (const BrokerId m : out_.isr) known.erase(m);
    for (const BrokerId m : eligible) known.erase(m);
    out_.elr = in_order_of(out_.assignment.replicas, eligible);
    out_.last_known_elr = in_order_of(out_.assignment.replicas, known);
  }

  void choose_leader() {
    const Brokers& replicas = out_.assignment.replicas;
    if (plan_.election == Election::preferred && can_lead(replicas.front())) {
      lead(replicas.front());
      return;
    }
    const bool can_go_on = state_.leader && can_lead(*state_.leader);
    if (can_go_on && !plan_.reluctant.contains(*state_.leader)) return;
    Brokers order = replicas;
    if (mutant<"R38-leaders-in-another-order">()) std::reverse(order.begin(), order.end());
    for (const BrokerId r : order) {
      if (can_lead(r) && !plan_.reluctant.contains(r)) return lead(r);
    }
    if (can_go_on) return;
    for (const BrokerId r : order) {
      if (can_lead(r)) return lead(r);
    }
    // ELR only if the ISR is empty (R38); its first live member becomes the ISR (R37).
    if (out_.isr.empty() || mutant<"R38-elr-beside-a-living-isr">()) {
      for (const BrokerId r : out_.elr) {
        if (!rules_.is_active(r) && !mutant<"R38-elects-fenced-members-of-the-elr">()) continue;
        out_.isr = {r};
        std::erase(out_.elr, r);
        forget_eligible_if_full();
        return lead(r);
      }
      if (plan_.recovered_leader && rules_.is_active(*plan_.recovered_leader))
        return lead_recovered(*plan_.recovered_leader);
    }
    if (rules_.unclean == Enabled::yes || plan_.election == Election::unclean || mutant<"R39-unclean-by-default">()) {
      // Those last known to hold everything are the better guess, then those that the partition had before a
      // reassignment: one that is only being added may have nothing yet. A copy that cannot be used would begin with
      // nothing, and empty the others: only a command takes it, and only if there is no other.
      const Brokers before = minus(replicas, out_.assignment.adding);
      const Brokers* const guesses[] = {&std::as_const(out_.last_known_elr), &before, &replicas};
      for (const bool any : {mutant<"R39-elects-a-copy-that-is-offline">(), plan_.election == Election::unclean}) {
        for (const Brokers* candidates : guesses) {
          for (const BrokerId r : *candidates) {
            if (rules_.is_active(r) && (any || has_copy(r))) return lead_uncleanly(r);
          }
        }
      }
    }
    if (state_.leader) out_.leader = LeaderChoice{std::nullopt};
  }

  bool has_copy(BrokerId id) const {
    return !plan_.lost_claim.contains(id) && !(rules_.is_offline && rules_.is_offline(id));
  }

  bool can_lead(BrokerId id) const {
    const bool in_sync = contains(out_.isr, id) || mutant<"R38-elects-any-replica">();
    return in_sync && (rules_.is_active(id) || mutant<"R29-elects-the-fenced">());
  }

  void lead(BrokerId id) {
    if (state_.leader != id) out_.leader = LeaderChoice{id};
  }

  // R39: records may be lost; the new leader is the whole ISR until it has recovered.
  void lead_uncleanly(BrokerId id) {
    out_.isr = {id};
    out_.elr.clear();
    out_.last_known_elr.clear();
    if (!mutant<"R39-unclean-leaders-need-no-recovery">()) out_.recovery = RecoveryState::recovering;
    out_.leader = LeaderChoice{id};
  }

  // R46: nothing is committed before the ISR has minISR members (R48). Until then the others hold all of it as they
  // did, and this one may be lost before anybody has followed it.
  void lead_recovered(BrokerId id) {
    lead_uncleanly(id);
    if (mutant<"R46-forgets-the-others">()) return;
    out_.last_known_elr = plan_.recovered_among;
    forget_eligible_if_full();
  }

  void forget_eligible_if_full() {
    if (out_.isr.size() < min_isr_) return;
    out_.elr.clear();
    out_.last_known_elr.clear();
  }

  const PartitionState& state_;
  const PartitionPlan& plan_;
  const ElectionRules& rules_;
  size_t min_isr_ = 1;
  Outcome out_;
};

}  // namespace

Brokers original_replicas(const PartitionState& state) {
  return minus(state.replicas, state.adding);
}

Brokers target_replicas(const PartitionState& state) {
  return minus(state.replicas, state.removing);
}

std::optional<PartitionChangeRecord> plan_change(const TopicId& topic, PartitionIndex index,
                                                 const PartitionState& state, const PartitionPlan& plan,
                                                 const ElectionRules& rules) {
  Outcome out = Planner(state, plan, rules).run();
  PartitionChangeRecord record{topic, index};
  bool any = out.leader.has_value();
  const auto set_if_changed = [&any](auto& field, auto& value, const auto& old) {
    if (value == old) return;
    field = std::move(value);
    any = true;
  };
  record.leader = out.leader;
  if (record.leader) record.leader->reason = plan.leader_reason;
  set_if_changed(record.replicas, out.assignment.replicas, state.replicas);
  set_if_changed(record.adding, out.assignment.adding, state.adding);
  set_if_changed(record.removing, out.assignment.removing, state.removing);
  set_if_changed(record.isr, out.isr, state.isr);
  set_if_changed(record.elr, out.elr, state.elr);
  set_if_changed(record.last_known_elr, out.last_known_elr, state.last_known_elr);
  set_if_changed(record.recovery_state, out.recovery, state.recovery_state);
  if (!any) return std::nullopt;
  return record;
}

namespace {

// Values are stored in one form, but were not always: whatever the leaders' table of settings takes (R43, R48).
std::string plain(std::string_view setting) {
  std::string text;
  for (const char c : setting) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || (c == '+' && text.empty())) continue;
    text += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return text;
}

}  // namespace

size_t min_isr(const MetadataImage& image, std::string_view topic, const ControllerOptions& options) {
  int64_t wanted = options.min_isr_default;
  if (const auto setting = image.topic_setting(topic, "min.insync.replicas")) {
    const std::string text = mutant<"R43-reads-min-isr-by-the-letter">() ? *setting : plain(*setting);
    int64_t parsed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error == std::errc() && end == text.data() + text.size()) wanted = parsed;
  }
  return static_cast<size_t>(std::clamp<int64_t>(wanted, 1, std::numeric_limits<int32_t>::max()));
}

ElectionRules rules_for(const MetadataImage& image, std::string_view topic, const ControllerOptions& options) {
  ElectionRules rules;
  rules.min_isr = min_isr(image, topic, options);
  rules.unclean = options.unclean_election_default;
  if (const auto setting = image.topic_setting(topic, "unclean.leader.election.enable")) {
    rules.unclean = plain(*setting) == "true" ? Enabled::yes : Enabled::no;
  }
  rules.is_active = [&image](BrokerId id) { return image.is_active(id); };
  return rules;
}

}  // namespace controller::metadata
