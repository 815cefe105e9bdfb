// The ISR tracker as scenario files: tests/scenarios/partition/isr. Commands are explained in its README.
#include <fmt/ranges.h>
#include <catch2/catch.hpp>

#include "broker/partition/isr_tracker.h"
#include "support/scenario.h"

using namespace broker::partition;
using common::model::ErrorCode;
using test_support::Command;
using test_support::ScenarioError;

namespace {

BrokerIds ids_of(const std::vector<int64_t>& numbers) {
  BrokerIds ids;
  for (const int64_t n : numbers) ids.push_back(BrokerId(static_cast<int32_t>(n)));
  return ids;
}

std::string text_of(const BrokerIds& ids) {
  std::string text = "(";
  for (const BrokerId id : ids) text += fmt::format("{}{}", text.size() > 1 ? "," : "", id);
  return text + ")";
}

// Broker n is registered under epoch 100 n, unless said otherwise.
BrokerEpoch epoch_of(int64_t broker) {
  return BrokerEpoch(broker * 100);
}

ErrorCode code_named(const std::string& name) {
  for (int16_t n = -1; n <= 136; ++n) {
    if (to_string(common::model::error_code_from(n)) == name) return common::model::error_code_from(n);
  }
  throw ScenarioError{"no error code " + name};
}

class Scenario {
 public:
  std::string run(const Command& c) {
    if (c.has("at")) now_ = Instant{} + std::chrono::hours(1) + c.duration("at");
    if (c.name() == "start") return start(c);
    if (!tracker_) throw ScenarioError{"start comes first"};
    if (c.name() == "append") return show(tracker_->on_append(Offset(c.number("leo")), now_));
    if (c.name() == "synced") return show(tracker_->on_durable(Offset(c.number("offset")), now_));
    if (c.name() == "position") return position(c);
    if (c.name() == "left") return left(c);
    if (c.name() == "tick") return tick(c);
    if (c.name() == "recorded") return show(tracker_->on_recorded(recorded(c), now_));
    if (c.name() == "answered") return show(tracker_->on_proposal_recorded(recorded(c), now_));
    if (c.name() == "refused") {
      tracker_->on_proposal_refused(code_named(c.words().at(0)), now_);
      return show({});
    }
    if (c.name() == "broker") return broker(c);
    if (c.name() == "min-isr") {
      tracker_->set_rules(static_cast<int>(c.number("is")), counted_);
      return show(tracker_->on_durable(Offset(0), now_));
    }
    throw ScenarioError{"unknown command " + c.name()};
  }

 private:
  std::string start(const Command& c) {
    IsrStart s;
    s.leader = BrokerId(static_cast<int32_t>(c.number_or("leader", 1)));
    s.leader_broker_epoch = epoch_of(s.leader.value);
    s.leader_epoch = LeaderEpoch(static_cast<int32_t>(c.number_or("epoch", 0)));
    s.partition_epoch = PartitionEpoch(static_cast<int32_t>(c.number_or("partition-epoch", 0)));
    s.replicas = ids_of(c.numbers("replicas"));
    s.isr = ids_of(c.numbers("isr"));
    s.recovery = c.has("recovering") ? Recovery::recovering : Recovery::recovered;
    for (const BrokerId id : s.replicas) s.brokers.push_back({id, epoch_of(id.value), true});
    for (const int64_t fenced : c.numbers_or("fenced", {})) {
      for (BrokerFacts& f : s.brokers) f.eligible = f.eligible && f.id.value != fenced;
    }
    s.log_end_offset = Offset(c.number_or("leo", 0));
    s.durable_offset = Offset(c.number_or("synced", c.number_or("leo", 0)));
    s.high_watermark = Offset(c.number_or("hw", 0));
    s.min_isr = static_cast<int>(c.number_or("min-isr", 1));
    s.counted = counted_ = c.has("durable") ? CountedEnd::durable : CountedEnd::written;
    s.lag_time_max = c.duration_or("lag-time-max", std::chrono::seconds(10));
    s.now = now_;
    tracker_.emplace(s);
    return show(tracker_->on_tick({}, now_));
  }

  std::string position(const Command& c) {
    const int64_t from = c.number("from");
    FollowerPosition p;
    p.follower = BrokerId(static_cast<int32_t>(from));
    p.broker_epoch = BrokerEpoch(c.number_or("broker-epoch", from * 100));
    p.leader_epoch = LeaderEpoch(static_cast<int32_t>(c.number_or("epoch", tracker_->leader_epoch().value)));
    p.partition_epoch =
        PartitionEpoch(static_cast<int32_t>(c.number_or("partition-epoch", tracker_->partition_epoch().value)));
    p.fetch_offset = Offset(c.number("offset"));
    p.durable_offset = Offset(c.number_or("synced", p.fetch_offset.value));
    p.log_start_offset = Offset(c.number_or("log-start", 0));
    return show(tracker_->on_follower_position(p, now_));
  }

  std::string left(const Command& c) {
    const int64_t from = c.number("from");
    return show(tracker_->on_follower_left(BrokerId(static_cast<int32_t>(from)),
                                           BrokerEpoch(c.number_or("broker-epoch", from * 100)), now_));
  }

  // `heard=(2,3)`: their streams have just spoken.
  std::string tick(const Command& c) {
    std::vector<std::pair<BrokerId, Instant>> spoken;
    for (const BrokerId id : ids_of(c.numbers_or("heard", {}))) spoken.emplace_back(id, now_);
    // Ticks come often; the one before this said nothing new, but shows that the leader was running.
    IsrEffects effects;
    if (!c.has("after-pause")) effects = tracker_->on_tick({}, now_ - std::chrono::milliseconds(1));
    for (auto& effect : tracker_->on_tick(spoken, now_)) effects.push_back(effect);
    return show(effects);
  }

  RecordedPartition recorded(const Command& c) {
    RecordedPartition r;
    r.adding = static_cast<int>(c.number_or("adding", 0));
    r.partition_epoch = PartitionEpoch(static_cast<int32_t>(c.number("partition-epoch")));
    r.isr = ids_of(c.numbers("isr"));
    if (c.has("recovering")) r.recovery = Recovery::recovering;
    if (c.has("replicas")) {
      r.replicas = ids_of(c.numbers("replicas"));
    } else {
      r.replicas = tracker_->followers();
      r.replicas.push_back(BrokerId(1));
    }
    return r;
  }

  std::string broker(const Command& c) {
    const int64_t id = c.number("id");
    return show(tracker_->on_broker_facts(
        {BrokerId(static_cast<int32_t>(id)), BrokerEpoch(c.number_or("epoch", id * 100)), !c.has("fenced")}, now_));
  }

  std::string show(const IsrEffects& effects) {
    std::string text;
    const auto line = [&text](const std::string& l) { text += (text.empty() ? "" : "\n") + l; };
    for (const auto& effect : effects) {
      if (const auto* commit = std::get_if<CommitUpTo>(&effect)) {
        line(fmt::format("commit hw={}", commit->high_watermark));
      } else {
        const auto& p = std::get<ProposeIsr>(effect);
        std::string members;
        for (const IsrMember& m : p.isr) {
          members += fmt::format("{}{}", members.empty() ? "" : ",", m.id);
          if (m.epoch && *m.epoch != epoch_of(m.id.value)) members += fmt::format("@{}", *m.epoch);
        }
        line(fmt::format("propose isr=({}) expected-epoch={}", members, p.expected));
      }
    }
    if (effects.empty()) {
      line(fmt::format("hw={} isr={}{}{}", tracker_->high_watermark(), text_of(tracker_->isr()),
                       tracker_->has_proposal() ? " pending" : "",
                       tracker_->has_enough_replicas() ? "" : " below-min-isr"));
    }
    return text;
  }

  std::optional<IsrTracker> tracker_;
  CountedEnd counted_ = CountedEnd::written;
  Instant now_ = Instant{} + std::chrono::hours(1);
};

}  // namespace

TEST_CASE("ISR tracker scenarios") {
  test_support::run_scenarios("tests/scenarios/partition/isr", [] {
    auto scenario = std::make_shared<Scenario>();
    return [scenario](const Command& c) { return scenario->run(c); };
  });
}
