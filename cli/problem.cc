#include "cli/problem.h"

#include <fmt/format.h>

namespace cli {

using common::model::ErrorCode;

std::string_view meaning_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::unknown_topic_or_partition:
      return "no such topic or partition";
    case ErrorCode::unknown_topic_id:
      return "no such topic";
    case ErrorCode::topic_already_exists:
      return "a topic of that name exists";
    case ErrorCode::invalid_topic_exception:
      return "a name has 1 to 249 of the characters a-z A-Z 0-9 . _ -";
    case ErrorCode::invalid_partitions:
      return "that number of partitions is not possible";
    case ErrorCode::invalid_replication_factor:
      return "not that many brokers are available";
    case ErrorCode::invalid_config:
      return "a configuration name or value is wrong";
    case ErrorCode::leader_not_available:
      return "the partition has no leader at the moment";
    case ErrorCode::not_leader_or_follower:
      return "the leader has moved";
    case ErrorCode::not_enough_replicas:
      return "fewer replicas are in sync than min.insync.replicas asks for";
    case ErrorCode::not_controller:
      return "the controller has moved";
    case ErrorCode::request_timed_out:
      return "the brokers did not finish in time";
    case ErrorCode::coordinator_not_available:
      return "the group's coordinator is not available yet";
    case ErrorCode::coordinator_load_in_progress:
      return "the group's coordinator is loading";
    case ErrorCode::not_coordinator:
      return "the group's coordinator has moved";
    case ErrorCode::group_id_not_found:
      return "no such group";
    case ErrorCode::non_empty_group:
      return "the group has members";
    case ErrorCode::unsupported_version:
      return "the broker does not speak this request";
    case ErrorCode::topic_deletion_disabled:
      return "delete.topic.enable is false";
    case ErrorCode::cluster_authorization_failed:
    case ErrorCode::topic_authorization_failed:
    case ErrorCode::group_authorization_failed:
      return "not allowed";
    default:
      return {};
  }
}

namespace {

// Which command helps on; empty where none does.
std::string_view next_step_after(ErrorCode code) {
  switch (code) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::unknown_topic_id:
      return "`naru topic list` shows what there is";
    case ErrorCode::group_id_not_found:
      return "`naru group list` shows what there is";
    case ErrorCode::non_empty_group:
      return "stop its consumers first: `naru group describe` shows who they are";
    case ErrorCode::topic_already_exists:
      return "`naru topic describe` shows it; --if-absent makes that no error";
    case ErrorCode::invalid_replication_factor:
      return "`naru status` shows which brokers there are";
    case ErrorCode::leader_not_available:
    case ErrorCode::not_enough_replicas:
      return "`naru why produce TOPIC` says what is missing";
    case ErrorCode::coordinator_not_available:
    case ErrorCode::request_timed_out:
      return "`naru health` says what is wrong";
    case ErrorCode::unsupported_version:
      return "`naru doctor` shows whether all brokers speak the same";
    default:
      return {};
  }
}

// What Kafka's brokers say of this code whatever was asked for.
constexpr std::string_view says_nothing = "This server does not host this topic-partition.";

}  // namespace

Problem refused(std::string_view what, ErrorCode code, std::string_view broker_message) {
  const bool tells = !broker_message.empty() && broker_message != says_nothing;
  const std::string_view why = tells ? broker_message : meaning_of(code);
  std::string message = why.empty() ? fmt::format("{}: {}", what, code) : fmt::format("{}: {} ({})", what, code, why);
  return {.exit = code == ErrorCode::request_timed_out ? Exit::unreachable : Exit::refused,
          .message = std::move(message),
          .next_step = std::string(next_step_after(code))};
}

}  // namespace cli
