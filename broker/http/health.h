// The three questions that orchestrators ask, kept apart on purpose:
//   /livez   restart me?       Only what a restart could mend: do this process's threads answer? Never the quorum, or a
//   lost
//                              majority would have everything restarted that still stands.
//   /readyz  send me clients?  Recovered, registered, in service; says how far recovery has come until then.
//   /healthz is all well?      The cluster as this broker sees it.
// Each answers 200 or 503, with its checks and the reasons as JSON.
//
// decide_*: pure. The rest runs on the HTTP shard.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "broker/http/message.h"
#include "broker/http/parts.h"
#include "controller/metadata/image.h"

namespace broker::http {

struct Check {
  std::string name;
  bool ok = false;
  std::string detail;
};

struct ReadinessFacts {
  StartProgress::Stage stage = StartProgress::Stage::starting;
  uint64_t logs_found = 0;
  uint64_t logs_opened = 0;
  uint64_t scanned_bytes = 0;
  bool has_controller = false;
  bool in_service = false;
};
[[nodiscard]] std::vector<Check> decide_readiness(const ReadinessFacts& facts);

// What is wrong in the cluster: no controller, partitions without leader or with too few replicas, fenced brokers.
[[nodiscard]] std::vector<Check> decide_health(const controller::metadata::MetadataImage& image,
                                               std::optional<common::model::BrokerId> controller);

[[nodiscard]] std::string_view to_string(StartProgress::Stage stage);

class Health {
 public:
  explicit Health(const ProcessParts& process) : process_(process) {}
  void set_serving(const BrokerParts* broker) { broker_ = broker; }

  [[nodiscard]] common::Awaitable<Response> livez() const;
  [[nodiscard]] common::Awaitable<Response> readyz() const;
  [[nodiscard]] common::Awaitable<Response> healthz() const;

 private:
  [[nodiscard]] ReadinessFacts readiness() const;

  const ProcessParts& process_;
  const BrokerParts* broker_ = nullptr;
};

}  // namespace broker::http
