// What a request handler can reach: its shard's view of the broker, and the request it answers.
//
// A BrokerContext belongs to one shard and is made once; a RequestContext lives for one request on that shard.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "broker/server/connection.h"
#include "common/logging.h"
#include "common/model/result.h"
#include "common/model/types.h"
#include "common/rate_limit.h"
#include "common/shard.h"
#include "controller/metadata/image.h"

namespace common::config {
struct BrokerConfig;
}
namespace controller::quorum {
class ControllerClient;
}
namespace broker::partition {
class Directories;
class PartitionRouter;
}
namespace broker::group {
class GroupService;
}

namespace broker::api {

using common::Awaitable;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::ErrorCode;
using common::model::Result;
using controller::metadata::MetadataImage;

class FetchSessionCache;  // KIP-227, one per shard (fetch_session.h)
class LastChange;         // last_change.h
class RequestMetrics;     // counted by dispatch, one per shard (request_metrics.h)
class ProducerIdSource;   // blocks from the controller (producer_id_source.h)

// Everything a broker offers its handlers on one shard. Pointers outlive all requests.
struct BrokerContext {
  common::Shard* shard = nullptr;
  BrokerId node_id;
  const common::config::BrokerConfig* config = nullptr;
  common::Logger log;
  // The newest metadata this shard has seen; replaced by a later image, never changed.
  std::shared_ptr<const MetadataImage> image;
  common::Event* image_changed = nullptr;  // pulsed with each newer one; may be null
  // When this broker's replication stream to a broker's process last broke.
  std::map<BrokerId, common::model::Instant> lost_peers;
  controller::quorum::ControllerClient* controller = nullptr;
  partition::PartitionRouter* partitions = nullptr;
  partition::Directories* directories = nullptr;
  group::GroupService* groups = nullptr;
  FetchSessionCache* fetch_sessions = nullptr;
  ProducerIdSource* producer_ids = nullptr;
  RequestMetrics* metrics = nullptr;        // may be null
  const LastChange* last_change = nullptr;  // any thread; may be null
  // Who leads the metadata quorum, as far as this broker knows; any thread.
  std::function<std::optional<BrokerId>()> active_controller;
  // R33: somebody else may lead what this broker's metadata says that it leads; any thread, may be absent.
  std::function<bool()> may_be_replaced;
  common::RateLimit bad_batch_line{std::chrono::seconds(10)};  // a client that sends what is no batch is named, rarely
  common::RateLimit unencodable_line{std::chrono::seconds(10)};
};

// The request header after decoding (request header v0-2).
struct RequestHead {
  int16_t api_key = 0;
  int16_t api_version = 0;
  int32_t correlation_id = 0;
  std::string client_id;  // empty if none was sent
};

class RequestContext {
 public:
  RequestContext(BrokerContext& broker, server::InFlight& in_flight, RequestHead head)
      : broker_(broker), in_flight_(in_flight), head_(std::move(head)), image_(broker.image) {}
  RequestContext(const RequestContext&) = delete;
  RequestContext& operator=(const RequestContext&) = delete;

  [[nodiscard]] BrokerContext& broker() const { return broker_; }
  [[nodiscard]] common::Shard& shard() const { return *broker_.shard; }
  [[nodiscard]] const common::config::BrokerConfig& config() const { return *broker_.config; }
  [[nodiscard]] BrokerId node_id() const { return broker_.node_id; }
  // The image at the moment the request began; refresh_image() takes the newest.
  [[nodiscard]] const MetadataImage& image() const { return *image_; }
  void refresh_image() { image_ = broker_.image; }

  [[nodiscard]] const RequestHead& head() const { return head_; }
  [[nodiscard]] int16_t version() const { return head_.api_version; }
  [[nodiscard]] const std::string& client_id() const { return head_.client_id; }
  [[nodiscard]] const std::string& client_host() const { return in_flight_.connection().peer.host; }
  [[nodiscard]] const std::string& listener() const { return in_flight_.connection().listener; }
  [[nodiscard]] const server::ConnectionInfo& connection() const { return in_flight_.connection(); }
  [[nodiscard]] const std::string& principal() const { return principal_; }
  // The whole frame; record fields of the decoded request are slices of it.
  [[nodiscard]] const Buffer& frame() const { return in_flight_.frame(); }

  // The next request of this connection may start now (R87): call it once everything that must happen in order has.
  void settle_order() { in_flight_.settle_order(); }
  // Before the cluster is described: until everything that was asked before on this connection is answered, so that
  // what the client hears then is not older than what another broker has told it meanwhile. The next request may start.
  Awaitable<void> until_turn() {
    if (in_flight_.has_turn()) co_return;
    settle_order();
    co_await in_flight_.until_turn();
    refresh_image();
  }
  // Before a wait that other clients must end: the request's bytes no longer count against the memory for requests.
  // frame() is empty afterwards; slices of it that somebody holds stay good.
  void release_frame() { in_flight_.release_frame(); }
  [[nodiscard]] bool is_memory_scarce() const { return in_flight_.is_memory_scarce(); }
  // Before records are read for the answer: how many bytes they may have, `wanted` at most (R109). May wait.
  Awaitable<uint64_t> reserve_answer(uint64_t wanted) { return in_flight_.reserve_answer(wanted); }
  // What the answer holds in memory, now that it is known.
  void answer_holds(uint64_t bytes) { in_flight_.answer_holds(bytes); }
  // A long wait for what others do: for `news`, until `deadline`, or until the connection has ended. false: no news.
  Awaitable<bool> wait_for(common::Event& news, common::Instant deadline) {
    return in_flight_.wait_for(news, deadline);
  }
  // The connection has ended: nobody takes the answer.
  [[nodiscard]] bool is_abandoned() const { return in_flight_.is_abandoned(); }
  // The client asks nothing more and may have gone: no long wait any more.
  [[nodiscard]] bool is_hurried() const { return in_flight_.is_hurried(); }
  // The protocol has no response to this request (acks=0), or nobody takes it.
  void send_nothing() { answer_ = server::Outcome::Kind::nothing; }
  // Closes the connection instead of answering; `why` is logged, rate-limited.
  void close_connection(std::string why) {
    answer_ = server::Outcome::Kind::close;
    close_reason_ = std::move(why);
  }
  // Closes the connection once the answer is written: the client is to ask another broker, and most ask the one that
  // they are connected to as long as they are.
  void end_connection(std::string why) {
    ends_connection_ = true;
    close_reason_ = std::move(why);
  }
  [[nodiscard]] bool ends_connection() const { return ends_connection_; }
  [[nodiscard]] server::Outcome::Kind answer_kind() const { return answer_; }
  [[nodiscard]] const std::string& close_reason() const { return close_reason_; }

 private:
  BrokerContext& broker_;
  server::InFlight& in_flight_;
  RequestHead head_;
  std::shared_ptr<const MetadataImage> image_;
  std::string principal_ = "User:ANONYMOUS";
  server::Outcome::Kind answer_ = server::Outcome::Kind::answer;
  bool ends_connection_ = false;
  std::string close_reason_;
};

}  // namespace broker::api
