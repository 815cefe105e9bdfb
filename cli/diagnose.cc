// naru why and naru doctor: the cause in one sentence, and all that can be looked at from here, one line each.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/client/connection.h"
#include "cli/facts.h"
#include "cli/group_facts.h"
#include "cli/json_or_null.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/why.h"
#include "common/model/address_text.h"
#include "kafka/api_versions.h"
#include "kafka/describe_log_dirs.h"
#include "kafka/describe_quorum.h"
#include "kafka/metadata.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view why_shape = R"({"well": true, "sentence": "text", "next_step": "text" or null}
)";
constexpr std::string_view doctor_shape =
    R"({"healthy": true, "findings": [{"subject": "text", "state": "good|note|bad", "text": "text", "next_step": "text" or null}]}
)";

Outcome<Reason> find_reason(client::Cluster& cluster, const WhyCommand& command) {
  Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::yes);
  if (!facts) return tl::unexpected(facts.error());
  fetch_eligible(cluster, facts->topics);
  if (command.what == "under-replicated") return why_under_replicated(*facts);
  if (command.what == "produce") return why_produce(*facts, command.name);
  if (command.what == "consume") return why_consume(*facts, command.name);
  const auto groups = fetch_groups(cluster, {command.name});
  if (!groups) return tl::unexpected(groups.error());
  return why_group(*facts, groups->front());
}

using State = FindingState;

std::string_view name_of(State state) {
  return state == State::good ? "good" : state == State::note ? "note" : "bad";
}

class Doctor {
 public:
  Doctor(client::Cluster& cluster, milliseconds timeout) : cluster_(cluster), timeout_(timeout) {}

  // Does what a client does, in its order. An error: not even one broker was reached.
  Outcome<std::vector<Finding>> examine(const DoctorCommand& command) {
    const auto begin = steady_clock::now();
    Outcome<ClusterFacts> facts = fetch_cluster(cluster_, command.addresses ? WithDisks::no : WithDisks::yes);
    if (!facts) return tl::unexpected(facts.error());
    say("bootstrap", State::good, fmt::format("{} answered in {} ms", cluster_.connected_to(), ms_since(begin)));
    if (!command.addresses) look_at_health(*facts);
    for (const BrokerFacts& broker : facts->brokers) look_at_address(broker);
    if (command.addresses) return std::move(findings_);
    look_at_versions();
    look_at_clocks(*facts);
    for (const BrokerFacts& broker : facts->brokers) look_at_disks(broker);
    std::ranges::move(find_limits(*facts), std::back_inserter(findings_));
    return std::move(findings_);
  }

 private:
  void say(std::string subject, State state, std::string text, std::string next_step = {}) {
    findings_.push_back({std::move(subject), state, std::move(text), std::move(next_step)});
  }
  static int64_t ms_since(steady_clock::time_point begin) {
    return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count();
  }

  void look_at_health(const ClusterFacts& facts) {
    const Health health = assess(facts, 0);
    for (const std::string& reason : health.reasons) say("cluster", State::bad, reason, "`naru status` shows where");
    if (health.healthy()) {
      say("cluster", State::good,
          fmt::format("{} brokers, {} partitions, all led and fully replicated", facts.brokers.size(),
                      facts.partitions()));
    }
  }

  // Clients go where metadata sends them, whatever they were started with.
  void look_at_address(const BrokerFacts& broker) {
    const std::string where = common::model::address_text(broker.host, broker.port);
    const std::string subject = fmt::format("address of broker {}", broker.id);
    if (broker.fenced) return say(subject, State::note, where + " not tried: the broker is down");
    const auto begin = steady_clock::now();
    Outcome<std::unique_ptr<client::Connection>> opened =
        client::Connection::open({.host = broker.host, .port = broker.port}, begin + timeout_);
    if (!opened) {
      return say(
          subject, State::bad, fmt::format("clients are sent to {}, and from here: {}", where, opened.error().message),
          fmt::format(
              "if broker {0} listens there, look for what is in between; else set its advertised.listeners to an "
              "address that clients reach",
              broker.id));
    }
    kafka::MetadataRequest request;
    request.topics = std::vector<kafka::MetadataRequest::MetadataRequestTopic>{};
    const auto answer = (*opened)->call<kafka::MetadataResponse>(request, begin + timeout_);
    if (!answer) return say(subject, State::bad, fmt::format("{} does not answer: {}", where, answer.error().message));
    say(subject, State::good, fmt::format("{} answers in {} ms", where, ms_since(begin)));
    if (const auto versions = (*opened)->call<kafka::ApiVersionsResponse>(named(), begin + timeout_)) {
      std::string spoken;
      for (const auto& api : versions->api_keys)
        spoken += fmt::format("{}:{}-{} ", api.api_key, api.min_version, api.max_version);
      speaks_[spoken].push_back(broker.id);
      for (const auto& feature : versions->finalized_features)
        features_[fmt::format("{} {}", feature.name, feature.max_version_level)].push_back(broker.id);
    }
  }

  static kafka::ApiVersionsRequest named() {
    kafka::ApiVersionsRequest request;
    request.client_software_name = "naru";
    request.client_software_version = "doctor";
    return request;
  }

  void look_at_versions() {
    if (speaks_.size() > 1) {
      std::vector<std::string> sets;
      for (const auto& [spoken, ids] : speaks_) sets.push_back(ids_text(ids));
      say("versions", State::note,
          fmt::format("brokers {} speak different versions of some APIs", fmt::join(sets, " and ")),
          "that is a rolling upgrade; finish it");
    } else if (!speaks_.empty()) {
      std::vector<std::string> levels;
      for (const auto& [level, ids] : features_) levels.push_back(level);
      say("versions", State::good,
          fmt::format("all brokers speak the same{}{}", levels.empty() ? "" : ", ", fmt::join(levels, ", ")));
    }
  }

  // Retention and time stamps follow the clock of whoever leads, so each counts.
  void look_at_clocks(const ClusterFacts& facts) {
    constexpr milliseconds most{1000};
    std::optional<milliseconds> widest;
    for (const BrokerFacts& broker : facts.brokers) {
      if (!broker.clock_ahead) continue;
      const milliseconds off(std::abs(broker.clock_ahead->count()));
      widest = std::max(widest.value_or(off), off);
      if (off <= most) continue;
      say("clock", State::bad,
          fmt::format("that of broker {} is {} {} this machine's", broker.id, duration_text(off),
                      broker.clock_ahead->count() > 0 ? "ahead of" : "behind"),
          "run an NTP client on all of them: retention and time stamps follow the clock");
    }
    if (!widest) return look_at_controllers_clock();
    if (*widest <= most)
      say("clock", State::good,
          fmt::format("the brokers' and this machine's differ by {} ms at most", widest->count()));
  }

  // Of brokers that do not tell the time, such as Kafka's: the controller says when it last heard of itself.
  void look_at_controllers_clock() {
    kafka::DescribeQuorumRequest request;
    kafka::DescribeQuorumRequest::TopicData topic;
    topic.topic_name = "__cluster_metadata";
    topic.partitions.emplace_back();
    request.topics.push_back(std::move(topic));
    const auto before = std::chrono::system_clock::now();
    const auto answer = cluster_.call<kafka::DescribeQuorumResponse>(request);
    const auto after = std::chrono::system_clock::now();
    if (!answer || answer->topics.empty() || answer->topics.front().partitions.empty()) return;
    const auto& partition = answer->topics.front().partitions.front();
    for (const auto& voter : partition.current_voters) {
      if (voter.replica_id != partition.leader_id || voter.last_caught_up_timestamp <= 0) continue;
      const auto theirs = std::chrono::system_clock::time_point(milliseconds(voter.last_caught_up_timestamp));
      const auto off = theirs < before  ? std::chrono::duration_cast<milliseconds>(before - theirs)
                       : theirs > after ? std::chrono::duration_cast<milliseconds>(theirs - after)
                                        : milliseconds(0);
      const std::string text =
          fmt::format("the controller's ({}) and this machine's differ by {} ms", voter.replica_id, off.count());
      say("clock", off > milliseconds(1000) ? State::bad : State::good, text,
          off > milliseconds(1000) ? "run an NTP client on all of them: retention and time stamps follow the clock"
                                   : "");
    }
  }

  void look_at_disks(const BrokerFacts& broker) {
    const std::string subject = fmt::format("disks of broker {}", broker.id);
    for (const std::string& directory : broker.offline_dirs)
      say(subject, State::bad, directory + " has failed", "repair it and start the broker again");
    if (!broker.disk_total || !broker.disk_free) return;
    const int64_t percent = *broker.disk_total > 0 ? *broker.disk_free * 100 / *broker.disk_total : 100;
    const std::string text =
        fmt::format("{} of {} free ({} %)", bytes_text(*broker.disk_free), bytes_text(*broker.disk_total), percent);
    if (percent < 15) {
      say(subject, percent < 5 ? State::bad : State::note, text, "shorten retention, or add a disk");
    } else {
      say(subject, State::good, text);
    }
  }

  client::Cluster& cluster_;
  const milliseconds timeout_;
  std::vector<Finding> findings_;
  std::map<std::string, std::vector<int32_t>> speaks_;
  std::map<std::string, std::vector<int32_t>> features_;
};

}  // namespace

Exit run(const WhyCommand& command) {
  if (command.shared.format == Format::help) return print_out(why_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<Reason> reason = find_reason(*cluster, command);
  if (!reason) return report(reason.error());
  if (command.shared.format == Format::json) {
    const Json json = {
        {"well", reason->well}, {"sentence", reason->sentence}, {"next_step", known_or_null(reason->next_step)}};
    print_out(json.dump(2) + "\n");
  } else {
    print_out((reason->well ? reason->sentence : red(reason->sentence)) + "\n");
    if (!reason->next_step.empty() && !command.shared.quiet) fmt::print(stderr, "{}\n", reason->next_step);
  }
  return reason->well ? Exit::done : Exit::unhealthy;
}

Exit run(const DoctorCommand& command) {
  if (command.shared.format == Format::help) return print_out(doctor_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<std::vector<Finding>> findings = Doctor(*cluster, command.shared.timeout).examine(command);
  if (!findings) return report(findings.error());
  bool healthy = true;
  Json all = Json::array();
  std::string text;
  for (const Finding& f : *findings) {
    healthy = healthy && f.state != State::bad;
    all.push_back({{"subject", f.subject},
                   {"state", name_of(f.state)},
                   {"text", f.text},
                   {"next_step", known_or_null(f.next_step)}});
    const std::string mark = f.state == State::good ? "ok  " : f.state == State::note ? "note" : red("bad ");
    text += fmt::format("{}  {}: {}\n", mark, f.subject, f.text);
    if (!f.next_step.empty()) text += fmt::format("      {}\n", f.next_step);
  }
  const Json json = {{"healthy", healthy}, {"findings", std::move(all)}};
  print_out(command.shared.format == Format::json ? json.dump(2) + "\n" : text);
  return healthy ? Exit::done : Exit::unhealthy;
}

}  // namespace cli
