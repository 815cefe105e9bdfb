// A Kafka client program on a client host: connections to brokers, who leads what, and typed requests.
#pragma once
#include <map>
#include <string>

#include "kafka/metadata.h"
#include "sim/cluster.h"

namespace sim {

using common::Awaitable;
using common::model::ErrorCode;
using common::model::Uuid;

// The topic of records with keys, where a run has one.
constexpr std::string_view compacted_topic = "state";

struct Place {
  Uuid topic;
  int32_t partition = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

class Client {
 public:
  Client(Cluster& cluster, ClientHost& host, std::string name);

  [[nodiscard]] SimShard& shard() const { return *host_.shard; }
  [[nodiscard]] Rng& random() { return random_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Instant now() const { return shard().now(); }
  [[nodiscard]] Awaitable<void> sleep(Duration d) { return common::sleep_until(shard(), now() + d); }

  // Nothing: the broker was not reached, did not answer in time or broke the connection; then nobody knows what it did.
  template <class Response, class Request>
  Awaitable<std::optional<Response>> ask(BrokerId to, Request request, int16_t version, Duration timeout,
                                         bool has_answer = true) {
    const int32_t correlation = ++correlation_;
    Buffer frame = encode_request(request, version, correlation, name_);
    const auto connection = connection_to(to);
    const std::optional<Buffer> answer = co_await connection->exchange(std::move(frame), timeout, has_answer);
    if (!answer) co_return std::nullopt;
    co_return decode_response<Response>(*answer, version, correlation);
  }

  // Asks some broker for the metadata.
  Awaitable<bool> refresh();
  [[nodiscard]] std::optional<BrokerId> leader_of(const Place& place) const;
  [[nodiscard]] const std::map<std::string, Uuid>& topics() const { return topics_; }
  [[nodiscard]] std::optional<BrokerId> controller() const { return controller_; }
  [[nodiscard]] BrokerId any_broker();
  // Forgets the leader and waits a little, as after NOT_LEADER_OR_FOLLOWER.
  Awaitable<void> look_again();

 private:
  std::shared_ptr<ClientConnection> connection_to(BrokerId id);

  Cluster& cluster_;
  ClientHost& host_;
  const std::string name_;
  Rng random_;
  int32_t correlation_ = 0;
  std::map<BrokerId, std::shared_ptr<ClientConnection>> connections_;
  std::map<std::string, Uuid> topics_;
  std::map<Place, BrokerId> leaders_;
  std::optional<BrokerId> controller_;
};

}  // namespace sim
