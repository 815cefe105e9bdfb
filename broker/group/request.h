// What clients ask a group coordinator, one group at a time, and what it answers. Handlers translate Kafka's requests
// of all versions into these; Kafka's -1 and empty strings for "none" end there.
//
// Plain values; no thread rules.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/group/record.h"
#include "common/model/error_code.h"
#include "common/model/uuid.h"

namespace broker::group {

using common::model::ErrorCode;
using common::model::Uuid;

// A way to divide the work that a member supports ("range", "sticky", ...) and what it has to say under it. The
// coordinator chooses among the names and hands the bytes on; it looks inside for the protocol type "consumer" only.
struct Protocol {
  std::string name;
  Buffer metadata;
};

enum class MemberIdRule : uint8_t { may_be_empty, must_be_known };     // JoinGroup 4+: KIP-394
enum class SkipAssignment : uint8_t { unknown_to_client, supported };  // JoinGroup 9+: KIP-814

struct JoinRequest {
  std::string group;
  std::string member_id;  // empty: wants one
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  milliseconds session_timeout{0};
  milliseconds rebalance_timeout{0};  // JoinGroup 0 has none: its session timeout
  std::string protocol_type;
  std::vector<Protocol> protocols;  // the member's preference first
  MemberIdRule member_id_rule = MemberIdRule::must_be_known;
  SkipAssignment skip_assignment = SkipAssignment::supported;
  std::string reason;
  Uuid fresh_id;  // becomes part of a member id if one is given out
};
struct JoinAnswer {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    Buffer metadata;
  };
  ErrorCode error = ErrorCode::none;
  std::optional<Generation> generation;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<Member> members;  // for the leader alone
};

struct SyncRequest {
  std::string group;
  Generation generation;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::string> protocol_type;  // SyncGroup 5+: refused if it is not the group's (KIP-559)
  std::optional<std::string> protocol;
  std::vector<std::pair<std::string, Buffer>> assignments;  // member id -> assignment; from the leader
};
struct SyncAnswer {
  ErrorCode error = ErrorCode::none;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  Buffer assignment;
};

struct HeartbeatRequest {
  std::string group;
  Generation generation;
  std::string member_id;
  std::optional<std::string> instance_id;
};
struct HeartbeatAnswer {
  ErrorCode error = ErrorCode::none;
};

struct LeaveRequest {
  struct Member {
    std::string member_id;  // may be empty with an instance id: administrative removal
    std::optional<std::string> instance_id;
    std::string reason;
  };
  std::string group;
  std::vector<Member> members;
};
struct LeaveAnswer {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    ErrorCode error = ErrorCode::none;
  };
  ErrorCode error = ErrorCode::none;
  std::vector<Member> members;  // in the order of the request
};

struct CommitRequest {
  struct Partition {
    TopicPartition partition;
    Offset offset;
    std::optional<LeaderEpoch> leader_epoch;
    std::string metadata;
    std::optional<TimestampMs> committed_at;  // OffsetCommit 1 only
    std::optional<Uuid> topic_id;             // which topic of that name
  };
  std::string group;
  std::optional<Generation> generation;  // none: a simple consumer or a tool
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<milliseconds> retention;    // OffsetCommit 2-4
  bool unknown_group_has_own_code = false;  // OffsetCommit 9+: GROUP_ID_NOT_FOUND
  std::vector<Partition> partitions;
};
// One code per partition of the request, in its order.
struct CommitAnswer {
  std::vector<ErrorCode> partitions;
};

enum class Stability : uint8_t { any, require_stable };  // KIP-447

struct FetchRequest {
  std::string group;
  std::optional<std::vector<TopicPartition>> partitions;  // none: all that the group has committed
  Stability stability = Stability::any;
};
struct FetchAnswer {
  struct Partition {
    TopicPartition partition;
    ErrorCode error = ErrorCode::none;
    std::optional<StoredOffset> value;  // none without an error: nothing is committed
  };
  ErrorCode error = ErrorCode::none;
  std::vector<Partition> partitions;  // in the order of the request; all: by topic and partition
};

struct DescribeRequest {
  std::string group;
};
struct DescribeAnswer {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    Buffer metadata;    // of a stable group only
    Buffer assignment;  // likewise
  };
  ErrorCode error = ErrorCode::none;
  bool found = false;
  std::string state;  // Kafka's word: "Stable", "Empty", "Dead", ...
  std::string protocol_type;
  std::string protocol;
  std::vector<Member> members;
};

struct ListRequest {
  std::vector<std::string> states;  // empty: all; letter case does not matter
  std::vector<std::string> types;
};
struct ListAnswer {
  struct Group {
    std::string group;
    std::string protocol_type;
    std::string state;
    std::string type;
  };
  ErrorCode error = ErrorCode::none;
  std::vector<Group> groups;
};

struct DeleteRequest {
  std::string group;
};
struct DeleteAnswer {
  ErrorCode error = ErrorCode::none;
};

struct DeleteOffsetsRequest {
  std::string group;
  std::vector<TopicPartition> partitions;
};
struct DeleteOffsetsAnswer {
  ErrorCode error = ErrorCode::none;
  std::vector<ErrorCode> partitions;  // in the order of the request; empty with an error
};

using Request = std::variant<JoinRequest, SyncRequest, HeartbeatRequest, LeaveRequest, CommitRequest, FetchRequest,
                             DescribeRequest, ListRequest, DeleteRequest, DeleteOffsetsRequest>;
using Answer = std::variant<JoinAnswer, SyncAnswer, HeartbeatAnswer, LeaveAnswer, CommitAnswer, FetchAnswer,
                            DescribeAnswer, ListAnswer, DeleteAnswer, DeleteOffsetsAnswer>;

// The answer that fits the request and says nothing but `error`.
[[nodiscard]] Answer refusal(const Request& request, ErrorCode error);
// `answer` with `error` in each place that said none: what a write that failed makes of an answer that waited for it.
void fail_answer(Answer& answer, ErrorCode error);

}  // namespace broker::group
