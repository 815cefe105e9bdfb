// What the page asks for: the cluster as JSON, its changes as server-sent events, groups, settings, records; and the
// page's own files. Read-only.
//
// Another broker's page may read this one's answers (the page moves on when its broker dies), so answers carry CORS
// headers for pages of the same host or of a broker of this cluster, and for nobody else. What a site under a name of
// its own asks for is refused (hosts.h).
//
// Lives on the HTTP shard.
#pragma once
#include <memory>
#include <optional>

#include "broker/http/gather.h"
#include "broker/http/hosts.h"
#include "broker/http/message.h"
#include "broker/http/message_search.h"
#include "broker/http/parts.h"
#include "broker/http/timeline.h"
#include "broker/http/traffic.h"
#include "common/model/result.h"

namespace broker::http {

class Console {
 public:
  Console(const ProcessParts& process, LagMeter& lag_meter);
  void set_serving(const BrokerParts* broker);
  [[nodiscard]] Timeline& timeline() { return timeline_; }
  // Streams and searches that are under way end soon.
  void stop();

  // None: not a path of the page.
  [[nodiscard]] common::Awaitable<std::optional<Response>> answer(std::shared_ptr<const Request> request);

 private:
  [[nodiscard]] common::Awaitable<Response> api(std::shared_ptr<const Request> request);
  [[nodiscard]] Response cluster() const;
  [[nodiscard]] common::Awaitable<Response> topic(const std::string& name);
  [[nodiscard]] common::Awaitable<Response> groups();
  [[nodiscard]] common::Awaitable<Response> quorum();
  [[nodiscard]] Response configs() const;
  [[nodiscard]] Response events(const Request& request);
  [[nodiscard]] std::string standing() const;
  common::Awaitable<void> follow(StreamWriter& writer, int64_t after);
  // Its thread is there from the first look at records on.
  [[nodiscard]] common::model::Result<MessageReader*> reader();
  // The names of the cluster's brokers are known too: a page of one of them asks by these.
  [[nodiscard]] bool is_known_name(std::string_view host) const;
  [[nodiscard]] bool is_of_a_page_of_ours(std::string_view origin) const;

  const ProcessParts& process_;
  const AllowedHosts hosts_;
  const BrokerParts* broker_ = nullptr;
  LagMeter& lag_meter_;
  Timeline timeline_;
  Traffic traffic_;
  MessageReader reader_;  // no request is under way any more when it ends
};

}  // namespace broker::http
