// Whatever a broker sends to the controller (sessions, forwarded calls) and the controller to a broker is refused or
// understood as what we would send ourselves, and an active controller that is asked it answers with records that
// apply: nothing from a socket may end the process or leave records that no node can read (R18).
//
//   input = { kind:u8 length:u16 Protobuf }...
#include "controller/metadata/controller_state.h"
#include "controller/quorum/call_codec.h"
#include "controller/quorum/metadata_codec.h"
#include "controller/quorum/session_wire.h"
#include "fuzz/input.h"

namespace {

using namespace controller;
using common::model::BytesView;
using common::model::Instant;
using common::model::LogIndex;
using common::model::Uuid;

class AnyKey final : public metadata::ConfigSchema {
 public:
  common::model::Result<void> validate(const metadata::ConfigResource& /*resource*/, std::string_view key,
                                       std::string_view /*value*/) const override {
    if (key.empty()) return common::model::fail(common::model::ErrorCode::invalid_config);
    return {};
  }
  bool is_list(metadata::ResourceType /*type*/, std::string_view key) const override { return key.ends_with("s"); }
  std::optional<std::string> default_value(metadata::ResourceType /*type*/, std::string_view /*key*/) const override {
    return std::nullopt;
  }
};

class Controller {
 public:
  Controller()
      : state_(
            options(), schema_, random_,
            {.image = {}, .next_index = LogIndex(0), .cluster_id = Uuid::from_halves(1, 1), .previous_controller = {}},
            now_) {
    keep(state_.bootstrap());
  }
  void ask(const metadata::ControllerRequest& request) {
    metadata::Decision decision = state_.handle(request, now_);
    naru::cluster::ControllerReply reply;
    if (!std::holds_alternative<metadata::RegisterBroker>(request) &&
        !std::holds_alternative<metadata::BrokerHeartbeat>(request)) {
      quorum::put_answer(reply, decision.answer);
      NARU_CHECK(quorum::get_answer(reply).has_value(), "our own answer is not understood");
    }
    keep(decision);
  }
  void pass() {
    now_ += std::chrono::milliseconds(700);
    for (const metadata::Decision& decision : state_.on_tick(now_)) keep(decision);
  }

 private:
  static const metadata::ControllerOptions& options() {
    static const metadata::ControllerOptions some = [] {
      metadata::ControllerOptions o;
      o.partitions_per_request_max = 100;
      return o;
    }();
    return some;
  }
  // Every node applies what was decided, after it has been stored.
  void keep(const metadata::Decision& decision) {
    if (decision.records.empty()) return;
    const auto stored = quorum::decode_records(quorum::encode_records(decision.records).view());
    NARU_CHECK(stored.has_value(), "no node can read this batch: {}", stored.error().message);
    for (const metadata::MetadataRecord& record : *stored) {
      const auto applied = replica_.apply(record, decision.index);
      NARU_CHECK(applied.has_value(), "no node can apply this batch: {}", applied.error().message);
    }
    replica_.set_offset(decision.index);
  }

  Instant now_{std::chrono::hours(1)};
  common::model::SeededRandom random_{1};
  AnyKey schema_;
  metadata::ControllerState state_;
  metadata::ImageEditor replica_{metadata::MetadataImage{}};
};

template <class Proto>
std::optional<Proto> parse(BytesView bytes) {
  Proto proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return proto;
}

void session(Controller& controller, BytesView bytes) {
  const auto proto = parse<naru::cluster::SessionRequest>(bytes);
  if (!proto) return;
  const auto message = quorum::from_proto(*proto);
  if (!message) return;
  NARU_CHECK(quorum::from_proto(quorum::to_proto(7, *message)).has_value(), "our own message is not understood");
  if (const auto* request = std::get_if<metadata::RegisterBroker>(&*message)) controller.ask(*request);
  if (const auto* request = std::get_if<metadata::BrokerHeartbeat>(&*message)) controller.ask(*request);
}

void call(Controller& controller, BytesView bytes) {
  const auto proto = parse<naru::cluster::ControllerCall>(bytes);
  if (!proto) return;
  const auto request = quorum::get_request(*proto);
  if (!request) return;
  naru::cluster::ControllerCall again;
  again.set_version(quorum::call_version);
  quorum::put_request(again, *request);
  NARU_CHECK(quorum::get_request(again).has_value(), "our own call is not understood");
  controller.ask(*request);
}

void answers(BytesView bytes) {
  if (const auto proto = parse<naru::cluster::SessionResponse>(bytes)) {
    const auto message = quorum::from_proto(*proto);
    NARU_CHECK(!message || quorum::from_proto(quorum::to_proto(7, *message)).has_value(),
               "our own answer is not understood");
  }
  if (const auto proto = parse<naru::cluster::ControllerReply>(bytes)) {
    const auto answer = quorum::get_answer(*proto);
    if (!answer) return;
    naru::cluster::ControllerReply again;
    again.set_version(quorum::call_version);
    quorum::put_answer(again, *answer);
    NARU_CHECK(quorum::get_answer(again).has_value(), "our own answer is not understood");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  Controller controller;
  while (!input.empty()) {
    const unsigned kind = input.u8() % 4;
    if (kind == 0) {
      controller.pass();
      continue;
    }
    const BytesView bytes = input.bytes(input.u16());
    if (kind == 1) session(controller, bytes);
    if (kind == 2) call(controller, bytes);
    if (kind == 3) answers(bytes);
  }
  return 0;
}
