// What a shard's requests cost, by API: counted by dispatch in plain numbers, read by whoever posts there.
//
// Lives on one shard.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "broker/api/error_counts.h"
#include "broker/server/connection.h"
#include "common/histogram.h"
#include "common/model/error_code.h"

namespace broker::api {

struct ApiMetrics {
  static constexpr size_t versions_max = 24;
  common::Histogram time;  // from the decoded header to the encoded response
  uint64_t bytes = 0;      // of the frames
  uint64_t closed = 0;     // ended the connection instead of answering
  uint64_t faulty = 0;     // answers with an error in them, of the whole or of a part: none of them is in `closed`, too
  std::map<common::model::ErrorCode, uint64_t> errors;  // how often each was told; NONE is not counted
  std::array<uint64_t, versions_max> by_version{};

  void merge(const ApiMetrics& o) {
    time.merge(o.time);
    bytes += o.bytes;
    closed += o.closed;
    faulty += o.faulty;
    for (const auto& [code, times] : o.errors) errors[code] += times;
    for (size_t i = 0; i < versions_max; ++i) by_version[i] += o.by_version[i];
  }
};

// Requests that wait for something to happen, under the names of Kafka's purgatories. Plain numbers that go up before a
// handler waits and down after it: no object that a handler's end would have to reach.
struct Waiting {
  int64_t produce = 0;         // acks=all: for replicas, or for a sync
  int64_t fetch = 0;           // for records
  int64_t delete_records = 0;  // for replicas to follow
  int64_t rebalance = 0;       // JoinGroup and SyncGroup: for other members

  void add(const Waiting& o) {
    produce += o.produce;
    fetch += o.fetch;
    delete_records += o.delete_records;
    rebalance += o.rebalance;
  }
};

class RequestMetrics {
 public:
  static constexpr size_t keys_max = 96;

  void count(int16_t key, int16_t version, size_t bytes, server::Outcome::Kind kind, common::Duration took) {
    if (key < 0 || static_cast<size_t>(key) >= keys_max) return;
    ApiMetrics& api = of(key);
    api.time.observe(took);
    api.bytes += bytes;
    if (kind == server::Outcome::Kind::close) ++api.closed;
    if (version >= 0 && static_cast<size_t>(version) < ApiMetrics::versions_max)
      ++api.by_version[static_cast<size_t>(version)];
  }
  // Of one answer, or of what would have been one: who wants none (acks=0) is told of an error by a closed connection,
  // which count() counts. A sound one costs a look at its error codes.
  template <class Response>
  void count_errors(int16_t key, const Response& response, server::Outcome::Kind kind) {
    if (key < 0 || static_cast<size_t>(key) >= keys_max) return;
    ApiMetrics& api = of(key);
    bool faulty = false;
    for_each_error(response, [&](common::model::ErrorCode code) {
      if (code == common::model::ErrorCode::none) return;
      faulty = true;
      ++api.errors[code];
    });
    if (faulty && kind != server::Outcome::Kind::close) ++api.faulty;
  }
  // Up to the largest key that was asked for.
  [[nodiscard]] const std::vector<ApiMetrics>& by_key() const { return by_key_; }
  [[nodiscard]] const Waiting& waiting() const { return waiting_; }
  [[nodiscard]] Waiting& waiting() { return waiting_; }

 private:
  // More than a kilobyte each: most clients ask for keys below 25.
  [[nodiscard]] ApiMetrics& of(int16_t key) {
    const auto index = static_cast<size_t>(key);
    if (index >= by_key_.size()) by_key_.resize(index + 1);
    return by_key_[index];
  }

  std::vector<ApiMetrics> by_key_;
  Waiting waiting_;
};

// Before a wait by 1, after it by -1. `metrics` may be null.
inline void count_waiting(RequestMetrics* metrics, int64_t Waiting::* kind, int by) {
  if (metrics != nullptr) metrics->waiting().*kind += by;
}

}  // namespace broker::api
