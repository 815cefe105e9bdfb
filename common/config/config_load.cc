#include "common/config/config_load.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/config/defaults.h"
#include "common/config/listeners.h"
#include "common/config/topic_config.h"
#include "common/config/values.h"
#include "common/model/uuid.h"

namespace common::config {
namespace {

// Properties that older Kafka files carry and that need no answer.
std::string_view gone_because(std::string_view key) {
  if (key.starts_with("zookeeper.")) return "there is no ZooKeeper";
  if (key == "inter.broker.protocol.version" || key == "log.message.format.version")
    return "brokers agree by themselves";
  if (key == "broker.id.generation.enable" || key == "reserved.broker.max.id") return "went with ZooKeeper";
  return {};
}

std::string unknown_because(std::string_view key) {
  if (const std::string_view gone = gone_because(key); !gone.empty()) return std::string(gone);
  const std::optional<std::string_view> nearest = nearest_broker_property(key);
  return nearest ? fmt::format("nearest: {}", *nearest) : std::string();
}

std::string shown(const Property* property, const std::string& value) {
  return property != nullptr && property->type == ValueType::password ? "(hidden)" : value;
}

// One load: the merged text, the result so far, and what is to be said.
class Loader {
 public:
  tl::expected<LoadedConfig, ConfigProblems> run(const ConfigSources& sources);

 private:
  void merge(const ConfigSources& sources);
  void take(std::string key, std::string value);
  void check_each();
  void fill_members();
  void read_roles();
  void read_quorum();
  void read_listeners();
  void read_advertised();
  void read_rest();
  void check_between();
  void warn_of_danger();

  [[nodiscard]] bool is_given(std::string_view key) const { return config_.given.contains(key); }
  [[nodiscard]] std::string text(std::string_view key) const;
  void problem(std::string_view key, std::string_view what) {
    problems_.push_back(fmt::format("{}={}: {}", key, text(key), what));
  }
  [[nodiscard]] bool is_controller_listener(const std::string& name) const {
    return std::find(controller_names_.begin(), controller_names_.end(), name) != controller_names_.end();
  }
  // Absent protocol map entry: a problem, unless the listener is the controllers' and no map was given (as in Kafka).
  void set_protocols(std::vector<Listener>& listeners);

  BrokerConfig config_;
  std::vector<std::string> controller_names_;
  std::vector<std::string> of_the_jvm_;  // variables that are set
  std::vector<std::string> warnings_;
  size_t warnings_about_names_ = 0;
  ConfigProblems problems_;
};

std::string Loader::text(std::string_view key) const {
  const auto it = config_.given.find(key);
  if (it != config_.given.end()) return it->second;
  const Property* property = find_broker_property(key);
  return property == nullptr ? std::string() : default_value(*property, config_.configured_voters()).value_or("");
}

void Loader::take(std::string key, std::string value) {
  if (key == "broker.id") {
    // Kafka's older name. Whoever gives both must mean the same; -1 says "not set".
    if (trimmed(value) == "-1") return;
    const auto it = config_.given.find("node.id");
    if (it != config_.given.end() && trimmed(it->second) != trimmed(value)) {
      problems_.push_back(fmt::format("broker.id={}: must equal node.id={}, or be left out", value, it->second));
      return;
    }
    key = "node.id";
  }
  config_.given.insert_or_assign(std::move(key), std::string(trimmed(value)));
}

void Loader::merge(const ConfigSources& sources) {
  // node.id first, so that broker.id of the same source is compared with it.
  const auto take_all = [&](const ConfigMap& map) {
    if (const auto id = map.find("node.id"); id != map.end()) take(id->first, id->second);
    for (const auto& [key, value] : map) take(key, value);
  };
  take_all(sources.file);
  ConfigMap environment;
  for (const auto& [variable, value] : sources.environment) {
    if (std::string key = property_of_variable(variable); !key.empty())
      environment.insert_or_assign(std::move(key), value);
    if (is_of_the_jvm(variable)) of_the_jvm_.push_back(variable);
  }
  if (environment.contains("node.id") || environment.contains("broker.id")) config_.given.erase("node.id");
  take_all(environment);
  ConfigMap sets;
  for (const std::string& entry : sources.sets) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) {
      problems_.push_back(fmt::format("--set {}: must be name=value", entry));
      continue;
    }
    sets.insert_or_assign(std::string(trimmed(std::string_view(entry).substr(0, equals))), entry.substr(equals + 1));
  }
  if (sets.contains("node.id") || sets.contains("broker.id")) config_.given.erase("node.id");
  take_all(sets);
}

void Loader::check_each() {
  std::vector<std::string> unknown;
  std::vector<std::string> without_effect;
  std::vector<std::string> lowered;
  for (auto& [key, value] : config_.given) {
    const Property* property = find_broker_property(key);
    if (property == nullptr) {
      const std::string why = unknown_because(key);
      unknown.push_back(why.empty() ? key : fmt::format("{} ({})", key, why));
      continue;
    }
    if (std::optional<std::string> limit = lowered_to_limit(*property, value)) {
      lowered.push_back(fmt::format("{}={} is more than a batch may be: it counts as {}", key, value, *limit));
      value = std::move(*limit);
    }
    if (const model::Result<void> fits = check_value(*property, value); !fits) {
      problems_.push_back(fits.error().message);
    } else if (property->effect == Effect::accepted && property->default_text != std::string_view(value)) {
      without_effect.push_back(fmt::format("{} ({})", key, property->note));
    }
  }
  if (!unknown.empty()) {
    warnings_.push_back(fmt::format("{} unknown {} ignored: {}", unknown.size(),
                                    unknown.size() == 1 ? "property" : "properties", fmt::join(unknown, ", ")));
  }
  if (!without_effect.empty()) {
    warnings_.push_back(fmt::format("{} {} without effect here: {}", without_effect.size(),
                                    without_effect.size() == 1 ? "property" : "properties",
                                    fmt::join(without_effect, ", ")));
  }
  warnings_about_names_ = warnings_.size();
  warnings_.insert(warnings_.end(), lowered.begin(), lowered.end());
  if (!of_the_jvm_.empty())
    warnings_.push_back(fmt::format("not needed here, where there is no JVM: {}", fmt::join(of_the_jvm_, ", ")));
}

void Loader::fill_members() {
  const int voters = config_.configured_voters();
  for (const Property& property : broker_properties()) {
    const auto it = config_.given.find(property.key);
    if (it != config_.given.end()) {
      set_member(config_, property, it->second);
    } else if (const std::optional<std::string> value = default_value(property, voters)) {
      set_member(config_, property, *value);
    }
  }
  config_.topic_defaults =
      resolve_topic({.broker = &config_, .dynamic_default = {}, .dynamic_broker = {}, .topic = {}});
}

void Loader::read_roles() {
  const std::vector<std::string> roles = split_list(text("process.roles"));
  const auto has = [&](std::string_view role) { return std::find(roles.begin(), roles.end(), role) != roles.end(); };
  if (!has("broker") || !has("controller")) {
    problem("process.roles",
            "every Naru broker embeds a controller, so a process cannot be one alone; must be broker,controller or "
            "left out");
  }
}

void Loader::read_quorum() {
  if (Parsed<std::vector<Voter>> voters = parse_voters(text("controller.quorum.voters"))) {
    config_.voters = std::move(*voters);
  } else {
    problem("controller.quorum.voters", voters.error());
  }
  for (const std::string& entry : split_list(text("controller.quorum.bootstrap.servers"))) {
    Parsed<HostPort> server = parse_host_port(entry);
    if (!server || server->host.empty() || server->port == 0) {
      problem("controller.quorum.bootstrap.servers", fmt::format("'{}' must be host:port", entry));
      return;
    }
    config_.bootstrap_servers.push_back(std::move(*server));
  }
  if (config_.voters.size() > 5)
    problem("controller.quorum.voters", "must name at most 5 voters; further brokers observe");
  const Property& node_id = *find_broker_property("node.id");
  if (config_.configured_voters() > 1 && !is_given("node.id")) {
    problems_.push_back("node.id: must be set where more than one broker is configured, a different number in each");
  } else if (const model::Result<void> fits = check_value(node_id, text("node.id")); fits) {
    config_.node_id = model::BrokerId(static_cast<int32_t>(parse_integer(text("node.id")).value_or(1)));
  }
}

void Loader::set_protocols(std::vector<Listener>& listeners) {
  const Parsed<std::map<std::string, SecurityProtocol>> map =
      parse_protocol_map(text("listener.security.protocol.map"));
  if (!map) {
    problem("listener.security.protocol.map", map.error());
    return;
  }
  for (Listener& listener : listeners) {
    const auto it = map->find(listener.name);
    if (it != map->end()) {
      listener.protocol = it->second;
    } else if (!(is_controller_listener(listener.name) && !is_given("listener.security.protocol.map"))) {
      problem("listener.security.protocol.map", fmt::format("must name the protocol of listener {}", listener.name));
      continue;
    }
    if (listener.protocol != SecurityProtocol::plaintext) {
      problem("listeners",
              fmt::format("listener {} asks for {}; only PLAINTEXT is offered yet, and this broker does not "
                          "pretend to be safer than it is",
                          listener.name, to_string(listener.protocol)));
    }
  }
}

void Loader::read_listeners() {
  for (const std::string& name : split_list(text("controller.listener.names"))) {
    std::string upper = name;
    for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    controller_names_.push_back(std::move(upper));
  }
  // Kafka's images derive what to bind from what is advertised.
  const bool derived = !is_given("listeners") && is_given("advertised.listeners");
  const std::string_view key = derived ? "advertised.listeners" : "listeners";
  Parsed<std::vector<Listener>> all = parse_listeners(text(key));
  if (!all) {
    problem(key, all.error());
    return;
  }
  set_protocols(*all);
  for (Listener& listener : *all) {
    if (derived) listener.host.clear();
    (is_controller_listener(listener.name) ? config_.peer_listeners : config_.listeners).push_back(std::move(listener));
  }
  if (config_.listeners.empty()) {
    problem("listeners", "must name at least one listener for clients");
    return;
  }
  if (controller_names_.empty()) {
    // Without a listener of their own, other brokers come to the client port + 10000.
    Listener peer = config_.listeners.front();
    peer.name = "CONTROLLER";
    if (peer.port > 55535) {
      problem("listeners",
              fmt::format("port {} + 10000 is where other brokers would connect, and there is no such port; must "
                          "be at most 55535, or controller.listener.names must name a listener",
                          peer.port));
      return;
    }
    if (peer.port != 0) peer.port = static_cast<uint16_t>(peer.port + 10000);
    config_.peer_listeners.push_back(std::move(peer));
  } else if (config_.peer_listeners.empty()) {
    problem("controller.listener.names", "must name one of listeners");
  }
  if (is_given("inter.broker.listener.name")) {
    const std::string& name = config_.inter_broker_listener_name;
    const bool found = std::any_of(config_.listeners.begin(), config_.listeners.end(),
                                   [&](const Listener& l) { return l.name == name; });
    if (!found) problem("inter.broker.listener.name", "must name one of listeners that is not for controllers");
  } else {
    config_.inter_broker_listener_name = config_.listeners.front().name;
  }
}

void Loader::read_advertised() {
  if (!is_given("advertised.listeners")) return;
  Parsed<std::vector<Listener>> all = parse_listeners(text("advertised.listeners"));
  if (!all) {
    problem("advertised.listeners", all.error());
    return;
  }
  for (Listener& listener : *all) {
    if (listener.host.empty() || listener.host == "0.0.0.0" || listener.host == "::") {
      problem("advertised.listeners",
              fmt::format("'{}' must be an address that clients can reach, or be left out: then each "
                          "client is told the address through which it came",
                          to_string(listener)));
      return;
    }
    std::vector<Listener>& bound = is_controller_listener(listener.name) ? config_.peer_listeners : config_.listeners;
    const auto it =
        std::find_if(bound.begin(), bound.end(), [&](const Listener& l) { return l.name == listener.name; });
    if (it == bound.end()) {
      problem("advertised.listeners",
              fmt::format("must name only listeners that exist; {} is not in listeners", listener.name));
      return;
    }
    listener.protocol = it->protocol;
    (is_controller_listener(listener.name) ? config_.advertised_peer_listeners : config_.advertised_listeners)
        .push_back(std::move(listener));
  }
}

void Loader::read_rest() {
  config_.log_dirs = split_list(is_given("log.dirs") ? text("log.dirs") : text("log.dir"));
  if (config_.log_dirs.empty()) {
    problem("log.dirs", "must name at least one directory");
    return;
  }
  if (!is_given("log.dirs") && !is_given("log.dir")) {
    warnings_.push_back(
        fmt::format("log.dirs is not set: data goes to {}, which a reboot may empty", config_.log_dirs.front()));
  }
  if (config_.metadata_log_dir.empty()) config_.metadata_log_dir = config_.log_dirs.front();
  config_.request_memory_bytes = parse_integer(text("queued.max.request.bytes")).value_or(config_.request_memory_bytes);
  config_.offsets_retention = bounded_ms(parse_integer(text("offsets.retention.minutes")).value_or(10080) * 60'000);
  if (is_given("authorizer.class.name") && !text("authorizer.class.name").empty()) {
    problem("authorizer.class.name", "access control is not offered yet; must be empty or left out");
  }
  if (auto overrides = parse_connection_overrides(text("max.connections.per.ip.overrides"))) {
    config_.max_connections_per_ip_overrides = std::move(*overrides);
  } else {
    problem("max.connections.per.ip.overrides", overrides.error());
  }
  for (const Listener& listener : config_.listeners) {
    const auto it = config_.given.find(listener_property(listener.name, "max.connections"));
    const std::optional<int64_t> count = it == config_.given.end() ? std::nullopt : parse_integer(it->second);
    if (count) config_.max_connections_of_listener[listener.name] = static_cast<int32_t>(*count);  // within its bounds
  }
}

// "/a//b/./c/" -> "/a/b/c"
std::string plain_path(const std::string& path) {
  std::string plain = std::filesystem::path(path).lexically_normal().string();
  while (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return plain;
}

void Loader::check_between() {
  if (config_.session_timeout < 2 * config_.heartbeat_interval) {
    problem("broker.session.timeout.ms", fmt::format("must be at least twice broker.heartbeat.interval.ms ({})",
                                                     config_.heartbeat_interval.count()));
  }
  if (config_.group_min_session_timeout > config_.group_max_session_timeout) {
    problem("group.min.session.timeout.ms", fmt::format("must not be more than group.max.session.timeout.ms ({})",
                                                        config_.group_max_session_timeout.count()));
  }
  if (config_.replica_lag_time_max < config_.replica_fetch_wait_max) {
    problem("replica.lag.time.max.ms",
            fmt::format("must be at least replica.fetch.wait.max.ms ({})", config_.replica_fetch_wait_max.count()));
  }
  if (config_.transactions_min_isr > config_.transactions_replication_factor) {
    problem("transaction.state.log.min.isr",
            fmt::format("must not be more than transaction.state.log.replication.factor ({})",
                        config_.transactions_replication_factor));
  }
  if (config_.topic_defaults.max_message_bytes > config_.request_max_bytes) {
    problem("message.max.bytes",
            fmt::format("must not be more than socket.request.max.bytes ({}): no request could carry it",
                        config_.request_max_bytes));
  }
  if (config_.connections_max_idle && config_.connections_max_idle->count() == 0) {
    problem("connections.max.idle.ms", "must be more than 0, or -1 for no limit: no connection would live");
  }
  std::set<std::string> unique;
  for (const std::string& path : config_.log_dirs) unique.insert(plain_path(path));
  if (unique.size() != config_.log_dirs.size()) problem("log.dirs", "must name each directory once");
}

void Loader::warn_of_danger() {
  const int voters = config_.configured_voters();
  if (config_.cluster_id && !model::Uuid::parse(*config_.cluster_id)) {
    warnings_.push_back(
        fmt::format("naru.cluster.id={} is no id as Kafka makes them (22 characters of base64): clients are told one "
                    "that is computed from it",
                    *config_.cluster_id));
  }
  if (config_.topic_defaults.unclean_leader_election) {
    warnings_.push_back("unclean.leader.election.enable=true: acknowledged records may be lost when brokers fail");
  }
  if (voters >= 3 && is_given("min.insync.replicas") && config_.topic_defaults.min_insync_replicas < 2) {
    warnings_.push_back("min.insync.replicas=1: an acknowledged record may exist on one disk only");
  }
  if (voters >= 3 && config_.offsets_replication_factor < 3) {
    warnings_.push_back(
        fmt::format("offsets.topic.replication.factor={}: committed offsets do not survive the loss of a broker",
                    config_.offsets_replication_factor));
  }
  if (config_.topic_defaults.min_insync_replicas > config_.default_replication_factor) {
    warnings_.push_back(
        fmt::format("min.insync.replicas={} is more than default.replication.factor={}: it counts as {} there",
                    config_.topic_defaults.min_insync_replicas, config_.default_replication_factor,
                    config_.default_replication_factor));
  }
}

tl::expected<LoadedConfig, ConfigProblems> Loader::run(const ConfigSources& sources) {
  merge(sources);
  check_each();
  if (!problems_.empty()) return tl::unexpected(std::move(problems_));
  read_quorum();
  fill_members();
  read_roles();
  read_listeners();
  if (problems_.empty()) read_advertised();
  read_rest();
  check_between();
  if (!problems_.empty()) return tl::unexpected(std::move(problems_));
  warn_of_danger();
  return LoadedConfig{
      .config = std::move(config_), .warnings = std::move(warnings_), .warnings_about_names = warnings_about_names_};
}

}  // namespace

int BrokerConfig::configured_voters() const {
  const size_t count = !voters.empty() ? voters.size() : std::max<size_t>(bootstrap_servers.size(), 1);
  return static_cast<int>(count);
}

tl::expected<LoadedConfig, ConfigProblems> load_config(const ConfigSources& sources) {
  return Loader().run(sources);
}

std::vector<std::string> given_lines(const BrokerConfig& config) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : config.given) {
    const Property* property = find_broker_property(key);
    if (property == nullptr || default_value(*property, config.configured_voters()) == value) continue;
    lines.push_back(fmt::format("{}={}", key, shown(property, value)));
  }
  return lines;
}

std::vector<std::string> checked_lines(const ConfigMap& given) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : given) {
    const Property* property = find_broker_property(key);
    const bool used = property != nullptr && property->effect == Effect::used;
    std::string line = fmt::format("{} {}={}", used ? "used    " : "ignored ", key, shown(property, value));
    if (property == nullptr) {
      const std::string why = unknown_because(key);
      line += fmt::format("   unknown{}{}", why.empty() ? "" : "; ", why);
    } else if (!used) {
      line += fmt::format("   {}", property->note);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace common::config
