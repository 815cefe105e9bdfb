// Requests of the group, topic and configuration APIs that hold together well enough to reach their handlers, over a
// real coordinator on a log of memory and the controller's real decisions: whatever they say, they are answered, refused
// or wait (R109; fault 47), what the controller decides can be applied (R18), nobody is left waiting when the coordinators
// end (R58), and the next client is served.
//
//   input = { frame:u8 count:u8 { position:u16 value:u8 }... }...     bit 7 of frame: cut where the last position was
#define CATCH_CONFIG_PREFIX_ALL  // the fixture is that of unit tests: what it requires is checked here
#include "common/model/check.h"
#define REQUIRE(...) NARU_CHECK((__VA_ARGS__))
#define CHECK_FALSE(...) NARU_CHECK(!(__VA_ARGS__))
#define FAIL(...) NARU_CHECK(false, "{}", __VA_ARGS__)
#include "broker/config_schema.h"
#include "broker/group/service/group_service.h"
#include "controller/metadata/controller_state.h"
#include "fuzz/admin_frames.h"
#include "fuzz/damaged_frame.h"
#include "group/memory_log.h"

namespace {

using namespace broker::api::test;
using broker::api::MetadataImage;
using common::model::Buffer;
using common::model::ErrorCode;

constexpr size_t requests_max = 12;

// Broker 1 of three, which leads "t" and the only partition of __consumer_offsets.
class AdminBroker : public BrokerFixture {
 public:
  AdminBroker() {
    topic = create_topic("t", 3);
    offsets_topic_ = create_topic("__consumer_offsets", 1);
    begin_controller();
    begin_groups();
    member = form("g");
  }
  ~AdminBroker() { end(); }

  void start(const Frame& frame) {
    auto call = std::make_unique<Call>(shard(), info, Buffer::copy_of(common::model::BytesView(frame)));
    shard().spawn("request", run(call->in_flight, call->outcome));
    calls_.push_back(std::move(call));
    poll();
    controller.requests.clear();
  }
  // Whoever still waits for the others of a group is answered.
  void end() {
    if (!groups_) return;
    groups_->stop();
    poll();
    for (const auto& call : calls_) NARU_CHECK(call->outcome.has_value(), "a request without an end");
    groups_.reset();
  }
  [[nodiscard]] bool coordinates() const {
    const auto* state = context.image->partition("__consumer_offsets", PartitionIndex(0));
    return state != nullptr && state->leader == broker::api::BrokerId(1);
  }

  TopicId topic;
  std::string member;

 private:
  struct Call {
    Call(common::Shard& shard, const server::ConnectionInfo& info, Buffer frame)
        : in_flight(shard, info, std::move(frame)) {}
    server::InFlight in_flight;
    std::optional<server::Outcome> outcome;
  };

  void begin_controller() {
    options_.replication_factor_default = 3;
    meta::ActivationStart start;
    start.image = *context.image;
    start.next_index = LogIndex(1000);
    start.cluster_id = cluster_id;
    state_ = std::make_unique<meta::ControllerState>(options_, schema_, random_, std::move(start), shard().now());
    commit(state_->bootstrap());
    controller.answer = [this](const meta::ControllerRequest& request) -> meta::ControllerAnswer {
      if (std::holds_alternative<meta::DescribeQuorum>(request)) {  // Raft's own, asked before lists are given
        meta::DescribeQuorumAnswer committed;
        committed.high_watermark = context.image->offset()->next();
        return committed;
      }
      meta::Decision decision = state_->handle(request, shard().now());
      commit(decision);
      return decision.answer;
    };
  }
  void commit(const meta::Decision& decision) {
    if (decision.records.empty()) return;
    auto next = meta::apply(*context.image, decision.records, decision.index);
    NARU_CHECK(next, "{}", next ? "" : next.error().message);
    context.image = std::make_shared<const MetadataImage>(std::move(next->image));
  }
  void begin_groups() {
    broker::group::GroupServiceOptions options;
    options.shards = {&shard()};
    options.home_of = [](const common::model::TopicIdPartition&) { return 0; };
    options.config.initial_rebalance_delay = std::chrono::milliseconds(0);
    common::model::SeededRandom random(1);
    groups_ = std::make_unique<broker::group::GroupService>(std::move(options), random);
    context.groups = groups_.get();
    disk_.topic_id_of = [this](const std::string& name) -> std::optional<common::model::Uuid> {
      const auto* found = context.image->topic_by_name(name);
      return found != nullptr ? std::optional(found->id) : std::nullopt;
    };
    shard().post([this] {
      groups_->on_leading({offsets_topic_, PartitionIndex(0)}, common::model::LeaderEpoch(0),
                          std::make_unique<group_test::MemoryLog>(disk_, shard()));
    });
    poll();
  }
  // A group of one member, stable; its member id.
  std::string form(const std::string& group) {
    const auto joined = ask<kafka::JoinGroupResponse>(join_request(group), 3);
    NARU_CHECK(joined.error_code == ErrorCode::none);
    kafka::SyncGroupRequest sync;
    sync.group_id = group;
    sync.generation_id = joined.generation_id;
    sync.member_id = joined.member_id;
    NARU_CHECK(ask<kafka::SyncGroupResponse>(sync, 3).error_code == ErrorCode::none);
    return joined.member_id;
  }

  TopicId offsets_topic_;
  broker::TableSchema schema_;
  meta::ControllerOptions options_;
  common::model::SeededRandom random_{2};
  std::unique_ptr<meta::ControllerState> state_;
  group_test::Disk disk_;
  std::unique_ptr<broker::group::GroupService> groups_;
  std::vector<std::unique_ptr<Call>> calls_;
};

void serve_somebody_else(AdminBroker& broker) {
  const std::string name = "for-somebody-else";
  kafka::CreateTopicsRequest create;
  create.topics.emplace_back();
  create.topics[0].name = name;
  create.topics[0].num_partitions = 1;
  create.topics[0].replication_factor = 3;
  const auto created = broker.ask<kafka::CreateTopicsResponse>(create, 5);
  NARU_CHECK(created.topics.at(0).error_code == ErrorCode::none);
  if (!broker.coordinates()) return;
  constexpr int64_t offset = 42;
  kafka::OffsetCommitRequest commit;
  commit.group_id = "somebody-else";
  commit.topics.emplace_back();
  commit.topics[0].name = name;
  commit.topics[0].partitions.resize(1);
  commit.topics[0].partitions[0].committed_offset = offset;
  const auto committed = broker.ask<kafka::OffsetCommitResponse>(commit, 2);
  NARU_CHECK(committed.topics.at(0).partitions.at(0).error_code == ErrorCode::none);
  kafka::OffsetFetchRequest fetch;
  fetch.group_id = "somebody-else";
  fetch.topics->emplace_back();
  fetch.topics->back().name = name;
  fetch.topics->back().partition_indexes = {0};
  const auto fetched = broker.ask<kafka::OffsetFetchResponse>(fetch, 5);
  NARU_CHECK(fetched.topics.at(0).partitions.at(0).committed_offset == offset);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  AdminBroker broker;
  // Ids are the same in every run: what they are drawn from begins anew.
  static const std::vector<Frame> good = admin_frames(broker.member, broker.topic);
  fuzz::Input input(data, size);
  for (size_t i = 0; i < requests_max && !input.empty(); ++i) {
    constexpr unsigned cut = 0x80;
    const unsigned which = input.u8();
    const auto is_cut = (which & cut) != 0 ? fuzz::Cut::where_the_last_position_was : fuzz::Cut::no;
    broker.start(fuzz::damaged_frame(good[which % cut % good.size()], is_cut, input));
  }
  serve_somebody_else(broker);
  broker.end();
  return 0;
}
