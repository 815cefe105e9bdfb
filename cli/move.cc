// naru partition move|balance|moves: replicas to other brokers. The plan with its bytes and time comes first; what is
// under way is shown, waited for, or turned back.
#include <unistd.h>

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/facts.h"
#include "cli/items.h"
#include "cli/move_plan.h"
#include "cli/move_run.h"
#include "cli/move_throttle.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/wait.h"
#include "kafka/alter_partition_reassignments.h"
#include "kafka/describe_log_dirs.h"
#include "kafka/list_partition_reassignments.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;
using Place = std::pair<std::string, int32_t>;  // topic, partition

constexpr std::string_view move_shape =
    R"({"done": true, "bytes": 0, "seconds": 0,
 "moves": [{"topic": "text", "partition": 0, "from": [1], "to": [2], "bytes": 0}]}
)";
constexpr std::string_view moves_shape =
    R"([{"topic": "text", "partition": 0, "replicas": [1, 2], "adding": [2], "removing": [1],
  "bytes_done": 0, "bytes": 0}]
)";
// What brokers begin with; they go faster while no client minds, and slower when one does.
constexpr double bytes_per_second = 16 << 20;

// Bytes of each replica, by broker.
std::map<Place, std::map<int32_t, int64_t>> fetch_sizes(client::Cluster& cluster, const ClusterFacts& facts) {
  std::map<Place, std::map<int32_t, int64_t>> sizes;
  for (const BrokerFacts& broker : facts.brokers) {
    if (broker.fenced) continue;
    kafka::DescribeLogDirsRequest request;
    request.topics.reset();
    const auto answer = cluster.call_on<kafka::DescribeLogDirsResponse>(
        client::Broker{.id = broker.id, .address = {.host = broker.host, .port = broker.port}}, request);
    if (!answer) continue;
    for (const auto& directory : answer->results) {
      for (const auto& topic : directory.topics) {
        for (const auto& p : topic.partitions) sizes[{topic.name, p.partition_index}][broker.id] = p.partition_size;
      }
    }
  }
  return sizes;
}

int64_t largest(const std::map<Place, std::map<int32_t, int64_t>>& sizes, const Place& place) {
  int64_t most = 0;
  if (const auto found = sizes.find(place); found != sizes.end()) {
    for (const auto& [broker, size] : found->second) most = std::max(most, size);
  }
  return most;
}

MoveRules rules_of(const PartitionMoveCommand& command, const ClusterFacts& facts) {
  MoveRules rules;
  rules.replicas = command.replicas;
  rules.balance = command.balance;
  const auto named = [](const std::vector<int>& ids, int32_t id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  for (const BrokerFacts& b : facts.brokers) {
    // A broker that is down gets nothing new, unless it was named.
    const bool wanted = command.to.empty() ? !b.fenced : named(command.to, b.id);
    if (wanted && !named(command.off, b.id)) rules.allowed.emplace(b.id, b.rack.value_or(""));
  }
  return rules;
}

Outcome<std::vector<TopicFacts>> topics_of(const PartitionMoveCommand& command, const ClusterFacts& facts) {
  if (command.topics.empty()) return facts.topics;
  std::vector<TopicFacts> chosen;
  for (const std::string& name : command.topics) {
    const auto found =
        std::find_if(facts.topics.begin(), facts.topics.end(), [&](const TopicFacts& t) { return t.name == name; });
    if (found == facts.topics.end())
      return problem(Exit::refused, fmt::format("no such topic: {}", name), "`naru topic list` shows what there is");
    chosen.push_back(*found);
  }
  return chosen;
}

struct Plan {
  std::vector<Move> moves;
  std::vector<int64_t> bytes;
  std::optional<int64_t> throttle;  // of each leader
  [[nodiscard]] int64_t total() const {
    int64_t sum = 0;
    for (const int64_t b : bytes) sum += b;
    return sum;
  }
  [[nodiscard]] std::chrono::milliseconds time() const {
    // One leader sends it all, for all that is known here.
    const double rate = throttle ? std::min(bytes_per_second, static_cast<double>(*throttle)) : bytes_per_second;
    return std::chrono::milliseconds(static_cast<int64_t>(static_cast<double>(total()) / std::max(rate, 1.0) * 1000));
  }
};

bool holds_any(const ClusterFacts& facts, int32_t id) {
  return std::ranges::any_of(facts.topics, [&](const TopicFacts& topic) {
    return std::ranges::any_of(topic.partitions, [&](const PartitionFacts& p) {
      return std::ranges::find(p.replicas, id) != p.replicas.end();
    });
  });
}

Outcome<std::vector<Move>> plan(const PartitionMoveCommand& command, const ClusterFacts& facts) {
  for (const int id : command.to) {
    if (std::none_of(facts.brokers.begin(), facts.brokers.end(), [&](const BrokerFacts& b) { return b.id == id; }))
      return problem(Exit::usage, fmt::format("--to {}: no such broker", id), "`naru broker list` shows what there is");
  }
  for (const int id : command.off) {  // or whoever mistypes it believes that it is empty
    const bool is_known = std::ranges::find(facts.brokers, id, &BrokerFacts::id) != facts.brokers.end();
    if (!is_known && !holds_any(facts, id))
      return problem(Exit::usage, fmt::format("--off {}: no such broker", id),
                     "`naru broker list` shows what there is");
  }
  const auto topics = topics_of(command, facts);
  if (!topics) return tl::unexpected(topics.error());
  return plan_moves(*topics, rules_of(command, facts));
}

Plan with_bytes(client::Cluster& cluster, const ClusterFacts& facts, std::vector<Move> moves, const MoveRun& how) {
  const auto sizes = fetch_sizes(cluster, facts);
  Plan plan;
  plan.throttle = how.throttle;
  for (const Move& move : moves)
    plan.bytes.push_back(largest(sizes, {move.topic, move.partition}) * static_cast<int64_t>(move.added().size()));
  plan.moves = std::move(moves);
  return plan;
}

Json plan_json(const Plan& plan, bool done) {
  Json moves = Json::array();
  for (size_t i = 0; i < plan.moves.size(); ++i) {
    const Move& m = plan.moves[i];
    moves.push_back(
        {{"topic", m.topic}, {"partition", m.partition}, {"from", m.from}, {"to", m.to}, {"bytes", plan.bytes[i]}});
  }
  return {{"done", done},
          {"bytes", plan.total()},
          {"seconds", static_cast<double>(plan.time().count()) / 1000},
          {"moves", std::move(moves)}};
}

std::string plan_table(const Plan& plan) {
  Table table({{"TOPIC"}, {"PARTITION", Align::right}, {"FROM"}, {"TO"}, {"BYTES", Align::right}});
  for (size_t i = 0; i < plan.moves.size(); ++i) {
    const Move& m = plan.moves[i];
    table.add({m.topic, std::to_string(m.partition), ids_text(m.from), ids_text(m.to), bytes_text(plan.bytes[i])});
  }
  const std::string most =
      plan.throttle ? fmt::format(", at most {}/s of each leader", bytes_text(*plan.throttle)) : std::string();
  return table.text() + fmt::format("{} to copy, about {}{}; brokers go slower when clients would notice\n",
                                    bytes_text(plan.total()), duration_text(plan.time()), most);
}

using Request = kafka::AlterPartitionReassignmentsRequest;

Outcome<std::vector<ItemOutcome>> ask(
    client::Cluster& cluster, const std::vector<std::pair<Place, std::optional<std::vector<int32_t>>>>& wanted) {
  Request request;
  request.timeout_ms = static_cast<int32_t>(cluster.timeout().count());
  std::map<std::string, std::vector<Request::ReassignablePartition>> by_topic;
  for (const auto& [place, replicas] : wanted)
    by_topic[place.first].push_back({.partition_index = place.second, .replicas = replicas});
  for (auto& [name, partitions] : by_topic)
    request.topics.push_back({.name = name, .partitions = std::move(partitions)});
  const auto answer = cluster.call<kafka::AlterPartitionReassignmentsResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->error_code != ErrorCode::none)
    return tl::unexpected(refused("cannot move partitions", answer->error_code, answer->error_message.value_or("")));
  std::vector<ItemOutcome> items;
  for (const auto& topic : answer->responses) {
    for (const auto& p : topic.partitions) {
      items.push_back(
          {fmt::format("{}-{}", topic.name, p.partition_index), p.error_code, p.error_message.value_or("")});
    }
  }
  return items;
}

struct Ongoing {
  Place place;
  std::vector<int32_t> replicas, adding, removing;
  int64_t bytes = 0;  // of all new replicas
  int64_t done = 0;
};

Outcome<std::vector<Ongoing>> fetch_ongoing(client::Cluster& cluster) {
  kafka::ListPartitionReassignmentsRequest request;
  request.topics.reset();
  const auto answer = cluster.call<kafka::ListPartitionReassignmentsResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->error_code != ErrorCode::none)
    return tl::unexpected(refused("cannot list what is moved", answer->error_code, answer->error_message.value_or("")));
  std::vector<Ongoing> all;
  for (const auto& topic : answer->topics) {
    for (const auto& p : topic.partitions)
      all.push_back({{topic.name, p.partition_index}, p.replicas, p.adding_replicas, p.removing_replicas, 0, 0});
  }
  if (all.empty()) return all;
  const Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::no);
  if (!facts) return tl::unexpected(facts.error());
  const auto sizes = fetch_sizes(cluster, *facts);
  for (Ongoing& o : all) {
    const auto found = sizes.find(o.place);
    if (found == sizes.end()) continue;
    const int64_t whole = largest(sizes, o.place);
    for (const int32_t id : o.adding) {
      o.bytes += whole;
      if (const auto here = found->second.find(id); here != found->second.end())
        o.done += std::min(whole, here->second);
    }
  }
  return all;
}

void count_as_moved(ClusterFacts& facts, const Ongoing& o) {
  const auto topic = std::ranges::find(facts.topics, o.place.first, &TopicFacts::name);
  if (topic == facts.topics.end()) return;
  const auto p = std::ranges::find(topic->partitions, o.place.second, &PartitionFacts::index);
  if (p == topic->partitions.end()) return;
  p->replicas = o.replicas;
  std::erase_if(p->replicas, [&](int32_t id) { return std::ranges::find(o.removing, id) != o.removing.end(); });
}

// Nothing is moved any more: what bounded it would bound the next replica that comes back.
Exit end_throttle(client::Cluster& cluster, bool quiet) {
  const Outcome<Lifted> lifted = lift_throttle(cluster);
  if (!lifted) return report(lifted.error());
  if (lifted->any && !quiet) fmt::print(stderr, "the throttle of the moves is taken away\n");
  if (!lifted->topics.empty() && !quiet) {
    fmt::print(stderr, "brokers keep their rates for topics that are throttled as a whole: {}\n",
               fmt::join(lifted->topics, ", "));
  }
  return Exit::done;
}

// Brokers may move what they were asked to even if nobody heard them say so, and what was set halfway is set.
void tell_that_throttle_stays(const MoveRun& how) {
  if (!how.throttle || how.shared.quiet) return;
  fmt::print(stderr, "the throttle stays: `naru partition moves --wait` takes it away when all is done\n");
}

// A bar on a terminal; in a pipe a line every ten seconds.
class Progress {
 public:
  explicit Progress(bool quiet) : quiet_(quiet), begun_(std::chrono::steady_clock::now()), told_(begun_) {}

  void show(const std::vector<Ongoing>& ongoing) {
    const auto now = std::chrono::steady_clock::now();
    const bool terminal = is_terminal(STDERR_FILENO);
    if (quiet_ || now - told_ < (terminal ? std::chrono::seconds(1) : std::chrono::seconds(10))) return;
    told_ = now;
    int64_t bytes = 0;
    int64_t done = 0;
    for (const Ongoing& o : ongoing) {
      bytes += o.bytes;
      done += o.done;
    }
    first_left_ = std::max(first_left_, bytes - done);
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    const double rate = static_cast<double>(first_left_ - (bytes - done)) / std::max(seconds, 0.001);
    const std::string left = rate < 1 ? std::string("?")
                                      : duration_text(std::chrono::milliseconds(
                                            static_cast<int64_t>(static_cast<double>(bytes - done) / rate * 1000)));
    fmt::print(stderr, "{}{} partitions under way, {} of {}, {}/s, {} left{}", terminal ? "\r\x1b[K" : "",
               ongoing.size(), bytes_text(done), bytes_text(bytes), bytes_text(static_cast<int64_t>(rate)), left,
               terminal ? "" : "\n");
  }
  void end() const {
    if (!quiet_ && told_ != begun_ && is_terminal(STDERR_FILENO)) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  const bool quiet_;
  const std::chrono::steady_clock::time_point begun_;
  std::chrono::steady_clock::time_point told_;
  int64_t first_left_ = 0;
};

Exit wait_for_all(client::Cluster& cluster, bool quiet) {
  Interruption interruption;
  Progress progress(quiet);
  for (;;) {
    const Outcome<std::vector<Ongoing>> ongoing = fetch_ongoing(cluster);
    if (!ongoing) return report(ongoing.error());
    if (ongoing->empty()) break;
    progress.show(*ongoing);
    if (interruption.wait(std::chrono::milliseconds(200))) {
      progress.end();
      fmt::print(stderr, "the brokers go on; `naru partition moves` shows how far they are\n");
      return Exit::interrupted;
    }
  }
  progress.end();
  return Exit::done;
}

}  // namespace

Outcome<ClusterFacts> fetch_as_moved(client::Cluster& cluster) {
  constexpr int looks_max = 20;
  Outcome<std::vector<Ongoing>> before = fetch_ongoing(cluster);
  if (!before) return tl::unexpected(before.error());
  for (int look = 1;; ++look) {
    Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::no);
    if (!facts) return facts;
    Outcome<std::vector<Ongoing>> ongoing = fetch_ongoing(cluster);
    if (!ongoing) return tl::unexpected(ongoing.error());
    // What has ended between the two questions is in `facts` with both its old and its new replicas, perhaps.
    const bool has_one_ended = std::ranges::any_of(*before, [&](const Ongoing& o) {
      return std::ranges::find(*ongoing, o.place, &Ongoing::place) == ongoing->end();
    });
    if (!has_one_ended) {
      for (const Ongoing& o : *ongoing) count_as_moved(*facts, o);
      return facts;
    }
    // Whoever moves partition after partition, as a balancer does, may have one end between any two questions.
    if (look == looks_max)
      return problem(Exit::refused, "moves end faster than they can be looked at: no plan would be of what is so",
                     "`naru partition moves` shows them; try again when they are done");
    before = std::move(ongoing);
  }
}

Exit run_moves(client::Cluster& cluster, const ClusterFacts& facts, std::vector<Move> moves, const MoveRun& how) {
  const bool json = how.shared.format == Format::json;
  const Plan plan = moves.empty() ? Plan{} : with_bytes(cluster, facts, std::move(moves), how);
  if (plan.moves.empty()) {
    if (how.wait && !how.dry_run) {  // for what somebody began before
      if (const Exit waited = wait_for_all(cluster, how.shared.quiet); waited != Exit::done) return waited;
    }
    if (json) {
      print_out(plan_json(plan, true).dump(2) + "\n");
      return Exit::done;
    }
    const Outcome<std::vector<Ongoing>> ongoing = fetch_ongoing(cluster);
    if (!ongoing) return report(ongoing.error());
    print_out(ongoing->empty() ? "everything is where it should be\n"
                               : "nothing to move beside what is under way: `naru partition moves` shows it\n");
    return Exit::done;
  }
  if (!json) print_out(plan_table(plan));
  if (how.throttle) {
    if (const Outcome<void> free = check_rates_are_free(cluster, facts); !free) return report(free.error());
  }
  if (how.dry_run) {
    if (json) print_out(plan_json(plan, false).dump(2) + "\n");
    return Exit::done;
  }
  if (!confirmed(how.yes, "moves", fmt::format("move {} partitions?", plan.moves.size()))) return Exit::usage;
  std::vector<std::pair<Place, std::optional<std::vector<int32_t>>>> wanted;
  for (const Move& move : plan.moves) wanted.push_back({{move.topic, move.partition}, move.to});
  if (how.throttle) {  // before the first byte
    if (const Outcome<void> set = set_throttle(cluster, plan.moves, *how.throttle); !set) {
      tell_that_throttle_stays(how);
      return report(set.error());
    }
  }
  const auto items = ask(cluster, wanted);
  if (!items) {
    tell_that_throttle_stays(how);
    return report(items.error());
  }
  const Exit exit = conclude("move", *items);
  if (json) print_out(plan_json(plan, exit == Exit::done).dump(2) + "\n");
  if (exit != Exit::done || !how.wait) tell_that_throttle_stays(how);
  if (exit != Exit::done || !how.wait) return exit;
  if (const Exit waited = wait_for_all(cluster, how.shared.quiet); waited != Exit::done) return waited;
  return how.throttle ? end_throttle(cluster, how.shared.quiet) : Exit::done;
}

Exit run(const PartitionMoveCommand& command) {
  if (command.shared.format == Format::help) return print_out(move_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<ClusterFacts> facts = fetch_as_moved(*cluster);
  if (!facts) return report(facts.error());
  auto moves = plan(command, *facts);
  if (!moves) return report(moves.error());
  return run_moves(*cluster, *facts, std::move(*moves),
                   {.shared = command.shared,
                    .throttle = command.throttle,
                    .yes = command.yes,
                    .wait = command.wait,
                    .dry_run = command.dry_run});
}

namespace {

// --keep-throttle, as --preserve-throttles of Kafka's tool: what an operator has listed himself looks like a move's.
Exit end_throttle(client::Cluster& cluster, const PartitionMovesCommand& command) {
  return command.keep_throttle ? Exit::done : end_throttle(cluster, command.shared.quiet);
}

Exit turn_back(client::Cluster& cluster, const std::vector<Ongoing>& ongoing, const PartitionMovesCommand& command) {
  std::vector<std::pair<Place, std::optional<std::vector<int32_t>>>> wanted;
  for (const Ongoing& o : ongoing) wanted.push_back({o.place, std::nullopt});
  if (wanted.empty()) {  // they are done, or were refused: what was to throttle them may be there still
    if (!print_out("nothing is being moved\n")) return Exit::refused;
    return end_throttle(cluster, command);
  }
  const auto items = ask(cluster, wanted);
  if (!items) return report(items.error());
  const Exit exit = print_items(command.shared.format, "turn back", "turned back", *items);
  return exit == Exit::done ? end_throttle(cluster, command) : exit;
}

Exit change_throttle(client::Cluster& cluster, int64_t bytes_per_second) {
  const Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::no);
  if (!facts) return report(facts.error());
  if (const Outcome<void> free = check_rates_are_free(cluster, *facts); !free) return report(free.error());
  std::vector<int32_t> brokers;
  for (const BrokerFacts& broker : facts->brokers) brokers.push_back(broker.id);
  const Outcome<void> set = set_throttle_rate(cluster, brokers, bytes_per_second);
  return set ? Exit::done : report(set.error());
}

}  // namespace

Exit run(const PartitionMovesCommand& command) {
  if (command.shared.format == Format::help) return print_out(moves_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<std::vector<Ongoing>> ongoing = fetch_ongoing(*cluster);
  if (!ongoing) return report(ongoing.error());
  if (command.cancel) return turn_back(*cluster, *ongoing, command);
  if (command.throttle && !ongoing->empty()) {
    if (const Exit changed = change_throttle(*cluster, *command.throttle); changed != Exit::done) return changed;
  }
  Json all = Json::array();
  Table table({{"TOPIC"},
               {"PARTITION", Align::right},
               {"REPLICAS"},
               {"ADDING", Align::left, true},
               {"REMOVING", Align::left, true},
               {"DONE", Align::right}});
  for (const Ongoing& o : *ongoing) {
    all.push_back({{"topic", o.place.first},
                   {"partition", o.place.second},
                   {"replicas", o.replicas},
                   {"adding", o.adding},
                   {"removing", o.removing},
                   {"bytes_done", o.done},
                   {"bytes", o.bytes}});
    table.add({o.place.first, std::to_string(o.place.second), ids_text(o.replicas),
               o.adding.empty() ? "" : ids_text(o.adding), o.removing.empty() ? "" : ids_text(o.removing),
               fmt::format("{} of {}", bytes_text(o.done), bytes_text(o.bytes))});
  }
  print_out(command.shared.format == Format::json ? all.dump(2) + "\n"
            : ongoing->empty()                    ? std::string("nothing is being moved\n")
                                                  : table.text());
  if (!command.wait) return Exit::done;
  if (const Exit waited = wait_for_all(*cluster, command.shared.quiet); waited != Exit::done) return waited;
  return end_throttle(*cluster, command);
}

}  // namespace cli
