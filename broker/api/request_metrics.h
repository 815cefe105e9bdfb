// What a shard's requests cost, by API: counted by dispatch in plain numbers, read by whoever posts there.
//
// Lives on one shard.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "broker/server/connection.h"
#include "common/histogram.h"

namespace broker::api {

struct ApiMetrics {
  static constexpr size_t versions_max = 24;
  common::Histogram time;  // from the decoded header to the encoded response
  uint64_t bytes = 0;      // of the frames
  uint64_t closed = 0;     // ended the connection instead of answering
  std::array<uint64_t, versions_max> by_version{};

  void merge(const ApiMetrics& o) {
    time.merge(o.time);
    bytes += o.bytes;
    closed += o.closed;
    for (size_t i = 0; i < versions_max; ++i) by_version[i] += o.by_version[i];
  }
};

class RequestMetrics {
 public:
  static constexpr size_t keys_max = 96;
  RequestMetrics() : by_key_(keys_max) {}

  void count(int16_t key, int16_t version, size_t bytes, server::Outcome::Kind kind, common::Duration took) {
    if (key < 0 || static_cast<size_t>(key) >= keys_max) return;
    ApiMetrics& api = by_key_[static_cast<size_t>(key)];
    api.time.observe(took);
    api.bytes += bytes;
    if (kind == server::Outcome::Kind::close) ++api.closed;
    if (version >= 0 && static_cast<size_t>(version) < ApiMetrics::versions_max)
      ++api.by_version[static_cast<size_t>(version)];
  }
  [[nodiscard]] const std::vector<ApiMetrics>& by_key() const { return by_key_; }

 private:
  std::vector<ApiMetrics> by_key_;
};

}  // namespace broker::api
