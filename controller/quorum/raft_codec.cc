#include "controller/quorum/raft_codec.h"

#include <algorithm>

namespace controller::quorum {

namespace pb = naru::cluster;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::ErrorCode;
using common::model::fail;
using common::model::LogIndex;
using common::model::Result;
using common::model::Term;

namespace {

void encode(const raft::LogPosition& position, pb::LogPosition& out) {
  out.set_end(position.end.value);
  out.set_last_term(position.last_term.value);
  out.set_checksum(position.checksum);
}
raft::LogPosition decode(const pb::LogPosition& in) {
  return {LogIndex(in.end()), Term(in.last_term()), in.checksum()};
}
// Nobody counts that far, and arithmetic on larger ones could overflow.
constexpr Term term_max{1 << 30};
constexpr LogIndex index_max{int64_t{1} << 60};
bool is_sane(const raft::LogPosition& p) {
  return p.end >= LogIndex(0) && p.end <= index_max && p.last_term >= Term(0) && p.last_term <= term_max;
}

void encode(const raft::SnapshotMeta& meta, pb::SnapshotMeta& out) {
  encode(meta.position, *out.mutable_position());
  out.set_voters(std::string(meta.voters.encode().text()));
  out.set_size_bytes(meta.size_bytes);
  out.set_state_checksum(meta.state_checksum);
}

// One overload for each body, into the message's oneof.
struct EncodeBody {
  pb::RaftMessage& out;

  void operator()(const raft::VoteRequest& m) const {
    auto& to = *out.mutable_vote_request();
    to.set_kind(static_cast<pb::VoteKind>(m.kind));
    to.set_log_end(m.log_end.value);
    to.set_last_term(m.last_term.value);
  }
  void operator()(const raft::VoteResponse& m) const {
    auto& to = *out.mutable_vote_response();
    to.set_kind(static_cast<pb::VoteKind>(m.kind));
    to.set_asked_in(m.asked_in.value);
    to.set_granted(m.granted);
  }
  void operator()(const raft::AppendRequest& m) const {
    auto& to = *out.mutable_append_request();
    encode(m.previous, *to.mutable_previous());
    for (const raft::Entry& entry : m.entries) {
      auto& e = *to.add_entries();
      e.set_index(entry.index.value);
      e.set_term(entry.term.value);
      e.set_kind(static_cast<int32_t>(entry.kind));
      e.set_payload(entry.payload.data(), entry.payload.size());
    }
    to.set_committed(m.committed.value);
    to.set_round(m.round);
  }
  void operator()(const raft::AppendResponse& m) const {
    auto& to = *out.mutable_append_response();
    to.set_outcome(static_cast<pb::AppendOutcome>(m.outcome));
    to.set_matched(m.matched.value);
    to.set_held(m.held.value);
    to.set_log_end(m.log_end.value);
    encode(m.hint, *to.mutable_hint());
    to.set_round(m.round);
  }
  void operator()(const raft::SnapshotRequest& m) const {
    auto& to = *out.mutable_snapshot_request();
    encode(m.meta, *to.mutable_meta());
    to.set_offset(m.offset);
    to.set_bytes(m.bytes.data(), m.bytes.size());
    to.set_round(m.round);
  }
  void operator()(const raft::SnapshotResponse& m) const {
    auto& to = *out.mutable_snapshot_response();
    to.set_snapshot_end(m.snapshot_end.value);
    to.set_next_offset(m.next_offset);
    to.set_installed(m.installed);
    to.set_round(m.round);
  }
  void operator()(const raft::TimeoutNow&) const { out.mutable_timeout_now(); }
  void operator()(const raft::ObserverHello& m) const { encode(m.log, *out.mutable_observer_hello()->mutable_log()); }
  void operator()(const raft::VotersHint& m) const {
    out.mutable_voters_hint()->set_voters(std::string(m.voters.encode().text()));
  }
  void operator()(const raft::StateLostNotice& m) const {
    out.mutable_state_lost()->set_acknowledged(m.acknowledged.value);
  }
};

Result<raft::MessageBody> nonsense() {
  return fail(ErrorCode::invalid_request, "a Raft message that cannot be meant");
}

bool is_vote_kind(int kind) {
  return kind >= 0 && kind <= static_cast<int>(raft::VoteKind::transfer);
}

Result<raft::MessageBody> decode_append(const pb::AppendRequest& in) {
  raft::AppendRequest m;
  m.previous = decode(in.previous());
  m.committed = LogIndex(in.committed());
  m.round = in.round();
  for (const pb::Entry& e : in.entries()) {
    if (e.kind() < 0 || e.kind() > static_cast<int>(raft::EntryKind::bootstrap)) return nonsense();
    raft::Entry entry;
    entry.term = Term(e.term());
    entry.index = LogIndex(e.index());
    entry.kind = static_cast<raft::EntryKind>(e.kind());
    entry.payload = Buffer::copy_of(e.payload());
    m.entries.push_back(std::move(entry));
  }
  if (!is_sane(m.previous) || m.committed < LogIndex(0)) return nonsense();
  return m;
}

Result<raft::MessageBody> decode_append_response(const pb::AppendResponse& in) {
  if (in.outcome() < 0 || in.outcome() > static_cast<int>(raft::AppendOutcome::old_term)) return nonsense();
  raft::AppendResponse m;
  m.outcome = static_cast<raft::AppendOutcome>(in.outcome());
  m.matched = LogIndex(in.matched());
  m.held = LogIndex(in.held());
  m.log_end = LogIndex(in.log_end());
  m.hint = decode(in.hint());
  m.round = in.round();
  if (!is_sane(m.hint) || m.matched < LogIndex(0) || m.held < m.matched) return nonsense();
  return m;
}

Result<raft::MessageBody> decode_snapshot(const pb::SnapshotRequest& in) {
  raft::SnapshotRequest m;
  m.meta.position = decode(in.meta().position());
  auto voters = raft::VoterSet::decode(common::model::as_bytes(in.meta().voters()));
  if (!voters) return tl::unexpected(voters.error());
  m.meta.voters = *std::move(voters);
  m.meta.size_bytes = in.meta().size_bytes();
  m.meta.state_checksum = in.meta().state_checksum();
  m.offset = in.offset();
  m.bytes = Buffer::copy_of(in.bytes());
  m.round = in.round();
  if (!is_sane(m.meta.position)) return nonsense();
  return m;
}

Result<raft::MessageBody> decode_body(const pb::RaftMessage& in) {
  switch (in.body_case()) {
    case pb::RaftMessage::kVoteRequest: {
      const auto& v = in.vote_request();
      if (!is_vote_kind(v.kind()) || v.log_end() < 0) return nonsense();
      return raft::VoteRequest{static_cast<raft::VoteKind>(v.kind()), LogIndex(v.log_end()), Term(v.last_term())};
    }
    case pb::RaftMessage::kVoteResponse: {
      const auto& v = in.vote_response();
      if (!is_vote_kind(v.kind())) return nonsense();
      return raft::VoteResponse{static_cast<raft::VoteKind>(v.kind()), Term(v.asked_in()), v.granted()};
    }
    case pb::RaftMessage::kAppendRequest:
      return decode_append(in.append_request());
    case pb::RaftMessage::kAppendResponse:
      return decode_append_response(in.append_response());
    case pb::RaftMessage::kSnapshotRequest:
      return decode_snapshot(in.snapshot_request());
    case pb::RaftMessage::kSnapshotResponse: {
      const auto& s = in.snapshot_response();
      if (s.snapshot_end() < 0) return nonsense();
      return raft::SnapshotResponse{LogIndex(s.snapshot_end()), s.next_offset(), s.installed(), s.round()};
    }
    case pb::RaftMessage::kTimeoutNow:
      return raft::TimeoutNow{};
    case pb::RaftMessage::kObserverHello: {
      const raft::ObserverHello hello{decode(in.observer_hello().log())};
      if (!is_sane(hello.log)) return nonsense();
      return hello;
    }
    case pb::RaftMessage::kVotersHint: {
      auto voters = raft::VoterSet::decode(common::model::as_bytes(in.voters_hint().voters()));
      if (!voters) return tl::unexpected(voters.error());
      return raft::VotersHint{*std::move(voters)};
    }
    case pb::RaftMessage::kStateLost:
      return raft::StateLostNotice{LogIndex(in.state_lost().acknowledged())};
    case pb::RaftMessage::BODY_NOT_SET:
      break;
  }
  return nonsense();
}

}  // namespace

void encode(const raft::NodeKey& key, pb::NodeKey& out) {
  out.set_id(key.id.value);
  if (!key.directory.is_zero()) out.set_directory_id(key.directory.bytes.data(), key.directory.bytes.size());
}

Result<raft::NodeKey> decode(const pb::NodeKey& in) {
  raft::NodeKey key;
  key.id = BrokerId(in.id());
  const std::string& directory = in.directory_id();
  if (key.id < BrokerId(0) || (!directory.empty() && directory.size() != key.directory.bytes.size()))
    return fail(ErrorCode::invalid_request, "not a node and directory id");
  std::copy(directory.begin(), directory.end(), key.directory.bytes.begin());
  return key;
}

void encode(const raft::Message& message, pb::RaftMessage& out) {
  encode(message.from, *out.mutable_from());
  encode(message.to, *out.mutable_to());
  out.set_term(message.term.value);
  std::visit(EncodeBody{out}, message.body);
}

Result<raft::Message> decode(const pb::RaftMessage& in) {
  auto from = decode(in.from());
  auto to = decode(in.to());
  if (!from) return tl::unexpected(from.error());
  if (!to) return tl::unexpected(to.error());
  if (in.term() < 0 || Term(in.term()) > term_max || from->directory.is_zero())
    return fail(ErrorCode::invalid_request, "a Raft message without a sender");
  auto body = decode_body(in);
  if (!body) return tl::unexpected(body.error());
  return raft::Message{*from, *to, Term(in.term()), *std::move(body)};
}

}  // namespace controller::quorum
