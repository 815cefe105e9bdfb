// What kafka-consumer-groups changes: a group's offsets, and whether there is a group.
// Network; thread-compatible.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/client/cluster.h"
#include "cli/group_facts.h"
#include "cli/kafka_tools/offsets.h"
#include "common/model/error_code.h"

namespace cli::kafka_tools {

// Where the offsets of which partitions go.
struct OffsetReset {
  std::vector<std::string> topics;  // "t" or "t:0,1"
  bool all_topics = false;
  bool execute = false, dry_run = false;
  bool to_earliest = false, to_latest = false, to_current = false;
  std::optional<int64_t> to_offset, shift_by;
  std::string to_datetime, by_duration;
};

// Whether that is done to a group at all: of which its coordinator has told everything, and which has no members.
// Problems as of reset_offsets.
Outcome<void> may_be_reset(const GroupFacts& group);

// What came of it, committed if `execute` is set.
struct ResetOffsets {
  std::map<TopicPartition, int64_t> offsets;
  std::vector<TopicPartition> at_end;  // nothing is as young as the time asked for
};
// Messages are those of Kafka's tool, and the exit code of a problem says how that tool takes it: usage ends it with
// its usage, partly concerns this group alone (it has members), anything else ends it as a command that failed.
Outcome<ResetOffsets> reset_offsets(client::Cluster& cluster, const std::string& group, const OffsetReset& reset);

struct DeletedOffsets {
  common::model::ErrorCode group_error = common::model::ErrorCode::none;  // of the whole; then of every partition too
  std::map<TopicPartition, common::model::ErrorCode> partitions;
  std::vector<std::string> unknown_topics;
};
// Problems as of reset_offsets.
Outcome<DeletedOffsets> delete_offsets(client::Cluster& cluster, const std::string& group,
                                       const std::vector<std::string>& topics);
// The error's message is Kafka's: the exception's name and its sentence.
Outcome<void> delete_group(client::Cluster& cluster, const std::string& group);

// How Java prints an error: "org.apache.kafka.common.errors.GroupIdNotFoundException", "The group id does not exist.",
// and both with a colon between them.
std::string exception_name(common::model::ErrorCode code);
std::string_view exception_message(common::model::ErrorCode code);
std::string exception_text(common::model::ErrorCode code);

}  // namespace cli::kafka_tools
