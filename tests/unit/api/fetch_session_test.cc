#include "broker/api/fetch_session.h"

#include <catch2/catch.hpp>

#include "broker/api/fetch_plan.h"

using namespace broker::api;
using common::model::ErrorCode;
using common::model::Instant;

namespace {

struct Partition {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = 0;
};

FetchTarget target(const Partition& p) {
  FetchTarget t;
  FetchTopicKey key;
  key.name = p.topic;
  t.topic = std::make_shared<const FetchTopicKey>(key);
  t.partition = p.partition;
  t.fetch_offset = p.offset;
  return t;
}

FetchAsk ask(int32_t id, int32_t epoch, const std::vector<Partition>& partitions,
             const std::vector<Partition>& forgotten = {}) {
  FetchAsk a;
  a.session_id = id;
  a.session_epoch = epoch;
  for (const Partition& p : partitions) a.targets.push_back(target(p));
  for (const Partition& p : forgotten) a.forgotten.push_back({target(p).topic, p.partition});
  return a;
}

FetchFound quiet(int64_t high_watermark = 0, int64_t log_start = 0) {
  FetchFound f;
  f.high_watermark = high_watermark;
  f.log_start_offset = log_start;
  return f;
}
FetchFound records(int64_t high_watermark) {
  FetchFound f = quiet(high_watermark);
  f.has_records = true;
  return f;
}
FetchFound failed() {
  FetchFound f;
  f.must_tell = true;
  return f;
}

std::vector<std::string> names(const FetchPlan& plan) {
  std::vector<std::string> all;
  for (const FetchTarget& t : plan.targets) all.push_back(t.topic->name + "-" + std::to_string(t.partition));
  return all;
}

struct Fixture {
  common::model::SeededRandom random{1};
  FetchSessionLimits limits;
  FetchSessionCache cache{limits, random};
  Instant now{};

  explicit Fixture(FetchSessionLimits l = {}) : limits(l), cache(l, random) {}

  // A full fetch that opens a session over these; all quiet at high watermark 0.
  int32_t open(const std::vector<Partition>& partitions) {
    const FetchPlan plan = cache.begin(ask(0, 0, partitions), now);
    return cache.finish(plan, std::vector<FetchFound>(plan.targets.size(), quiet()), now).session_id;
  }
};

}  // namespace

TEST_CASE("without a session everything is read and answered, and nothing is remembered") {
  Fixture f;
  const FetchPlan plan = f.cache.begin(ask(0, -1, {{"t", 0}, {"t", 1}}), f.now);
  REQUIRE(plan.error == ErrorCode::none);
  REQUIRE(names(plan) == std::vector<std::string>{"t-0", "t-1"});
  const FetchReply reply = f.cache.finish(plan, {quiet(), quiet()}, f.now);
  REQUIRE(reply.session_id == 0);
  REQUIRE(reply.include == std::vector<bool>{true, true});
  REQUIRE(f.cache.session_count() == 0);
}

TEST_CASE("a session answers only what changed (KIP-227)") {
  Fixture f;
  const int32_t id = f.open({{"t", 0}, {"t", 1}, {"u", 0}});
  REQUIRE(id > 0);
  REQUIRE(f.cache.partition_count() == 3);

  FetchPlan plan = f.cache.begin(ask(id, 1, {}), f.now);
  REQUIRE(names(plan) == std::vector<std::string>{"t-0", "t-1", "u-0"});
  FetchReply reply = f.cache.finish(plan, {quiet(), records(5), quiet()}, f.now);
  REQUIRE(reply.session_id == id);
  REQUIRE(reply.include == std::vector<bool>{false, true, false});

  // What gave records goes to the end of the order.
  plan = f.cache.begin(ask(id, 2, {{"t", 1, 5}}), f.now);
  REQUIRE(names(plan) == std::vector<std::string>{"t-0", "u-0", "t-1"});
  REQUIRE(plan.targets[2].fetch_offset == 5);

  SECTION("a high watermark is told once") {
    REQUIRE(f.cache.finish(plan, {quiet(9), quiet(), quiet(5)}, f.now).include ==
            std::vector<bool>{true, false, false});
    plan = f.cache.begin(ask(id, 3, {}), f.now);
    REQUIRE(f.cache.finish(plan, {quiet(9), quiet(), quiet(5)}, f.now).include ==
            std::vector<bool>{false, false, false});
  }
  SECTION("so is a log start") {
    REQUIRE(f.cache.finish(plan, {quiet(0, 3), quiet(), quiet(5)}, f.now).include ==
            std::vector<bool>{true, false, false});
  }
  SECTION("an error is told each time, and its end too") {
    REQUIRE(f.cache.finish(plan, {failed(), quiet(), quiet(5)}, f.now).include ==
            std::vector<bool>{true, false, false});
    plan = f.cache.begin(ask(id, 3, {}), f.now);
    REQUIRE(f.cache.finish(plan, {failed(), quiet(), quiet(5)}, f.now).include ==
            std::vector<bool>{true, false, false});
    plan = f.cache.begin(ask(id, 4, {}), f.now);
    REQUIRE(f.cache.finish(plan, {quiet(), quiet(), quiet(5)}, f.now).include == std::vector<bool>{true, false, false});
  }
}

TEST_CASE("partitions are added, changed and forgotten") {
  Fixture f;
  const int32_t id = f.open({{"t", 0}, {"t", 1}});
  const FetchPlan plan = f.cache.begin(ask(id, 1, {{"t", 0, 7}, {"new", 3}}, {{"t", 1}, {"never", 0}}), f.now);
  REQUIRE(names(plan) == std::vector<std::string>{"t-0", "new-3"});
  REQUIRE(plan.targets[0].fetch_offset == 7);
  REQUIRE(f.cache.partition_count() == 2);
  // The added one has never been told.
  REQUIRE(f.cache.finish(plan, {quiet(), quiet()}, f.now).include == std::vector<bool>{false, true});
}

TEST_CASE("a session that has forgotten everything ends") {
  Fixture f;
  const int32_t id = f.open({{"t", 0}});
  const FetchPlan plan = f.cache.begin(ask(id, 1, {}, {{"t", 0}}), f.now);
  REQUIRE(plan.error == ErrorCode::none);
  REQUIRE(plan.targets.empty());
  REQUIRE(f.cache.finish(plan, {}, f.now).session_id == 0);
  REQUIRE(f.cache.session_count() == 0);
  REQUIRE(f.cache.partition_count() == 0);
}

TEST_CASE("wrong sessions and epochs are refused with Kafka's codes") {
  Fixture f;
  const int32_t id = f.open({{"t", 0}});
  REQUIRE(f.cache.begin(ask(id + 1, 1, {}), f.now).error == ErrorCode::fetch_session_id_not_found);
  REQUIRE(f.cache.begin(ask(id, 2, {}), f.now).error == ErrorCode::invalid_fetch_session_epoch);
  FetchAsk by_id = ask(id, 1, {});
  by_id.naming = FetchTopicNaming::by_id;
  REQUIRE(f.cache.begin(by_id, f.now).error == ErrorCode::fetch_session_topic_id_error);
  REQUIRE(f.cache.begin(ask(id, 1, {}), f.now).error == ErrorCode::none);
  REQUIRE(f.cache.begin(ask(id, 1, {}), f.now).error == ErrorCode::invalid_fetch_session_epoch);  // a repeat
}

TEST_CASE("a full fetch ends the session that it names") {
  Fixture f;
  const int32_t id = f.open({{"t", 0}});
  SECTION("and opens another") {
    const FetchPlan plan = f.cache.begin(ask(id, 0, {{"t", 0}}), f.now);
    const int32_t other = f.cache.finish(plan, {quiet()}, f.now).session_id;
    REQUIRE(other != 0);
    REQUIRE(other != id);
    REQUIRE(f.cache.session_count() == 1);
  }
  SECTION("or none") {
    (void)f.cache.begin(ask(id, -1, {}), f.now);
    REQUIRE(f.cache.session_count() == 0);
  }
}

TEST_CASE("a session that goes while its fetch waits answers that, not data") {
  Fixture f;
  const int32_t id = f.open({{"t", 0}});
  const FetchPlan waiting = f.cache.begin(ask(id, 1, {}), f.now);
  SECTION("overtaken by the next fetch") {
    (void)f.cache.begin(ask(id, 2, {}), f.now);
    REQUIRE(f.cache.finish(waiting, {records(1)}, f.now).error == ErrorCode::invalid_fetch_session_epoch);
  }
  SECTION("ended") {
    (void)f.cache.begin(ask(id, -1, {}), f.now);
    REQUIRE(f.cache.finish(waiting, {records(1)}, f.now).error == ErrorCode::fetch_session_id_not_found);
  }
}

TEST_CASE("the cache is bounded: only unused sessions make room") {
  FetchSessionLimits limits;
  limits.sessions_max = 2;
  limits.partitions_max = 5;
  Fixture f(limits);
  const int32_t first = f.open({{"t", 0}});
  f.now += std::chrono::seconds(1);
  const int32_t second = f.open({{"t", 0}, {"t", 1}});
  REQUIRE(f.open({{"t", 2}}) == 0);

  f.now = Instant{} + std::chrono::minutes(2);
  REQUIRE(f.open({{"t", 2}, {"t", 3}, {"t", 4}}) != 0);  // in place of the first
  REQUIRE(f.cache.begin(ask(first, 1, {}), f.now).error == ErrorCode::fetch_session_id_not_found);
  REQUIRE(f.cache.partition_count() == 5);

  // No room for more partitions: the session starts over.
  REQUIRE(f.cache.begin(ask(second, 1, {{"t", 9}}), f.now).error == ErrorCode::fetch_session_id_not_found);
  REQUIRE(f.cache.session_count() == 1);
  REQUIRE(f.cache.partition_count() == 3);
  REQUIRE(f.open(std::vector<Partition>(6, {"t", 0})) == 0);  // larger than the whole cache
}

TEST_CASE("a name that no topic can have is answered, and kept nowhere (R109)") {
  common::model::SeededRandom random(1);
  FetchSessionCache cache({}, random);
  const std::string longest(249, 'x');
  const std::string too_long(250, 'x');
  const Instant now{};
  const FetchPlan refused = cache.begin(ask(0, 0, {{longest}, {too_long}}), now);
  const FetchReply alone = cache.finish(refused, {quiet(), failed()}, now);
  REQUIRE(alone.session_id == 0);
  REQUIRE(alone.include == std::vector<bool>{true, true});
  REQUIRE(cache.partition_count() == 0);

  const FetchReply kept = cache.finish(cache.begin(ask(0, 0, {{longest}}), now), {quiet()}, now);
  REQUIRE(kept.session_id != 0);
  REQUIRE(cache.begin(ask(kept.session_id, 1, {{too_long}}), now).error == ErrorCode::fetch_session_id_not_found);
  REQUIRE(cache.session_count() == 0);
  REQUIRE(cache.partition_count() == 0);
}

TEST_CASE("session epochs wrap to 1") {
  Fixture f;
  const int32_t id = f.open({{"t", 0}});
  int32_t epoch = 1;
  for (int i = 0; i < 1000; ++i) {
    const FetchPlan plan = f.cache.begin(ask(id, epoch, {}), f.now);
    REQUIRE(plan.error == ErrorCode::none);
    REQUIRE(f.cache.finish(plan, {quiet()}, f.now).error == ErrorCode::none);
    epoch = plan.next_epoch;
  }
  REQUIRE(epoch == 1001);
  REQUIRE(fetch_epoch_after(INT32_MAX) == 1);
}

TEST_CASE("a partition that comes twice is cached once") {
  Fixture f;
  const int32_t id = f.open({{"t", 0}, {"t", 0}});
  REQUIRE(f.cache.partition_count() == 1);
  REQUIRE(f.cache.begin(ask(id, 1, {}), f.now).targets.size() == 1);
}

TEST_CASE("a fetch's byte limits: the first batch always fits (KIP-74)") {
  FetchBounds bounds;
  bounds.min_bytes = 10;
  bounds.max_bytes = 100;
  FetchBudget budget(bounds);
  REQUIRE(budget.at_least_one_batch());
  REQUIRE(budget.allowance(60) == 60);
  REQUIRE(budget.allowance(-5) == 0);
  budget.took(9);
  REQUIRE_FALSE(budget.at_least_one_batch());
  REQUIRE_FALSE(budget.is_enough());
  REQUIRE(budget.allowance(1000) == 91);
  budget.took(500);  // one batch larger than all limits
  REQUIRE(budget.is_enough());
  REQUIRE(budget.allowance(1000) == 0);
}

TEST_CASE("an error is answered at once; no minimum is always enough") {
  FetchBounds bounds;
  bounds.min_bytes = 1;
  FetchBudget budget(bounds);
  REQUIRE_FALSE(budget.is_enough());
  budget.must_answer();
  REQUIRE(budget.is_enough());
  bounds.min_bytes = 0;
  REQUIRE(FetchBudget(bounds).is_enough());
}
