// Kafka's protocol between simulated clients and brokers: encoded request frames go through broker/api's dispatch, and
// the order of a connection is kept as broker/server/connection.cc keeps it (R87), and what requests and answers hold
// of the memory is counted as there (R109), but for what a request lets go of early. Bypassed: TCP framing, connection
// limits.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "broker/api/handler.h"
#include "kafka/request_header.h"
#include "kafka/response_header.h"
#include "proto/kafka/runtime/apis.h"
#include "sim/memory.h"
#include "sim/network.h"

namespace sim {

using common::model::Buffer;

// The broker's end of a client's connection. Lives on a shard of the broker; kept alive by the pipe.
class ServedConnection : public std::enable_shared_from_this<ServedConnection> {
 public:
  // `answer` is called with each response, in order, in the broker's process.
  static std::shared_ptr<ServedConnection> accept(SimShard& shard, broker::api::BrokerContext& context,
                                                  std::shared_ptr<ShardMemory> memory, std::shared_ptr<Pipe> pipe,
                                                  std::string client_host, std::function<void(Buffer)> answer);
  void on_frame(Buffer frame);
  // Of everything that it holds; its process has ended.
  void let_go();

  ServedConnection(SimShard& shard, broker::api::BrokerContext& context, std::shared_ptr<ShardMemory> memory,
                   std::shared_ptr<Pipe> pipe, std::function<void(Buffer)> answer);

 private:
  struct Slot {
    Slot(common::Shard& shard, const broker::server::ConnectionInfo& info, std::shared_ptr<ShardMemory> memory,
         broker::server::MemoryBudget::Charge held, Buffer frame)
        : count(std::move(memory)), charge(std::move(held)), request(shard, info, std::move(frame)) {}
    InFlightCount count;
    broker::server::MemoryBudget::Charge charge;
    broker::server::InFlight request;
    std::optional<broker::server::Outcome> outcome;
  };
  static common::Awaitable<void> handle(std::shared_ptr<ServedConnection> self, std::shared_ptr<Slot> slot);
  static common::Awaitable<void> take(std::shared_ptr<ServedConnection> self);
  void answer_finished();
  void close();

  SimShard& shard_;
  broker::api::BrokerContext& context_;
  const std::shared_ptr<ShardMemory> memory_;
  uint64_t taken_bytes_ = 0;
  std::shared_ptr<Pipe> pipe_;
  std::function<void(Buffer)> answer_;
  broker::server::ConnectionInfo info_;
  std::deque<Buffer> unread_;
  std::deque<std::shared_ptr<Slot>> in_flight_;
  bool taking_ = false;
  bool closed_ = false;
};

// The client's end. Requests are answered in the order in which they were sent.
class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  struct Site {
    Network* network = nullptr;
    std::shared_ptr<Process> process;
    SimShard* shard = nullptr;
    Host host = 0;
    // Takes a connection in the broker's process there; null if it lets no clients in.
    std::function<std::shared_ptr<ServedConnection>(Host, std::shared_ptr<Pipe>, std::function<void(Buffer)>)> serve;
  };
  ClientConnection(Site site, Host to);
  void begin();

  // The response frame, or nothing: timed out or disconnected, and then the outcome is not known. Requests without an
  // answer (acks=0) end at once.
  common::Awaitable<std::optional<Buffer>> exchange(Buffer frame, Duration timeout, bool has_answer);
  void close();
  [[nodiscard]] bool is_broken() const { return broken_; }

 private:
  struct Waiting {
    explicit Waiting(common::Shard& shard) : done(shard) {}
    std::optional<Buffer> response;
    common::Event done;
  };
  void send(Buffer frame);
  void on_response(Buffer response);

  Site site_;
  const Host to_;
  std::shared_ptr<Pipe> pipe_;
  std::shared_ptr<ServedConnection> served_;  // used in the broker's process only
  std::vector<Buffer> early_;
  bool stands_ = false;
  bool broken_ = false;
  std::deque<std::shared_ptr<Waiting>> waiting_;
};

// Frames of requests, and answers out of frames.
template <class Request>
Buffer encode_request(const Request& request, int16_t version, int32_t correlation, const std::string& client) {
  kafka::Writer writer;
  kafka::RequestHeader header;
  header.request_api_key = Request::api_key;
  header.request_api_version = version;
  header.correlation_id = correlation;
  header.client_id = client;
  kafka::encode(writer, header, kafka::request_header_version(Request::api_key, version));
  kafka::encode(writer, request, version);
  auto frame = writer.finish();
  NARU_CHECK(frame, "{}", frame ? "" : frame.error().message);
  // Memory of its own, as from a socket: brokers patch batches in place.
  std::vector<std::byte> bytes;
  bytes.reserve(frame->size());
  for (const Buffer& part : frame->parts()) bytes.insert(bytes.end(), part.view().begin(), part.view().end());
  return Buffer::copy_of(common::model::BytesView(bytes));
}

template <class Response>
Response decode_response(const Buffer& frame, int16_t version, int32_t correlation) {
  kafka::Reader reader(frame);
  const auto header =
      kafka::decode<kafka::ResponseHeader>(reader, kafka::response_header_version(Response::api_key, version));
  NARU_CHECK(header && header->correlation_id == correlation, "an answer of {} to another question", Response::message_name);
  auto response = kafka::decode<Response>(reader, version);
  NARU_CHECK(response, "{}: {}", Response::message_name, response ? "" : response.error().message);
  return std::move(*response);
}

}  // namespace sim
