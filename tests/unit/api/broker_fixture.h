// A broker for handler tests: three registered brokers, topics as a test makes them, and a controller that answers what
// the test tells it. Requests go in as frames through dispatch() and answers come out as a client would read them.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "broker/api/handler.h"
#include "client_frames.h"
#include "common/config/config.h"
#include "controller/quorum/controller_client.h"

namespace broker::api::test {

namespace meta = controller::metadata;
namespace server = broker::server;
using common::model::BrokerEpoch;
using common::model::Error;
using common::model::LogIndex;
using common::model::PartitionIndex;
using common::model::TopicId;

class FakeController final : public controller::quorum::ControllerClient {
 public:
  std::function<meta::ControllerAnswer(const meta::ControllerRequest&)> answer;
  std::vector<meta::ControllerRequest> requests;
  std::vector<common::Instant> deadlines;  // of each
  // Runs before the answer is given: what the request changed in the image.
  std::function<void(const meta::ControllerRequest&)> effect;

  common::Awaitable<meta::ControllerAnswer> call(common::Shard& /*here*/, meta::ControllerRequest request,
                                                 common::Instant deadline,
                                                 meta::RequestOrigin /*origin*/) override {
    requests.push_back(request);
    deadlines.push_back(deadline);
    if (effect) effect(request);
    meta::ControllerAnswer given = meta::Refused{{ErrorCode::broker_not_available, "no controller in this test"}};
    if (answer) given = answer(request);
    co_return given;
  }
};

class BrokerFixture {
 public:
  BrokerFixture() : shard_(common::make_manual_shard(0, clock_, io_)) {
    config.node_id = BrokerId(1);
    info.listener = "PLAINTEXT";
    info.local = {"10.0.0.1", 9092};
    info.peer = {"10.0.0.99", 40000};
    context.shard = shard_.get();
    context.node_id = config.node_id;
    context.config = &config;
    context.controller = &controller;
    apply(meta::ClusterRecord{cluster_id});
    for (int id = 1; id <= 3; ++id) register_broker(id);
  }

  void apply(const meta::MetadataRecord& record) {
    const auto done = editor_.apply(record, LogIndex(index_));
    if (!done) FAIL(done.error().message);
    editor_.set_offset(LogIndex(index_++));
    context.image = std::make_shared<const MetadataImage>(editor_.image());
  }

  void register_broker(int id) {
    meta::RegisterBrokerRecord record;
    record.broker_id = BrokerId(id);
    record.epoch = BrokerEpoch(index_);
    record.incarnation_id = Uuid::from_halves(7, static_cast<uint64_t>(id));
    record.listeners.push_back({.name = "PLAINTEXT",
                                .host = fmt::format("10.0.0.{}", id),
                                .port = static_cast<uint16_t>(9091 + id),
                                .security_protocol = meta::SecurityProtocol::plaintext});
    record.cluster_endpoint = {.host = fmt::format("10.1.0.{}", id), .port = 19092};
    record.rack = fmt::format("rack{}", id);
    change_listeners(record);
    apply(record);
    epochs_[id] = record.epoch;
    apply(meta::UnfenceBrokerRecord{BrokerId(id), record.epoch});
  }
  void fence(int id) { apply(meta::FenceBrokerRecord{BrokerId(id), epochs_.at(id)}); }

  TopicId create_topic(const std::string& name, int partitions, std::vector<int> replicas = {1, 2, 3}) {
    const TopicId id = Uuid::from_halves(99, ++topics_);
    apply(meta::TopicRecord{id, name});
    for (int p = 0; p < partitions; ++p) {
      meta::PartitionState state;
      for (const int replica : replicas) state.replicas.emplace_back(replica);
      state.isr = state.replicas;
      state.leader = state.replicas.front();
      apply(meta::PartitionRecord{id, PartitionIndex(p), state});
    }
    return id;
  }

  // Sends the request as a frame; the answer's body, after its header was checked.
  template <class Request>
  server::Outcome send(const Request& request, int16_t version) {
    return send_frame(request_frame(request, version));
  }
  server::Outcome send_frame(Buffer frame) {
    server::InFlight in_flight(*shard_, info, std::move(frame));
    std::optional<server::Outcome> outcome;
    shard_->spawn("request", run(in_flight, outcome));
    io_.restart();
    while (!outcome && io_.run_one() > 0) {  // not until nothing is left: coordinators keep timers
    }
    REQUIRE(outcome.has_value());
    return std::move(*outcome);
  }
  template <class Response>
  Response read(const server::Outcome& outcome, int16_t version) {
    return response_in<Response>(outcome, version);
  }
  template <class Response, class Request>
  Response ask(const Request& request, int16_t version) {
    return read<Response>(send(request, version), version);
  }
  // The same behind others of its connection; `meanwhile` is what happens until those are answered.
  template <class Response, class Request>
  Response ask_behind_others(const Request& request, int16_t version, const std::function<void()>& meanwhile) {
    server::InFlight in_flight(*shard_, info, request_frame(request, version));
    in_flight.stand_in_line();
    std::optional<server::Outcome> outcome;
    shard_->spawn("request", run(in_flight, outcome));
    poll();
    const bool was_early = outcome.has_value();
    meanwhile();
    in_flight.give_turn();
    poll();
    REQUIRE(outcome.has_value());
    CHECK_FALSE(was_early);
    return read<Response>(*outcome, version);
  }
  // The controller's request of the given kind; there must be exactly one.
  template <class Request>
  Request asked_controller() {
    REQUIRE(controller.requests.size() == 1);
    const auto* request = std::get_if<Request>(&controller.requests.front());
    REQUIRE(request != nullptr);
    return *request;
  }

  common::config::BrokerConfig config;
  BrokerContext context;
  server::ConnectionInfo info;
  FakeController controller;
  common::model::Uuid cluster_id = common::model::Uuid::from_halves(1, 2);
  std::function<void(meta::RegisterBrokerRecord&)> change_listeners = [](meta::RegisterBrokerRecord&) {};

 protected:
  Awaitable<void> run(server::InFlight& in_flight, std::optional<server::Outcome>& outcome) {
    outcome = co_await dispatch(context, in_flight);
  }
  // Runs what is ready now.
  void poll() {
    io_.restart();
    io_.poll();
  }
  common::Shard& shard() { return *shard_; }

 private:
  using Uuid = common::model::Uuid;

  common::SystemClock clock_;
  boost::asio::io_context io_;
  std::unique_ptr<common::Shard> shard_;
  meta::ImageEditor editor_{MetadataImage{}};
  int64_t index_ = 0;
  uint64_t topics_ = 0;
  std::map<int, BrokerEpoch> epochs_;
};

}  // namespace broker::api::test
