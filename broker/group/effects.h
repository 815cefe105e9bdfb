// What the coordinator wants done: answers to send, records to append, lines to log. A Turn collects them while one
// event is handled. Plain values; no thread rules.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/group/group.h"
#include "broker/group/record.h"
#include "broker/group/request.h"

namespace broker::group {

using common::model::Instant;

// Monotonic time for timeouts (R22); wall time for what is written into records, and as it may be believed when
// something that was written is compared with it (BelievedClock).
struct Moment {
  Instant now;
  TimestampMs wall;
  TimestampMs believed = wall;
};

// Names a write of this coordinator; they grow in the order in which they must reach the log.
using WriteId = common::model::Id<struct WriteIdTag, uint64_t>;

struct Answered {
  RequestToken token;
  Answer answer;
};
// Records of one write are appended together or not at all.
struct Write {
  WriteId id;
  std::shared_ptr<const std::vector<GroupRecord>> records;
};
enum class LineLevel : uint8_t { debug, info, warn };
struct LogLine {
  LineLevel level = LineLevel::info;
  std::string text;
};

struct [[nodiscard]] Effects {
  std::vector<Answered> answers;
  std::vector<Write> writes;
  std::vector<LogLine> lines;
};

// What to do when a write is committed or has failed; until then nobody is told (R103).
struct NothingAfterWrite {};
// Removals of what was committed for a topic that is gone: nobody asks for them again, so they are tried again.
struct OffsetsForgotten {};
struct AnswerAfterWrite {
  RequestToken token;
  Answer answer;
  std::shared_ptr<const ErrorCode> earlier_parts = nullptr;  // of the same request; that one of them failed is told
};
// One of several writes that a request needs; AnswerAfterWrite comes with the last of them.
struct EarlierPart {
  std::shared_ptr<ErrorCode> outcome;
};
struct AssignmentStored {
  std::string group;
  Generation generation;
  std::map<std::string, Buffer> assignments;  // by member id
};
struct StaticMemberReplaced {
  std::string group;
  Generation generation;
  Member before;  // to be put back if the write fails
  std::string member_id;
  std::string leader_before;
  SkipAssignment skip_assignment = SkipAssignment::unknown_to_client;
};
using AfterWrite = std::variant<NothingAfterWrite, OffsetsForgotten, EarlierPart, AnswerAfterWrite, AssignmentStored,
                                StaticMemberReplaced>;

struct PlannedWrite {
  std::vector<GroupRecord> records;
  AfterWrite after;
};

struct Turn {
  Moment at;
  std::vector<Answered> answers;
  std::vector<PlannedWrite> writes;
  std::vector<LogLine> lines;

  void answer(RequestToken token, Answer what) { answers.push_back({token, std::move(what)}); }
  void write(std::vector<GroupRecord> records, AfterWrite after) {
    writes.push_back({std::move(records), std::move(after)});
  }
  void log(LineLevel level, std::string text) { lines.push_back({level, std::move(text)}); }
};

}  // namespace broker::group
