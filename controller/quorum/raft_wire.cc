#include "controller/quorum/raft_wire.h"

#include <algorithm>

namespace controller::quorum {

namespace wire = naru::cluster;
using common::model::Buffer;
using common::model::ErrorCode;
using common::model::LogIndex;
using common::model::Result;
using common::model::Term;
using common::model::Uuid;
using raft::BrokerId;

namespace {

common::model::Unexpected malformed(const std::string& what) {
  return common::model::fail(ErrorCode::invalid_request, "malformed Raft message: " + what);
}

std::string text_of(const Buffer& bytes) {
  return std::string(bytes.text());
}

void position_to(const raft::LogPosition& in, wire::LogPosition& out) {
  out.set_end(in.end.value);
  out.set_last_term(in.last_term.value);
  out.set_checksum(in.checksum);
}
raft::LogPosition position_from(const wire::LogPosition& in) {
  return {.end = LogIndex(in.end()), .last_term = Term(in.last_term()), .checksum = in.checksum()};
}

void meta_to(const raft::SnapshotMeta& in, wire::SnapshotMeta& out) {
  position_to(in.position, *out.mutable_position());
  out.set_voters(text_of(in.voters.encode()));
  out.set_size_bytes(in.size_bytes);
}

wire::VoteKind kind_to(raft::VoteKind kind) {
  switch (kind) {
    case raft::VoteKind::pre_vote:
      return wire::PRE_VOTE;
    case raft::VoteKind::vote:
      return wire::VOTE;
    case raft::VoteKind::transfer:
      return wire::TRANSFER;
  }
  return wire::PRE_VOTE;
}
Result<raft::VoteKind> kind_from(wire::VoteKind kind) {
  switch (kind) {
    case wire::PRE_VOTE:
      return raft::VoteKind::pre_vote;
    case wire::VOTE:
      return raft::VoteKind::vote;
    case wire::TRANSFER:
      return raft::VoteKind::transfer;
    default:
      return malformed("kind of vote");
  }
}

// One overload per body: value -> wire.
void body_to(const raft::VoteRequest& in, wire::RaftMessage& out) {
  wire::VoteRequest& m = *out.mutable_vote_request();
  m.set_kind(kind_to(in.kind));
  m.set_log_end(in.log_end.value);
  m.set_last_term(in.last_term.value);
}
void body_to(const raft::VoteResponse& in, wire::RaftMessage& out) {
  wire::VoteResponse& m = *out.mutable_vote_response();
  m.set_kind(kind_to(in.kind));
  m.set_asked_in(in.asked_in.value);
  m.set_granted(in.granted);
}
void body_to(const raft::AppendRequest& in, wire::RaftMessage& out) {
  wire::AppendRequest& m = *out.mutable_append_request();
  position_to(in.previous, *m.mutable_previous());
  for (const raft::Entry& entry : in.entries) {
    wire::Entry& e = *m.add_entries();
    e.set_index(entry.index.value);
    e.set_term(entry.term.value);
    e.set_kind(static_cast<int32_t>(entry.kind));
    e.set_payload(entry.payload.data(), entry.payload.size());
  }
  m.set_committed(in.committed.value);
  m.set_round(in.round);
}
void body_to(const raft::AppendResponse& in, wire::RaftMessage& out) {
  wire::AppendResponse& m = *out.mutable_append_response();
  m.set_outcome(in.outcome == raft::AppendOutcome::accepted   ? wire::ACCEPTED
                : in.outcome == raft::AppendOutcome::mismatch ? wire::MISMATCH
                                                              : wire::OLD_TERM);
  m.set_matched(in.matched.value);
  m.set_held(in.held.value);
  m.set_log_end(in.log_end.value);
  position_to(in.hint, *m.mutable_hint());
  m.set_round(in.round);
}
void body_to(const raft::SnapshotRequest& in, wire::RaftMessage& out) {
  wire::SnapshotRequest& m = *out.mutable_snapshot_request();
  meta_to(in.meta, *m.mutable_meta());
  m.set_offset(in.offset);
  m.set_bytes(in.bytes.data(), in.bytes.size());
  m.set_round(in.round);
}
void body_to(const raft::SnapshotResponse& in, wire::RaftMessage& out) {
  wire::SnapshotResponse& m = *out.mutable_snapshot_response();
  m.set_snapshot_end(in.snapshot_end.value);
  m.set_next_offset(in.next_offset);
  m.set_installed(in.installed);
  m.set_round(in.round);
}
void body_to(const raft::TimeoutNow&, wire::RaftMessage& out) {
  out.mutable_timeout_now();
}
void body_to(const raft::ObserverHello& in, wire::RaftMessage& out) {
  position_to(in.log, *out.mutable_observer_hello()->mutable_log());
}
void body_to(const raft::VotersHint& in, wire::RaftMessage& out) {
  out.mutable_voters_hint()->set_voters(text_of(in.voters.encode()));
}
void body_to(const raft::StateLostNotice& in, wire::RaftMessage& out) {
  out.mutable_state_lost()->set_acknowledged(in.acknowledged.value);
}

Result<raft::MessageBody> append_from(const wire::AppendRequest& in) {
  raft::AppendRequest body{.previous = position_from(in.previous()),
                           .entries = {},
                           .committed = LogIndex(in.committed()),
                           .round = in.round()};
  LogIndex next = body.previous.end;
  for (const wire::Entry& e : in.entries()) {
    if (e.index() != next.value) return malformed("entries do not follow each other");
    if (e.kind() < 0 || e.kind() > static_cast<int32_t>(raft::EntryKind::bootstrap)) return malformed("kind of entry");
    body.entries.push_back({.term = Term(e.term()),
                            .index = next,
                            .kind = static_cast<raft::EntryKind>(e.kind()),
                            .payload = Buffer::copy_of(e.payload())});
    next += 1;
  }
  return body;
}

Result<raft::MessageBody> append_response_from(const wire::AppendResponse& in) {
  raft::AppendResponse body{.outcome = raft::AppendOutcome::accepted,
                            .matched = LogIndex(in.matched()),
                            .held = LogIndex(in.held()),
                            .log_end = LogIndex(in.log_end()),
                            .hint = position_from(in.hint()),
                            .round = in.round()};
  switch (in.outcome()) {
    case wire::ACCEPTED:
      break;
    case wire::MISMATCH:
      body.outcome = raft::AppendOutcome::mismatch;
      break;
    case wire::OLD_TERM:
      body.outcome = raft::AppendOutcome::old_term;
      break;
    default:
      return malformed("outcome of an append");
  }
  return body;
}

Result<raft::MessageBody> snapshot_from(const wire::SnapshotRequest& in) {
  auto voters = raft::VoterSet::decode(common::model::as_bytes(in.meta().voters()));
  if (!voters) return tl::unexpected(voters.error());
  return raft::SnapshotRequest{.meta = {.position = position_from(in.meta().position()),
                                        .voters = std::move(*voters),
                                        .size_bytes = in.meta().size_bytes()},
                               .offset = in.offset(),
                               .bytes = Buffer::copy_of(in.bytes()),
                               .round = in.round()};
}

Result<raft::MessageBody> body_from(const wire::RaftMessage& in) {
  switch (in.body_case()) {
    case wire::RaftMessage::kVoteRequest: {
      const auto kind = kind_from(in.vote_request().kind());
      if (!kind) return tl::unexpected(kind.error());
      return raft::VoteRequest{.kind = *kind,
                               .log_end = LogIndex(in.vote_request().log_end()),
                               .last_term = Term(in.vote_request().last_term())};
    }
    case wire::RaftMessage::kVoteResponse: {
      const auto kind = kind_from(in.vote_response().kind());
      if (!kind) return tl::unexpected(kind.error());
      return raft::VoteResponse{
          .kind = *kind, .asked_in = Term(in.vote_response().asked_in()), .granted = in.vote_response().granted()};
    }
    case wire::RaftMessage::kAppendRequest:
      return append_from(in.append_request());
    case wire::RaftMessage::kAppendResponse:
      return append_response_from(in.append_response());
    case wire::RaftMessage::kSnapshotRequest:
      return snapshot_from(in.snapshot_request());
    case wire::RaftMessage::kSnapshotResponse: {
      const wire::SnapshotResponse& m = in.snapshot_response();
      return raft::SnapshotResponse{.snapshot_end = LogIndex(m.snapshot_end()),
                                    .next_offset = m.next_offset(),
                                    .installed = m.installed(),
                                    .round = m.round()};
    }
    case wire::RaftMessage::kTimeoutNow:
      return raft::TimeoutNow{};
    case wire::RaftMessage::kObserverHello:
      return raft::ObserverHello{.log = position_from(in.observer_hello().log())};
    case wire::RaftMessage::kVotersHint: {
      auto voters = raft::VoterSet::decode(common::model::as_bytes(in.voters_hint().voters()));
      if (!voters) return tl::unexpected(voters.error());
      return raft::VotersHint{.voters = std::move(*voters)};
    }
    case wire::RaftMessage::kStateLost:
      return raft::StateLostNotice{.acknowledged = LogIndex(in.state_lost().acknowledged())};
    case wire::RaftMessage::BODY_NOT_SET:
      break;
  }
  return malformed("no body");
}

}  // namespace

std::string uuid_bytes(const Uuid& id) {
  return id.is_zero() ? std::string() : std::string(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

Result<Uuid> uuid_from(const std::string& bytes) {
  Uuid id;
  if (bytes.empty()) return id;
  if (bytes.size() != id.bytes.size()) return malformed("an id of another length than 16");
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

void to_wire(const raft::NodeKey& key, wire::NodeKey& out) {
  out.set_id(key.id.value);
  out.set_directory_id(uuid_bytes(key.directory));
}

Result<raft::NodeKey> from_wire(const wire::NodeKey& in) {
  const auto directory = uuid_from(in.directory_id());
  if (!directory) return tl::unexpected(directory.error());
  return raft::NodeKey{.id = BrokerId(in.id()), .directory = *directory};
}

void to_wire(const raft::Voter& voter, wire::Voter& out) {
  to_wire(voter.key, *out.mutable_key());
  out.mutable_endpoint()->set_host(voter.endpoint.host);
  out.mutable_endpoint()->set_port(voter.endpoint.port);
  out.mutable_versions()->set_min(voter.versions.min);
  out.mutable_versions()->set_max(voter.versions.max);
}

Result<raft::Voter> from_wire(const wire::Voter& in) {
  const auto key = from_wire(in.key());
  if (!key) return tl::unexpected(key.error());
  if (in.endpoint().port() < 0 || in.endpoint().port() > 65535) return malformed("a port");
  return raft::Voter{
      .key = *key,
      .endpoint = {.host = in.endpoint().host(), .port = static_cast<uint16_t>(in.endpoint().port())},
      .versions = {.min = static_cast<int16_t>(in.versions().min()), .max = static_cast<int16_t>(in.versions().max())}};
}

void to_wire(const raft::Message& message, wire::RaftMessage& out) {
  to_wire(message.from, *out.mutable_from());
  to_wire(message.to, *out.mutable_to());
  out.set_term(message.term.value);
  std::visit([&out](const auto& body) { body_to(body, out); }, message.body);
}

Result<raft::Message> from_wire(const wire::RaftMessage& in) {
  const auto from = from_wire(in.from());
  if (!from) return tl::unexpected(from.error());
  const auto to = from_wire(in.to());
  if (!to) return tl::unexpected(to.error());
  if (in.term() < 0) return malformed("a negative term");
  auto body = body_from(in);
  if (!body) return tl::unexpected(body.error());
  return raft::Message{.from = *from, .to = *to, .term = Term(in.term()), .body = std::move(*body)};
}

}  // namespace controller::quorum
