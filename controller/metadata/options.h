// What the active controller is told at start, and the one question it asks about configuration keys.
// Immutable values.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/model/result.h"
#include "common/model/types.h"
#include "controller/metadata/records.h"

namespace controller::metadata {

using common::model::Duration;
using common::model::Instant;
using common::model::Result;

enum class Enabled : bool { no, yes };

// Evidence and guards (failure_detector.h).
struct DetectorOptions {
  Duration heartbeat_interval = std::chrono::milliseconds(100);
  Duration session_timeout = std::chrono::milliseconds(1500);  // silence
  Duration probe_interval = std::chrono::milliseconds(15);     // three refusals within 30 ms
  int refusals_to_fence = 3;
  Duration lost_stream_timeout = std::chrono::milliseconds(400);  // stream gone, no handshake since
  int witnesses_to_halve = 2;
  // The quorum deposed a controller because it had been silent about that long: its own broker's silence counts from
  // there.
  Duration deposed_silence = std::chrono::milliseconds(500);
  Duration fast_fence_pause = std::chrono::seconds(5);  // one fast fencing per broker, doubling
  Duration fast_fence_pause_max = std::chrono::seconds(80);
  Duration own_gap_max = std::chrono::milliseconds(200);  // longer: distrust own clocks, restart all sessions
};

struct ControllerOptions {
  BrokerId node_id;
  int32_t partitions_default = 1;
  int16_t replication_factor_default = 1;
  int32_t min_isr_default = 1;
  Enabled unclean_election_default = Enabled::no;
  Enabled auto_leader_rebalance = Enabled::yes;
  // A broker gets its leaderships back once it has been in service that long...
  Duration rebalance_settle = std::chrono::seconds(1);
  // ...and partitions are looked over at most that often.
  Duration rebalance_interval = std::chrono::seconds(1);
  // How many replicas topics of our own are to have, once there are as many brokers.
  std::map<std::string, int16_t, std::less<>> internal_replication;
  size_t rebalance_moves_max = 2000;               // in one batch
  Duration stall_limit = std::chrono::seconds(3);  // R32: progress stamps older than this fence
  int32_t producer_id_block = 1000;
  size_t partitions_per_request_max = 10'000;  // Kafka's bound on one CreateTopics or CreatePartitions
  size_t request_bytes_max = 4 << 20;          // of the records that a client's request becomes, about
  DetectorOptions detector;
};

// Knows the configuration keys; implemented over the configuration table, which the controller does not see.
// Immutable, thread-safe.
class ConfigSchema {
 public:
  virtual ~ConfigSchema() = default;
  // Whether `key` may be set on such a resource to `value`; the error is what the client is told (INVALID_CONFIG, ...).
  [[nodiscard]] virtual Result<void> validate(const ConfigResource& resource, std::string_view key,
                                              std::string_view value) const = 0;
  // Whether all that would be set on such a resource, each valid by itself, may stand together.
  [[nodiscard]] virtual Result<void> validate_together(
      const ConfigResource& /*resource*/, const std::map<std::string, std::string, std::less<>>& /*values*/) const {
    return {};
  }
  // How a valid value is stored: the same for every way of writing it (" +1", "TRUE").
  [[nodiscard]] virtual std::string canonical(ResourceType /*type*/, std::string_view /*key*/,
                                              std::string_view value) const {
    return std::string(value);
  }
  // Lists take APPEND and SUBTRACT.
  [[nodiscard]] virtual bool is_list(ResourceType type, std::string_view key) const = 0;
  // What an unset list holds before APPEND and SUBTRACT.
  [[nodiscard]] virtual std::optional<std::string> default_value(ResourceType type, std::string_view key) const = 0;
};

}  // namespace controller::metadata
