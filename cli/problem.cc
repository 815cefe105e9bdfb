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

Problem refused(std::string_view what, ErrorCode code, std::string_view broker_message) {
  const std::string_view why = !broker_message.empty() ? broker_message : meaning_of(code);
  std::string message = why.empty() ? fmt::format("{}: {}", what, code) : fmt::format("{}: {} ({})", what, code, why);
  return {.exit = code == ErrorCode::request_timed_out ? Exit::unreachable : Exit::refused,
          .message = std::move(message),
          .next_step = {}};
}

}  // namespace cli
