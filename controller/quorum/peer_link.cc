#include "controller/quorum/peer_link.h"

#include <algorithm>

#include "common/model/address_text.h"

namespace controller::quorum {

using common::Awaitable;
using common::Duration;
using common::net::ProbeResult;

namespace {

constexpr size_t endpoints_max = 8;
constexpr int refusals_for_evidence = 3;
constexpr auto watch_interval = std::chrono::milliseconds(250);

}  // namespace

PeerLink::PeerLink(common::Shard& shard, RaftWire& wire, TransportIdentity identity, common::model::BrokerId peer,
                   LinkTimes times, Callbacks callbacks, common::Logger logger, uint32_t connections_before)
    : shard_(shard),
      wire_(wire),
      identity_(std::move(identity)),
      peer_(peer),
      times_(times),
      callbacks_(std::move(callbacks)),
      logger_(std::move(logger)),
      changed_(shard),
      connections_(connections_before),
      retry_(times.retry_min),
      unreached_since_(shard.now()) {}

void PeerLink::start() {
  shard_.spawn("raft peer link", run(shared_from_this()));
}

void PeerLink::stop(std::function<void()> done) {
  stopping_ = true;
  on_stopped_ = std::move(done);
  callbacks_ = {};
  if (stream_) stream_->close();
  changed_.pulse();
}

void PeerLink::prefer(const raft::Endpoint& endpoint) {
  if (!endpoints_.empty() && endpoints_.front() == endpoint) return;
  std::erase(endpoints_, endpoint);
  endpoints_.push_front(endpoint);
  if (endpoints_.size() > endpoints_max) endpoints_.pop_back();
  next_endpoint_ = 0;
  changed_.pulse();
}

void PeerLink::fall_back_on(const raft::Endpoint& endpoint) {
  if (std::find(endpoints_.begin(), endpoints_.end(), endpoint) != endpoints_.end()) return;
  if (endpoints_.size() < endpoints_max) endpoints_.push_back(endpoint);
}

void PeerLink::send(const raft::Message& message) {
  if (is_open_) stream_->send(message);
}

LinkStatus PeerLink::status() const {
  LinkStatus status;
  status.stands = is_open_ && !has_ended_;
  status.why = why_closed_;
  if (endpoints_.empty()) return status;
  const raft::Endpoint& endpoint = endpoints_[next_endpoint_ % endpoints_.size()];
  status.address = common::model::address_text(endpoint.host, endpoint.port);
  return status;
}

Awaitable<void> PeerLink::pause(Duration duration) {
  co_await common::until(changed_, shard_.now() + duration);
}

Awaitable<void> PeerLink::run(std::shared_ptr<PeerLink> self) {
  while (!self->stopping_) {
    if (co_await self->connect_once()) {
      co_await self->watch();
    }
  }
  if (self->on_stopped_) self->on_stopped_();
}

// R23 drops what we say in a session that the peer takes for an older one, so it would never learn what we lack (R21).
// Sessions of a directory only rise: had this process not spoken in it, or not in one so high, another process did,
// later than the state of this disk.
void PeerLink::on_open(uint64_t session, uint64_t heard) {
  is_open_ = true;
  changed_.pulse();
  if ((heard == session || heard > newest_session_) && callbacks_.on_older_image) callbacks_.on_older_image();
}

// One attempt, and the pause after it if it failed. A stream that stands is left for watch().
Awaitable<bool> PeerLink::connect_once() {
  if (endpoints_.empty()) {
    co_await pause(times_.retry_max);
    co_return false;
  }
  const raft::Endpoint endpoint = endpoints_[next_endpoint_ % endpoints_.size()];
  int refusals = 0;
  ProbeResult result = co_await wire_.probe(endpoint, shard_.now() + times_.connect);
  while (result == ProbeResult::refused && was_open_ && ++refusals < refusals_for_evidence && !stopping_) {
    co_await common::sleep_until(shard_, shard_.now() + times_.refused_again);
    result = co_await wire_.probe(endpoint, shard_.now() + times_.connect);
  }
  if (stopping_) co_return false;
  why_closed_ = to_string(result);
  if (result == ProbeResult::refused && was_open_) {
    was_open_ = false;
    if (callbacks_.on_gone) callbacks_.on_gone();
  }
  if (result == ProbeResult::connected) {
    is_open_ = has_ended_ = false;
    const uint64_t session = identity_.starts << 32 | ++connections_;
    RaftWireStream::Callbacks callbacks;
    newest_session_ = session;
    callbacks.on_open = [weak = weak_from_this(), session](const raft::NodeKey&, uint64_t heard) {
      if (const auto self = weak.lock()) self->on_open(session, heard);
    };
    callbacks.on_end = [weak = weak_from_this(), logger = logger_](const std::string& why) {
      const auto self = weak.lock();
      if (!self) return;
      logger.debug("stream ended: {}", why);
      self->why_closed_ = why;
      self->has_ended_ = true;
      self->changed_.pulse();
    };
    const RaftHello hello{identity_.cluster_id, identity_.self, peer_, {}, session, identity_.endpoint};
    stream_ = wire_.connect(endpoint, hello, std::move(callbacks));
    const auto deadline = shard_.now() + times_.greeting;
    while (!is_open_ && !has_ended_ && !stopping_ && shard_.now() < deadline)
      co_await common::until(changed_, deadline);
    if (is_open_ && !has_ended_ && !stopping_) co_return true;
    if (!has_ended_) why_closed_ = "no answer";
    const std::string why = why_closed_;
    stream_->close();
    while (!has_ended_) co_await pause(times_.retry_max);
    why_closed_ = why;
    is_open_ = false;
  }
  ++next_endpoint_;
  if (!std::exchange(complained_, true))
    logger_.info("no stream to {}: {}", common::model::address_text(endpoint.host, endpoint.port), why_closed_);
  co_await pause(retry_);
  retry_ = std::min(retry_ * 2, times_.retry_max);
  co_return false;
}

Awaitable<void> PeerLink::watch() {
  logger_.info("stream stands");
  was_open_ = true;
  unreached_since_.reset();
  complained_ = false;
  retry_ = times_.retry_min;
  next_endpoint_ = 0;
  if (callbacks_.on_connected) callbacks_.on_connected();
  while (!has_ended_ && !stopping_) {
    co_await pause(watch_interval);
    if (!has_ended_ && stream_->silence() > times_.silence) {
      logger_.warn("nothing sent has arrived for {} ms: start over", times_.silence / std::chrono::milliseconds(1));
      was_open_ = false;  // silence is no evidence
      stream_->close();
    }
  }
  is_open_ = false;
  unreached_since_ = shard_.now();
  if (stopping_) stream_->close();
  while (!has_ended_) co_await pause(watch_interval);
}

}  // namespace controller::quorum
