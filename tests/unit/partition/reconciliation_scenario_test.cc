// How replicas' logs become one again after changes of leader, as scenario files:
// tests/scenarios/partition/reconciliation. The logs are models (one epoch for each record); the decisions are the real
// ones. Commands are explained in its README.
#include <map>

#include <catch2/catch.hpp>

#include "broker/partition/follower_reconciler.h"
#include "support/scenario.h"

using namespace broker::partition;
using common::model::ErrorCode;
using common::model::LeaderEpoch;
using common::model::Offset;
using test_support::Command;
using test_support::ScenarioError;

namespace {

// Records are named by the broker that first wrote them, so that equal (offset, epoch) with other content shows.
struct ModelLog final : LogView {
  struct Record {
    LeaderEpoch epoch;
    std::string value;
    friend bool operator==(const Record&, const Record&) = default;
  };
  int64_t start = 0;
  std::vector<Record> records;
  std::vector<std::pair<LeaderEpoch, int64_t>> epochs;  // epoch, its first offset; a leader's begins without a record

  Offset log_start_offset() const override { return Offset(start); }
  Offset log_end_offset() const override { return Offset(start + static_cast<int64_t>(records.size())); }
  std::optional<LeaderEpoch> latest_epoch() const override {
    if (epochs.empty()) return std::nullopt;
    return epochs.back().first;
  }
  std::optional<EpochEnd> end_offset_for(LeaderEpoch epoch) const override {
    if (epochs.empty()) return std::nullopt;
    if (epoch < epochs.front().first) return EpochEnd{epoch, Offset(epochs.front().second)};
    for (size_t i = epochs.size(); i-- > 0;) {
      if (epochs[i].first > epoch) continue;
      const Offset end = i + 1 < epochs.size() ? Offset(epochs[i + 1].second) : log_end_offset();
      return EpochEnd{epochs[i].first, end};
    }
    return std::nullopt;
  }

  void begin_epoch(LeaderEpoch epoch) {
    if (epochs.empty() || epochs.back().first < epoch) epochs.emplace_back(epoch, log_end_offset().value);
  }
  void append(Record record) {
    begin_epoch(record.epoch);
    records.push_back(std::move(record));
  }
  void truncate_to(int64_t offset) {
    records.resize(static_cast<size_t>(std::min<int64_t>(offset - start, static_cast<int64_t>(records.size()))));
    while (!epochs.empty() && epochs.back().second >= offset) epochs.pop_back();
  }
  void restart_at(int64_t offset) {
    start = offset;
    records.clear();
    epochs.clear();
  }
};

class Scenario {
 public:
  std::string run(const Command& c) {
    if (c.name() == "log") return log(c);
    if (c.name() == "lead") return lead(c);
    if (c.name() == "write") return write(c);
    if (c.name() == "follow") return follow(c);
    if (c.name() == "show") return show(c);
    if (c.name() == "delete-before") return delete_before(c);
    throw ScenarioError{"unknown command " + c.name()};
  }

 private:
  struct Replica {
    ModelLog log;
    int64_t high_watermark = 0;
  };

  Replica& replica(int64_t id) { return replicas_[id]; }

  std::string log(const Command& c) {
    Replica& r = replica(c.number("of"));
    r.log = {};
    r.log.restart_at(c.number_or("start", 0));
    // records=(0*3,2*1): three of epoch 0, one of epoch 2
    for (const std::string& run : c.list("records")) {
      const size_t star = run.find('*');
      const LeaderEpoch epoch(std::stoi(run.substr(0, star)));
      for (int i = std::stoi(run.substr(star + 1)); i > 0; --i) {
        r.log.append({epoch, fmt::format("e{}", epoch)});
      }
    }
    r.high_watermark = c.number_or("hw", 0);
    return describe(r);
  }

  std::string lead(const Command& c) {
    leader_ = c.number("by");
    epoch_ = LeaderEpoch(static_cast<int32_t>(c.number("epoch")));
    replica(leader_).log.begin_epoch(epoch_);
    return describe(replica(leader_));
  }

  std::string write(const Command& c) {
    for (int64_t i = c.number("count"); i > 0; --i) {
      replica(leader_).log.append({epoch_, fmt::format("e{}", epoch_)});
    }
    return describe(replica(leader_));
  }

  std::string delete_before(const Command& c) {
    ModelLog& log = replica(leader_).log;
    const int64_t offset = c.number("offset");
    log.records.erase(log.records.begin(), log.records.begin() + (offset - log.start));
    log.start = offset;
    while (log.epochs.size() > 1 && log.epochs[1].second <= offset) log.epochs.erase(log.epochs.begin());
    if (!log.epochs.empty()) log.epochs.front().second = std::max(log.epochs.front().second, offset);
    return describe(replica(leader_));
  }

  // Asks and obeys until there is nothing more to do.
  std::string follow(const Command& c) {
    Replica& r = replica(c.number("by"));
    FollowerReconciler reconciler(epoch_, Offset(r.high_watermark));
    std::string text;
    for (int round = 0; round < 20; ++round) {
      const FetchAsk ask = reconciler.ask(r.log);
      const LeaderAnswer answer = answer_to(ask);
      text += fmt::format("asks offset={} last-epoch={}: {}\n", ask.fetch_offset,
                          ask.last_epoch ? fmt::format("{}", *ask.last_epoch) : "none", describe(answer));
      const FollowerAction action = reconciler.on_answer(answer, r.log);
      if (const auto* cut = std::get_if<TruncateTo>(&action)) {
        r.log.truncate_to(cut->offset.value);
        reconciler.on_log_replaced(r.log);
        text += fmt::format("  truncates to {}\n", cut->offset);
      } else if (const auto* restart = std::get_if<RestartAt>(&action)) {
        r.log.restart_at(restart->offset.value);
        reconciler.on_log_replaced(r.log);
        text += fmt::format("  starts over at {}\n", restart->offset);
      } else if (std::holds_alternative<Append>(action)) {
        const ModelLog& leader = replica(leader_).log;
        const Offset before = r.log.log_end_offset();
        for (int64_t o = before.value; o < leader.log_end_offset().value; ++o) {
          r.log.append(leader.records[static_cast<size_t>(o - leader.start)]);
        }
        reconciler.advance_to(answer.high_watermark, r.log);
        r.high_watermark = reconciler.high_watermark().value;
        return text + check(r, before);
      } else if (const auto* ignore = std::get_if<Ignore>(&action)) {
        return text + fmt::format("  ignores: {}", ignore->why);
      } else {
        return text + "  waits";
      }
      r.high_watermark = reconciler.high_watermark().value;
    }
    return text + "  NEVER ENDS";
  }

  LeaderAnswer answer_to(const FetchAsk& ask) {
    const ModelLog& log = replica(leader_).log;
    LeaderAnswer a{.asked = ask, .error = ErrorCode::none, .diverging = {}};
    a.high_watermark = Offset(replica(leader_).high_watermark);
    a.log_start_offset = log.log_start_offset();
    a.log_end_offset = log.log_end_offset();
    if (ask.last_epoch) a.diverging = find_divergence(log, *ask.last_epoch, ask.fetch_offset);
    if (!a.diverging && (ask.fetch_offset < log.log_start_offset() || ask.fetch_offset > log.log_end_offset())) {
      a.error = ErrorCode::offset_out_of_range;
    }
    a.has_records = a.error == ErrorCode::none && !a.diverging && ask.fetch_offset < log.log_end_offset();
    return a;
  }

  static std::string describe(const LeaderAnswer& a) {
    if (a.diverging) return fmt::format("diverges, epoch {} ends at {}", a.diverging->epoch, a.diverging->end_offset);
    if (a.error != ErrorCode::none) return fmt::format("{}", a.error);
    return a.has_records ? "records" : "nothing new";
  }

  // What every truncation is for.
  std::string check(const Replica& follower, Offset before) {
    const ModelLog& l = replica(leader_).log;
    const ModelLog& f = follower.log;
    for (int64_t o = std::max(l.start, f.start); o < f.log_end_offset().value; ++o) {
      if (l.records[static_cast<size_t>(o - l.start)] == f.records[static_cast<size_t>(o - f.start)]) continue;
      return fmt::format("  LOGS DIFFER at {}", o);
    }
    return fmt::format("  appends {}, {}", f.log_end_offset() - before, describe(follower));
  }

  std::string show(const Command& c) { return describe(replica(c.number("of"))); }

  static std::string describe(const Replica& r) {
    std::string epochs;
    for (const auto& [epoch, start] : r.log.epochs)
      epochs += fmt::format("{}{}@{}", epochs.empty() ? "" : ",", epoch, start);
    return fmt::format("start={} leo={} hw={} epochs=({})", r.log.start, r.log.log_end_offset(), r.high_watermark,
                       epochs);
  }

  std::map<int64_t, Replica> replicas_;
  int64_t leader_ = 0;
  LeaderEpoch epoch_{0};
};

}  // namespace

TEST_CASE("an answer to what would no longer be asked is ignored (R63)") {
  ModelLog log;
  log.append({LeaderEpoch(1), "a"});
  const FollowerReconciler reconciler(LeaderEpoch(2), Offset(0));
  LeaderAnswer answer;
  answer.asked = reconciler.ask(log);
  answer.has_records = true;
  REQUIRE(std::holds_alternative<Append>(reconciler.on_answer(answer, log)));
  LeaderAnswer other_epoch = answer;
  other_epoch.asked.leader_epoch = LeaderEpoch(1);
  LeaderAnswer other_offset = answer;
  other_offset.asked.fetch_offset = Offset(0);
  LeaderAnswer other_end = answer;
  other_end.asked.last_epoch = LeaderEpoch(0);
  for (const LeaderAnswer& old : {other_epoch, other_offset, other_end})
    REQUIRE(std::holds_alternative<Ignore>(reconciler.on_answer(old, log)));
}

TEST_CASE("a follower's high watermark ends where its log does (R65)") {
  ModelLog log;
  log.append({LeaderEpoch(1), "a"});
  FollowerReconciler reconciler(LeaderEpoch(1), Offset(0));
  REQUIRE(reconciler.advance_to(Offset(5), log));
  REQUIRE(reconciler.high_watermark() == Offset(1));
  REQUIRE_FALSE(reconciler.advance_to(Offset(0), log));
  REQUIRE(reconciler.high_watermark() == Offset(1));
}

TEST_CASE("reconciliation scenarios") {
  test_support::run_scenarios("tests/scenarios/partition/reconciliation", [] {
    auto scenario = std::make_shared<Scenario>();
    return [scenario](const Command& c) { return scenario->run(c); };
  });
}
