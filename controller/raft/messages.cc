#include "controller/raft/messages.h"

namespace controller::raft {
namespace {

std::string_view name(VoteKind kind) {
  switch (kind) {
    case VoteKind::pre_vote:
      return "pre-vote";
    case VoteKind::vote:
      return "vote";
    case VoteKind::transfer:
      return "transfer-vote";
  }
  return "?";
}

std::string entries_text(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& e : entries)
    text += fmt::format("{}{}@{}{}", text.empty() ? "" : ",", e.index, e.term,
                        e.kind == EntryKind::data ? "" : fmt::format(":{}", to_string(e.kind)));
  return text;
}

struct Describe {
  std::string operator()(const VoteRequest& m) const {
    return fmt::format("{}? log={}@{}", name(m.kind), m.log_end, m.last_term);
  }
  std::string operator()(const VoteResponse& m) const {
    return fmt::format("{} {}", name(m.kind), m.granted ? "granted" : "refused");
  }
  std::string operator()(const AppendRequest& m) const {
    return fmt::format("append after={}@{} entries=({}) committed={}", m.previous.end, m.previous.last_term,
                       entries_text(m.entries), m.committed);
  }
  std::string operator()(const AppendResponse& m) const {
    if (m.outcome == AppendOutcome::old_term) return "append old-term";
    if (m.outcome == AppendOutcome::mismatch)
      return fmt::format("append mismatch end={} try={}@{}", m.log_end, m.hint.end, m.hint.last_term);
    return fmt::format("append ok matched={}{}", m.matched, m.held == m.matched ? "" : fmt::format(" held={}", m.held));
  }
  std::string operator()(const SnapshotRequest& m) const {
    return fmt::format("snapshot {}@{} bytes {}+{} of {}", m.meta.position.end, m.meta.position.last_term, m.offset,
                       m.bytes.size(), m.meta.size_bytes);
  }
  std::string operator()(const SnapshotResponse& m) const {
    if (m.installed) return fmt::format("snapshot {} installed", m.snapshot_end);
    return fmt::format("snapshot {} next={}", m.snapshot_end, m.next_offset);
  }
  std::string operator()(const TimeoutNow&) const { return "stand now"; }
  std::string operator()(const ObserverHello& m) const {
    return fmt::format("observer log={}@{}", m.log.end, m.log.last_term);
  }
  std::string operator()(const VotersHint& m) const { return fmt::format("{} voters are", m.voters.size()); }
  std::string operator()(const StateLostNotice& m) const { return fmt::format("state lost, had {}", m.acknowledged); }
};

}  // namespace

std::string describe(const Message& message) {
  return fmt::format("{}->{} t{} {}", message.from.id, message.to.id, message.term,
                     std::visit(Describe{}, message.body));
}

}  // namespace controller::raft
