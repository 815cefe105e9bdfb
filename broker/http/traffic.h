// Bytes and records per second of this broker and of its topics: differences of the counters between two looks; and how
// many replicas it has and leads, for a page that does not draw all of them. Looks are made only while somebody wants
// to know.
//
// Lives on the HTTP shard.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "broker/http/parts.h"
#include "common/shard.h"

namespace broker::http {

class Traffic {
 public:
  explicit Traffic(const ProcessParts& process) : process_(process) {}
  void set_serving(const BrokerParts* broker) { broker_ = broker; }

  // As JSON, at most a second old: {"broker", "time", "replicas", "leads", "in", "out", "messages", "topics": {...}}.
  // Several who ask at once share a look.
  [[nodiscard]] common::Awaitable<std::shared_ptr<const std::string>> json();

 private:
  struct Counted {
    double bytes_in = 0, bytes_out = 0, messages_in = 0, replication_in = 0;
  };
  struct Look {
    std::map<std::string, Counted> topics;
    size_t replicas = 0;
    size_t leads = 0;
  };
  [[nodiscard]] common::Awaitable<Look> look() const;
  [[nodiscard]] std::string render(const Look& now, common::Instant at) const;

  const ProcessParts& process_;
  const BrokerParts* broker_ = nullptr;
  Look before_;
  common::Instant before_at_{};
  common::Instant asked_at_{};
  std::shared_ptr<const std::string> last_ = std::make_shared<const std::string>("{}");
};

}  // namespace broker::http
