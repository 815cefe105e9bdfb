// Topics that are deleted and kept for a while: what clients see of them, what brokers go on with, how they come back,
// and what ends them.
#include <algorithm>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "controller/metadata/controller_state.h"

using namespace controller::metadata;
using common::model::SeededRandom;
using common::model::TimestampMs;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

class AnyKey final : public ConfigSchema {
 public:
  Result<void> validate(const ConfigResource&, std::string_view key, std::string_view) const override {
    if (key != kept_key) return {};
    return common::model::fail(ErrorCode::invalid_config, "unknown");
  }
  bool is_list(ResourceType, std::string_view) const override { return false; }
  std::optional<std::string> default_value(ResourceType, std::string_view) const override { return std::nullopt; }
};

// A controller with three brokers and the topic "orders", whose retention.ms is 1000.
struct Bench {
  Bench() {
    options.replication_factor_default = 3;
    options.min_isr_default = 2;
    ActivationStart start;
    start.next_index = LogIndex{1};
    start.cluster_id = Uuid::from_halves(1, 1);
    state = std::make_unique<ControllerState>(options, schema, random, std::move(start), now);
    commit(state->bootstrap());
    for (int id = 1; id <= 3; ++id) bring(id);
    create("orders");
    orders = committed.topic_by_name("orders")->id;
  }

  void commit(const Decision& decision) {
    if (decision.records.empty()) return;
    largest_batch = std::max(largest_batch, decision.records.size());
    auto next = apply(committed, decision.records, decision.index);
    REQUIRE(next);
    committed = std::move(next->image);
    delta = std::move(next->delta);
  }
  template <class Answer, class Request>
  Answer ask(const Request& request) {
    const Decision decision = state->handle(request, now);
    commit(decision);
    return std::get<Answer>(decision.answer);
  }

  void bring(int id) {
    RegisterBroker r;
    r.broker_id = BrokerId{id};
    r.cluster_id = Uuid::from_halves(1, 1);
    r.incarnation_id = Uuid::from_halves(2, static_cast<uint64_t>(id));
    r.directories = {Uuid::from_halves(3, static_cast<uint64_t>(id))};
    r.listeners = {{"PLAINTEXT", "h", 1, SecurityProtocol::plaintext}};
    r.features = {{metadata_version_feature, {1, 1}}};
    epochs[id] = ask<RegisterBrokerAnswer>(r).broker_epoch;
    beat(id);
    beat(id);
    REQUIRE(committed.is_active(BrokerId{id}));
  }
  void beat(int id, ReplicaTrouble trouble = {}) {
    BrokerHeartbeat b;
    b.broker_id = BrokerId{id};
    b.broker_epoch = epochs[id];
    b.metadata_offset = committed.offset();
    b.ready = true;
    b.trouble = std::move(trouble);
    (void)ask<BrokerHeartbeatAnswer>(b);
  }
  CreateTopicsAnswer::Topic create(const std::string& name) {
    CreateTopics::Topic topic;
    topic.name = name;
    topic.partition_count = 2;
    topic.configs = {{"retention.ms", "1000"}};
    CreateTopics r;
    r.topics = {topic};
    return ask<CreateTopicsAnswer>(r).topics.at(0);
  }
  ErrorCode remove(std::optional<milliseconds> keep, bool by_id = false) {
    DeleteTopics r;
    r.topics.emplace_back();
    if (by_id) {
      r.topics[0].topic_id = orders;
    } else {
      r.topics[0].name = "orders";
    }
    r.keep = keep;
    r.asked_at = TimestampMs(1'700'000'000'000);
    return ask<DeleteTopicsAnswer>(r).topics.at(0).error.code;
  }
  ErrorCode restore(std::optional<std::string> id = std::nullopt, ValidateOnly only = ValidateOnly::no) {
    AlterConfigs r;
    r.resources.push_back({{ResourceType::topic, "orders"},
                           {{.key = std::string(kept_key), .operation = ConfigOperation::remove, .value = id}}});
    r.validate_only = only;
    return ask<AlterConfigsAnswer>(r).resources.at(0).error.code;
  }
  void pass(milliseconds time) {
    for (const Instant end = now + time; now < end; now += milliseconds(50)) {
      for (int id = 1; id <= 3; ++id) beat(id, troubles[id]);
      for (const Decision& decision : state->on_tick(now)) commit(decision);
    }
  }

  ControllerOptions options;
  AnyKey schema;
  SeededRandom random{1};
  Instant now = Instant{} + std::chrono::hours(1);
  std::unique_ptr<ControllerState> state;
  MetadataImage committed;
  ImageDelta delta;
  std::map<int, BrokerEpoch> epochs;
  std::map<int, ReplicaTrouble> troubles;
  TopicId orders;
  size_t largest_batch = 0;
};

}  // namespace

TEST_CASE("a kept topic is gone for clients, and goes on for brokers") {
  Bench b;
  CHECK(b.remove(seconds(60)) == ErrorCode::none);
  CHECK(b.committed.topic_by_name("orders") == nullptr);
  CHECK(b.committed.visible_topic(b.orders) == nullptr);
  CHECK(b.committed.topic_names().empty());
  CHECK(b.committed.partition_count() == 0);
  CHECK(b.delta.deleted_topics.empty());  // replicas and what groups committed stay (R42)
  REQUIRE(b.committed.is_kept(b.orders));
  CHECK(b.committed.topic_by_id(b.orders)->partition_count() == 2);
  CHECK(b.committed.config(ResourceType::topic, "orders").at("retention.ms") == "1000");

  // Kafka's clients cannot delete it again, nor change it.
  CHECK(b.remove(std::nullopt) == ErrorCode::unknown_topic_or_partition);
  CHECK(b.remove(std::nullopt, true) == ErrorCode::unknown_topic_id);
  CHECK(b.remove(seconds(60), true) == ErrorCode::unknown_topic_id);
  CreatePartitions grow;
  grow.topics.push_back({"orders", 5, std::nullopt});
  CHECK(b.ask<CreatePartitionsAnswer>(grow).topics.at(0).error.code == ErrorCode::unknown_topic_or_partition);
  AlterConfigs alter;
  alter.resources.push_back({{ResourceType::topic, "orders"}, {{.key = "retention.ms", .value = "5"}}});
  CHECK(b.ask<AlterConfigsAnswer>(alter).resources.at(0).error.code == ErrorCode::unknown_topic_or_partition);
  for (const ElectionType type : {ElectionType::preferred, ElectionType::unclean}) {
    ElectLeaders elect;  // of all that there are
    elect.type = type;
    CHECK(b.ask<ElectLeadersAnswer>(elect).partitions.empty());
  }

  // A broker that is fenced leaves its ISRs and leads it no more (R25, R37).
  b.beat(1);
  BrokerHeartbeat goodbye;
  goodbye.broker_id = BrokerId{1};
  goodbye.broker_epoch = b.epochs[1];
  goodbye.metadata_offset = b.committed.offset();
  goodbye.want_fence = true;
  (void)b.ask<BrokerHeartbeatAnswer>(goodbye);
  for (const auto& [index, state] : b.committed.topic_by_id(b.orders)->partitions) {
    CHECK(state->isr.size() == 2);
    CHECK(state->leader != BrokerId{1});
  }
}

TEST_CASE("a restored topic is the one that it was") {
  Bench b;
  const PartitionState before = *b.committed.partition("orders", PartitionIndex{1});
  CHECK(b.remove(seconds(60)) == ErrorCode::none);
  CHECK(b.restore(std::nullopt, ValidateOnly::yes) == ErrorCode::none);
  CHECK(b.committed.is_kept(b.orders));
  CHECK(b.restore(Uuid::from_halves(9, 9).to_string()) == ErrorCode::unknown_topic_or_partition);
  CHECK(b.restore("no id") == ErrorCode::invalid_request);
  CHECK(b.restore(b.orders.to_string()) == ErrorCode::none);
  REQUIRE(b.committed.topic_by_name("orders") != nullptr);
  CHECK(b.committed.topic_by_name("orders")->id == b.orders);
  CHECK(*b.committed.partition("orders", PartitionIndex{1}) == before);
  CHECK(b.committed.config(ResourceType::topic, "orders") == ConfigMap{{"retention.ms", "1000"}});
  CHECK(b.committed.partition_count() == 2);
  CHECK(b.restore(b.orders.to_string()) == ErrorCode::none);  // asked again after a lost answer
  CHECK(b.restore() == ErrorCode::topic_already_exists);
  b.pass(seconds(70));
  CHECK(b.committed.topic_by_name("orders") != nullptr);  // the time of its deletion counts no more
}

TEST_CASE("a kept topic is removed when its time is over, and not before") {
  Bench b;
  CHECK(b.remove(seconds(5)) == ErrorCode::none);
  b.pass(milliseconds(4800));
  CHECK(b.committed.is_kept(b.orders));
  b.pass(milliseconds(400));
  CHECK(b.committed.topic_by_id(b.orders) == nullptr);
  CHECK(b.committed.kept_topics().empty());
  CHECK(b.committed.config(ResourceType::topic, "orders").empty());
  CHECK(b.restore() == ErrorCode::unknown_topic_or_partition);

  // Restored and deleted again, it has its whole time again.
  b.orders = b.create("orders").topic_id;
  CHECK(b.remove(seconds(5)) == ErrorCode::none);
  b.pass(milliseconds(4000));
  CHECK(b.restore() == ErrorCode::none);
  b.pass(milliseconds(100));
  CHECK(b.remove(seconds(5)) == ErrorCode::none);
  b.pass(milliseconds(4000));
  CHECK(b.committed.is_kept(b.orders));
}

TEST_CASE("many whose time is over at the same time are removed in bounded batches") {
  Bench b;
  DeleteTopics r;
  for (int i = 0; i < 1100; ++i) {
    r.topics.emplace_back().name = fmt::format("t{}", i);
    CHECK(b.create(*r.topics.back().name).error.code == ErrorCode::none);
  }
  r.keep = milliseconds(100);
  CHECK(b.ask<DeleteTopicsAnswer>(r).topics.size() == 1100);
  CHECK(b.committed.kept_topics().size() == 1100);
  b.largest_batch = 0;
  b.pass(milliseconds(400));
  CHECK(b.committed.kept_topics().empty());
  CHECK(b.largest_batch == 1000);
}

TEST_CASE("one that takes over gives a kept topic its whole time again") {
  Bench b;
  CHECK(b.remove(seconds(5)) == ErrorCode::none);
  b.pass(milliseconds(4000));
  ActivationStart start;
  start.image = b.committed;
  start.next_index = b.state->next_index();
  start.cluster_id = Uuid::from_halves(1, 1);
  b.state = std::make_unique<ControllerState>(b.options, b.schema, b.random, std::move(start), b.now);
  b.pass(milliseconds(4000));
  CHECK(b.committed.is_kept(b.orders));
  b.pass(milliseconds(1500));
  CHECK_FALSE(b.committed.is_kept(b.orders));
}

TEST_CASE("another topic of its name ends a kept one, in one batch") {
  Bench b;
  CHECK(b.remove(seconds(60)) == ErrorCode::none);
  const auto made = b.create("orders");
  CHECK(made.error.code == ErrorCode::none);
  CHECK(made.topic_id != b.orders);
  CHECK(b.committed.topic_by_id(b.orders) == nullptr);
  CHECK(b.committed.kept_topics().empty());
  CHECK(b.delta.deleted_topics == std::map<TopicId, std::string>{{b.orders, "orders"}});
  CHECK(b.delta.created_topics == std::map<TopicId, std::string>{{made.topic_id, "orders"}});
  CHECK(b.restore(b.orders.to_string()) == ErrorCode::topic_already_exists);
  CHECK(b.committed.partition_count() == 2);
}

TEST_CASE("a topic that is asked for again is the one made before, and none is made of its id (R36, R42)") {
  Bench b;
  CreateTopics::Topic topic;
  topic.name = "payments";
  topic.partition_count = 1;
  topic.topic_id = Uuid::from_halves(7, 1);
  const auto ask = [&] {
    CreateTopics r;
    r.topics = {topic};
    const auto made = b.ask<CreateTopicsAnswer>(r).topics.at(0);
    REQUIRE(made.error.code == ErrorCode::none);
    return made.topic_id;
  };
  CHECK(ask() == Uuid::from_halves(7, 1));
  // The answer was lost.
  topic.former_ids = {Uuid::from_halves(7, 1)};
  topic.topic_id = Uuid::from_halves(7, 2);
  CHECK(ask() == Uuid::from_halves(7, 1));
  // And somebody has deleted it since.
  DeleteTopics gone;
  gone.topics.emplace_back().name = "payments";
  REQUIRE(b.ask<DeleteTopicsAnswer>(gone).topics.at(0).error.code == ErrorCode::none);
  CHECK(ask() == Uuid::from_halves(7, 2));
}

TEST_CASE("who wants a topic gone for good has it gone, kept or not") {
  Bench b;
  CHECK(b.remove(seconds(60)) == ErrorCode::none);
  CHECK(b.remove(milliseconds(0)) == ErrorCode::none);
  CHECK(b.committed.topic_by_id(b.orders) == nullptr);
  b.orders = b.create("orders").topic_id;
  CHECK(b.remove(seconds(60), true) == ErrorCode::none);
  CHECK(b.remove(milliseconds(0), true) == ErrorCode::none);
  CHECK(b.committed.topic_by_id(b.orders) == nullptr);
}

TEST_CASE("a broker without room for a kept topic ends it (R81)") {
  Bench b;
  CHECK(b.remove(std::chrono::hours(1)) == ErrorCode::none);
  b.pass(milliseconds(300));
  CHECK(b.committed.is_kept(b.orders));
  b.troubles[2].low_on_space = {{b.orders, PartitionIndex{0}}};
  b.pass(milliseconds(300));
  CHECK(b.committed.topic_by_id(b.orders) == nullptr);

  // One that is deleted while there is none is not kept at all: nobody is told that it could be restored.
  b.orders = b.create("orders").topic_id;
  b.troubles[2].low_on_space = {{b.orders, PartitionIndex{0}}};
  b.pass(milliseconds(300));
  CHECK(b.remove(std::chrono::hours(1)) == ErrorCode::none);
  CHECK(b.committed.topic_by_id(b.orders) == nullptr);
}

TEST_CASE("a topic of Naru's own is not kept: another one of its name is made at once") {
  Bench b;
  b.options.internal_replication = {{"orders", int16_t{3}}};
  CHECK(b.remove(std::chrono::hours(1)) == ErrorCode::none);
  CHECK(b.committed.topic_by_id(b.orders) == nullptr);
  CHECK(b.committed.kept_topics().empty());
}

TEST_CASE("a snapshot holds kept topics as they are") {
  Bench b;
  CHECK(b.remove(seconds(60)) == ErrorCode::none);
  b.create("others");
  const auto copy = image_from_records(to_records(b.committed), *b.committed.offset());
  REQUIRE(copy);
  CHECK(*copy == b.committed);
  CHECK(copy->is_kept(b.orders));
  CHECK(copy->partition_count() == 2);
}

TEST_CASE("what a controller that knows of no kept topics lets grow is counted once") {
  Bench b;
  CHECK(b.remove(seconds(60)) == ErrorCode::none);
  const PartitionState state = *b.committed.partition(b.orders, PartitionIndex{0});
  const auto grown = apply(b.committed, {PartitionRecord{b.orders, PartitionIndex{2}, state}}, b.state->next_index());
  REQUIRE(grown);
  CHECK(grown->image.partition_count() == 0);
  const ConfigRecord restored{{ResourceType::topic, "orders"}, std::string(kept_key), std::nullopt};
  const auto after = apply(grown->image, {restored}, b.state->next_index());
  REQUIRE(after);
  CHECK(after->image.partition_count() == 3);
}

TEST_CASE("what a deletion says of a kept topic is read as it was written") {
  const KeptFor kept{.deleted_at = TimestampMs(1'700'000'000'123), .time = milliseconds(3'600'000)};
  CHECK(kept_from_setting(to_setting(kept)) == kept);
  for (const char* wrong : {"", "1", "+", "1+", "+1", "x+1", "1+2+3"}) CHECK_FALSE(kept_from_setting(wrong));
}

TEST_CASE("settings that are too large together are refused before anybody looks into them (R109)") {
  Bench bench;
  const auto alter = [&](ConfigOperation operation, size_t bytes) {
    AlterConfigs r;
    r.resources.push_back({{ResourceType::topic, "orders"},
                           {{.key = "cleanup.policy", .operation = operation, .value = std::string(bytes, ',')}}});
    r.validate_only = ValidateOnly::yes;  // or the size of the record would tell
    return r;
  };
  CreateTopics create;
  create.topics.emplace_back();
  create.topics[0].name = "t";
  create.topics[0].configs = {{"cleanup.policy", std::string(5 << 20, ',')}};
  create.validate_only = ValidateOnly::yes;
  for (const auto operation : {ConfigOperation::set, ConfigOperation::append})
    CHECK(bench.ask<Refused>(alter(operation, 5 << 20)).error.code == ErrorCode::policy_violation);
  CHECK(bench.ask<Refused>(create).error.code == ErrorCode::policy_violation);
  CHECK(bench.ask<AlterConfigsAnswer>(alter(ConfigOperation::set, 1 << 20)).resources.size() == 1);
}
