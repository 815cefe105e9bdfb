#include "broker/http/traffic.h"

#include "broker/http/cluster_json.h"
#include "broker/partition/replica_manager.h"
#include "common/config/config.h"

namespace broker::http {

using common::Awaitable;

Awaitable<Traffic::Look> Traffic::look() const {
  Look sums;
  for (size_t i = 0; i < broker_->replicas.size(); ++i) {
    co_await common::hop(*process_.shards[i]);
    broker_->replicas[i]->for_each([&sums](const std::shared_ptr<partition::Partition>& p) {
      const partition::PartitionCounters& c = p->counters();
      ++sums.replicas;
      if (p->is_leader()) ++sums.leads;
      Counted& topic = sums.topics[p->topic()];
      topic.bytes_in += static_cast<double>(c.bytes_in);
      topic.bytes_out += static_cast<double>(c.bytes_out);
      topic.messages_in += static_cast<double>(c.messages_in);
      topic.replication_in += static_cast<double>(c.replication_bytes_in);
    });
    co_await common::hop(*process_.here);
  }
  co_return sums;
}

std::string Traffic::render(const Look& now, common::Instant at) const {
  const double seconds = std::chrono::duration<double>(at - before_at_).count();
  Counted all;
  nlohmann::json topics = nlohmann::json::object();
  for (const auto& [topic, counted] : now.topics) {
    const auto found = before_.topics.find(topic);
    if (found == before_.topics.end() || seconds <= 0) continue;
    // A partition that went to another shard or broker takes its counters along.
    const auto rate = [&](double Counted::* member) {
      return std::max(0.0, (counted.*member - found->second.*member) / seconds);
    };
    const Counted r{rate(&Counted::bytes_in), rate(&Counted::bytes_out), rate(&Counted::messages_in),
                    rate(&Counted::replication_in)};
    all.bytes_in += r.bytes_in;
    all.bytes_out += r.bytes_out;
    all.messages_in += r.messages_in;
    all.replication_in += r.replication_in;
    if (r.bytes_in + r.bytes_out + r.messages_in > 0) {
      topics[topic] = {{"in", r.bytes_in}, {"out", r.bytes_out}, {"messages", r.messages_in}};
    }
  }
  return dump({{"broker", process_.config->node_id.value},
               {"time", process_.here->clock().wall_now().value},
               {"replicas", now.replicas},
               {"leads", now.leads},
               {"in", all.bytes_in},
               {"out", all.bytes_out},
               {"messages", all.messages_in},
               {"replication", all.replication_in},
               {"topics", std::move(topics)}});
}

Awaitable<std::shared_ptr<const std::string>> Traffic::json() {
  constexpr std::chrono::milliseconds fresh{900};
  const common::Instant now = process_.here->now();
  if (broker_ == nullptr || now - asked_at_ < fresh) co_return last_;
  asked_at_ = now;
  Look counted = co_await look();
  const common::Instant at = process_.here->now();
  last_ = std::make_shared<const std::string>(render(counted, at));
  before_ = std::move(counted);
  before_at_ = at;
  co_return last_;
}

}  // namespace broker::http
