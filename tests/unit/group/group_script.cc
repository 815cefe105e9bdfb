#include "group/group_script.h"

#include <algorithm>

#include <fmt/format.h>

namespace group_test {
namespace {

using namespace broker::group;
using common::model::as_bytes;
using test_support::Command;
using test_support::ScenarioError;

// c1-00000000-0000-0000-0000-000000000007 is written c1#7.
constexpr std::string_view zeros = "-00000000-0000-0000-0000-";

std::string shorten(const std::string& id) {
  const size_t at = id.find(zeros);
  if (at == std::string::npos) return id;
  return id.substr(0, at) + "#" + std::to_string(std::stoll(id.substr(at + zeros.size()), nullptr, 16));
}

std::string expand(const std::string& id) {
  const size_t at = id.find('#');
  if (at == std::string::npos) return id;
  return fmt::format("{}{}{:012x}", id.substr(0, at), zeros, std::stoll(id.substr(at + 1)));
}

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : text) {
    if (c != by)
      part += c;
    else
      parts.push_back(std::exchange(part, {}));
  }
  parts.push_back(part);
  return parts;
}

// "t1+t2" as what a consumer says when it subscribes to these topics.
Buffer subscription_to(const std::string& topics) {
  std::string bytes{0, 0};
  const std::vector<std::string> names = topics.empty() ? std::vector<std::string>() : split(topics, '+');
  bytes += {0, 0, 0, static_cast<char>(names.size())};
  for (const std::string& name : names) {
    bytes += {0, static_cast<char>(name.size())};
    bytes += name;
  }
  return Buffer::own(std::move(bytes));
}

// "t-0" or "t-0=10".
TopicPartition partition_of(const std::string& text) {
  const size_t dash = text.rfind('-');
  if (dash == std::string::npos) throw ScenarioError{text + " is not topic-partition"};
  return {text.substr(0, dash), PartitionIndex(std::stoi(text.substr(dash + 1)))};
}

std::string name_of(ErrorCode error) {
  return std::string(common::model::to_string(error));
}

std::string id_list(const std::vector<std::string>& parts) {
  return fmt::format("({})", fmt::join(parts, ","));
}

std::string text_of(const StoredOffset& value) {
  std::string text = fmt::format("{}", value.offset.value);
  if (value.leader_epoch) text += fmt::format("@{}", value.leader_epoch->value);
  if (!value.metadata.empty()) text += fmt::format(" \"{}\"", value.metadata.substr(0, 20));
  return text;
}

std::string text_of(const GroupRecord& record) {
  if (const auto* r = std::get_if<OffsetStored>(&record))
    return fmt::format("offset {} {}={}", r->group, r->partition, text_of(r->value));
  if (const auto* r = std::get_if<OffsetRemoved>(&record))
    return fmt::format("no-offset {} {}", r->group, r->partition);
  if (const auto* r = std::get_if<GroupRemoved>(&record)) return fmt::format("no-group {}", r->group);
  const auto& r = std::get<GroupStored>(record);
  std::vector<std::string> members;
  for (const StoredMember& m : r.value.members)
    members.push_back(fmt::format("{}={}", shorten(m.member_id), m.assignment.text()));
  return fmt::format("group {} generation={} protocol={} leader={} {}", r.group, r.value.generation.value,
                     r.value.protocol.value_or("none"), shorten(r.value.leader.value_or("none")), id_list(members));
}

ErrorCode error_named(const std::string& name) {
  for (int16_t n = -1; n < 140; ++n)
    if (common::model::to_string(static_cast<ErrorCode>(n)) == name) return static_cast<ErrorCode>(n);
  throw ScenarioError{"no error is called " + name};
}

std::optional<std::string> maybe_text(const Command& command, std::string_view key) {
  return command.has(key) ? std::optional(command.text(key)) : std::nullopt;
}

milliseconds in_ms(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<milliseconds>(d);
}

std::string text_of(const JoinAnswer& a) {
  if (a.error != ErrorCode::none) return fmt::format("{} member={}", name_of(a.error), shorten(a.member_id));
  std::vector<std::string> members;
  for (const auto& m : a.members)
    members.push_back(shorten(m.member_id) + (m.instance_id ? fmt::format("[{}]", *m.instance_id) : ""));
  std::string text = fmt::format("member={} generation={} protocol={} leader={}", shorten(a.member_id),
                                 a.generation->value, a.protocol.value_or("none"), shorten(a.leader));
  if (!members.empty()) text += " members=" + id_list(members);
  if (a.skip_assignment) text += " skip-assignment";
  return text;
}
std::string text_of(const SyncAnswer& a) {
  return a.error == ErrorCode::none ? fmt::format("assignment={}", a.assignment.text()) : name_of(a.error);
}
std::string text_of(const HeartbeatAnswer& a) {
  return name_of(a.error);
}
std::string text_of(const LeaveAnswer& a) {
  if (a.error != ErrorCode::none) return name_of(a.error);
  std::vector<std::string> members;
  for (const auto& m : a.members)
    members.push_back(fmt::format("{}={}", m.member_id.empty() ? m.instance_id.value_or("") : shorten(m.member_id),
                                  name_of(m.error)));
  return id_list(members);
}
std::string codes(const std::vector<ErrorCode>& all) {
  std::vector<std::string> parts;
  for (const ErrorCode code : all) parts.push_back(name_of(code));
  return id_list(parts);
}
std::string text_of(const CommitAnswer& a) {
  return codes(a.partitions);
}
std::string text_of(const FetchAnswer& a) {
  if (a.error != ErrorCode::none) return name_of(a.error);
  std::vector<std::string> parts;
  for (const auto& p : a.partitions)
    parts.push_back(fmt::format("{}={}", p.partition,
                                p.error != ErrorCode::none ? name_of(p.error)
                                : p.value                  ? text_of(*p.value)
                                                           : "none"));
  return id_list(parts);
}
std::string text_of(const DescribeAnswer& a) {
  std::vector<std::string> members;
  for (const auto& m : a.members)
    members.push_back(fmt::format("{}{}={}", shorten(m.member_id), m.instance_id ? "[" + *m.instance_id + "]" : "",
                                  m.assignment.text()));
  return fmt::format("{}{} type={} protocol={} {}", a.found ? "" : "not found: ", a.state, a.protocol_type, a.protocol,
                     id_list(members));
}
std::string text_of(const ListAnswer& a) {
  std::vector<std::string> groups;
  for (const auto& g : a.groups) groups.push_back(fmt::format("{}:{}:{}", g.group, g.protocol_type, g.state));
  return id_list(groups);
}
std::string text_of(const DeleteAnswer& a) {
  return name_of(a.error);
}
std::string text_of(const DeleteOffsetsAnswer& a) {
  return a.error == ErrorCode::none ? codes(a.partitions) : name_of(a.error);
}

}  // namespace

Moment GroupScript::now() {
  const auto elapsed = in_ms(now_.time_since_epoch()) + wall_step_;
  const TimestampMs wall(1'700'000'000'000 + elapsed.count());
  believed_clock_.look(now_, wall);
  const TimestampMs believed = believed_clock_.to_compare(now_, wall);
  return {.now = now_, .wall = believed_clock_.to_record(now_, wall), .believed = believed};
}

std::string GroupScript::start(const Command& command) {
  config_.initial_rebalance_delay = in_ms(command.duration_or("initial-delay", std::chrono::seconds(0)));
  config_.size_max = static_cast<int32_t>(command.number_or("max-size", INT32_MAX));
  config_.offsets_retention = in_ms(command.duration_or("retention", std::chrono::hours(168)));
  config_.expiry_check_interval = in_ms(command.duration_or("expiry-check", std::chrono::minutes(10)));
  config_.offset_metadata_max = static_cast<int32_t>(command.number_or("metadata-max", 4096));
  config_.members_memory_max = static_cast<size_t>(command.number_or("memory-max", 1 << 26));
  coordinator_ = std::make_unique<GroupCoordinator>(config_);
  return told(coordinator_->start(now()));
}

Request GroupScript::join_of(const Command& command) {
  JoinRequest r;
  r.group = command.text_or("group", "g");
  r.member_id = expand(command.text_or("member", ""));
  r.instance_id = maybe_text(command, "instance");
  r.client_id = command.text_or("client", "c");
  r.client_host = "/127.0.0.1";
  r.session_timeout = in_ms(command.duration_or("session", std::chrono::seconds(10)));
  r.rebalance_timeout = in_ms(command.duration_or("rebalance", std::chrono::seconds(60)));
  r.protocol_type = command.text_or("type", "consumer");
  for (const std::string& protocol : split(command.text_or("protocols", "range"), ',')) {
    const std::vector<std::string> parts = split(protocol, ':');
    if (parts[0].empty()) continue;
    r.protocols.push_back({parts[0], subscription_to(parts.size() > 1 ? parts[1] : "t")});
  }
  r.member_id_rule = command.number_or("version", 9) >= 4 ? MemberIdRule::must_be_known : MemberIdRule::may_be_empty;
  r.skip_assignment =
      command.number_or("version", 9) >= 9 ? SkipAssignment::supported : SkipAssignment::unknown_to_client;
  r.reason = command.text_or("reason", "");
  r.fresh_id = Uuid::from_halves(0, next_fresh_id_++);
  return r;
}

Request GroupScript::sync_of(const Command& command) {
  SyncRequest r;
  r.group = command.text_or("group", "g");
  r.generation = Generation(static_cast<int32_t>(command.number("generation")));
  r.member_id = expand(command.text("member"));
  r.instance_id = maybe_text(command, "instance");
  r.protocol_type = maybe_text(command, "type");
  r.protocol = maybe_text(command, "protocol");
  for (const std::string& part : test_support::split_list(command.text_or("assign", "()"))) {
    const std::vector<std::string> sides = split(part, '=');
    r.assignments.emplace_back(expand(sides[0]), Buffer::copy_of(sides.at(1)));
  }
  return r;
}

Request GroupScript::leave_of(const Command& command) {
  LeaveRequest r;
  r.group = command.text_or("group", "g");
  for (const std::string& id : test_support::split_list(command.text_or("members", "()")))
    r.members.push_back({expand(id), std::nullopt, ""});
  for (const std::string& id : test_support::split_list(command.text_or("instances", "()")))
    r.members.push_back({"", id, ""});
  return r;
}

Request GroupScript::commit_of(const Command& command) {
  CommitRequest r;
  r.group = command.text_or("group", "g");
  r.member_id = expand(command.text_or("member", ""));
  r.instance_id = maybe_text(command, "instance");
  if (const auto g = command.maybe_number("generation")) r.generation = Generation(static_cast<int32_t>(*g));
  if (command.has("retention")) r.retention = in_ms(command.duration("retention"));
  r.unknown_group_has_own_code = command.number_or("version", 9) >= 9;
  for (const std::string& part : test_support::split_list(command.text("offsets"))) {
    const std::vector<std::string> sides = split(part, '=');
    CommitRequest::Partition& p = r.partitions.emplace_back();
    p.partition = partition_of(sides[0]);
    p.offset = Offset(std::stoll(sides.at(1)));
    p.metadata = command.text_or("metadata", "");
    if (const auto e = command.maybe_number("epoch")) p.leader_epoch = LeaderEpoch(static_cast<int32_t>(*e));
  }
  return r;
}

Request GroupScript::request_of(const Command& command) {
  const std::string& name = command.name();
  if (name == "join") return join_of(command);
  if (name == "sync") return sync_of(command);
  if (name == "leave") return leave_of(command);
  if (name == "commit") return commit_of(command);
  const std::string group = command.text_or("group", "g");
  std::vector<TopicPartition> partitions;
  if (command.has("partitions"))
    for (const std::string& part : command.list("partitions")) partitions.push_back(partition_of(part));
  if (name == "heartbeat") {
    return HeartbeatRequest{group, Generation(static_cast<int32_t>(command.number("generation"))),
                            expand(command.text("member")), maybe_text(command, "instance")};
  }
  if (name == "fetch") {
    FetchRequest r{.group = group};
    if (command.has("partitions")) r.partitions = partitions;
    if (command.has("stable")) r.stability = Stability::require_stable;
    return r;
  }
  if (name == "describe") return DescribeRequest{group};
  if (name == "delete") return DeleteRequest{group};
  if (name == "delete-offsets") return DeleteOffsetsRequest{group, partitions};
  if (name == "list") {
    ListRequest r;
    if (command.has("states")) r.states = command.list("states");
    if (command.has("types")) r.types = command.list("types");
    return r;
  }
  throw ScenarioError{"no command is called " + name};
}

std::string GroupScript::run_until(Instant when) {
  std::string text;
  while (const auto next = coordinator_->next_deadline()) {
    if (*next > when) break;
    now_ = std::max(now_, *next);
    text += told(coordinator_->on_time(now()));
  }
  now_ = std::max(now_, when);
  return text;
}

std::string GroupScript::committed(const Command& command) {
  const auto up_to = static_cast<size_t>(command.number_or("up-to", static_cast<int64_t>(appended_.size())));
  if (appended_.empty() || up_to > appended_.size()) throw ScenarioError{"there is no such write"};
  committed_ = std::max(committed_, up_to);
  return told(coordinator_->on_committed(appended_[up_to - 1].id, now()));
}

// What was not committed is lost, or with `keep` was on the new leader.
std::string GroupScript::failover(const Command& command) {
  std::string text = told(coordinator_->resign(ErrorCode::not_coordinator));
  if (!command.has("keep")) appended_.resize(committed_);
  committed_ = appended_.size();
  coordinator_ = std::make_unique<GroupCoordinator>(config_);
  for (const Write& write : appended_)
    for (const GroupRecord& record : *write.records) coordinator_->replay(record);
  return text + told(coordinator_->start(now()));
}

std::string GroupScript::told(Effects effects) {
  std::string text;
  for (const LogLine& line : effects.lines)
    if (line.level != LineLevel::debug) {
      std::string shown = line.text;
      for (size_t at = shown.find(zeros); at != std::string::npos; at = shown.find(zeros))
        shown.replace(at, zeros.size() + 12,
                      "#" + std::to_string(std::stoll(shown.substr(at + zeros.size(), 12), nullptr, 16)));
      text += fmt::format("log: {}\n", shown);
    }
  for (Write& write : effects.writes) {
    appended_.push_back(write);
    text += fmt::format("write {}:", appended_.size());
    for (const GroupRecord& record : *write.records) text += fmt::format("\n  {}", text_of(record));
    text += "\n";
  }
  for (const Answered& answered : effects.answers) {
    text += fmt::format("{}: {}\n", names_.at(answered.token),
                        std::visit([](const auto& a) { return text_of(a); }, answered.answer));
    names_.erase(answered.token);
  }
  return text;
}

std::string GroupScript::execute(const Command& command) {
  std::string text;
  if (command.name() == "start") return start(command);
  if (coordinator_ == nullptr) throw ScenarioError{"start first"};
  if (command.name() == "pause") {
    now_ = Instant(command.duration("until"));
    coordinator_->on_pause(now());
    return text;
  }
  if (command.has("at")) text += run_until(Instant(command.duration("at")));
  if (command.name() == "time") return text;
  if (command.name() == "clock-step") {
    wall_step_ += in_ms(command.duration("by"));
    return text;
  }
  if (command.name() == "committed") return text + committed(command);
  if (command.name() == "failed") {
    const auto write = static_cast<size_t>(command.number("write"));
    const Write failed = appended_.at(write - 1);
    if (write != appended_.size()) throw ScenarioError{"only the last write can fail here"};
    appended_.pop_back();
    return text + told(coordinator_->on_write_failed(failed.id, error_named(command.text("error")), now()));
  }
  if (command.name() == "failover") return text + failover(command);
  if (command.name() == "topic-deleted")
    return text + told(coordinator_->on_topic_deleted(command.text("topic"), now()));
  const RequestToken token(next_token_++);
  names_[token] = command.text_or("as", command.name());
  Request request = request_of(command);
  return text + told(coordinator_->handle(token, std::move(request), now()));
}

}  // namespace group_test
