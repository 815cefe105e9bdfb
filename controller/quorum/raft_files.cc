#include "controller/quorum/raft_files.h"

#include <charconv>
#include <map>

#include <fmt/format.h>

#include "common/records/batch_builder.h"
#include "common/records/crc32c.h"
#include "controller/quorum/big_endian.h"

namespace controller::quorum {

using common::model::BrokerId;
using common::model::ErrorCode;
using common::model::fail;
using common::model::LogIndex;
using common::model::Term;
using common::model::Uuid;

namespace {

constexpr uint8_t entry_version = 1;
constexpr uint32_t snapshot_magic = 0x4e52'534e;  // "NRSN"
constexpr uint16_t snapshot_version = 1;

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string to_hex(BytesView bytes) {
  std::string text;
  for (const std::byte b : bytes) text += fmt::format("{:02x}", std::to_integer<int>(b));
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (error != std::errc() || end != text.data() + i + 2) return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

}  // namespace

Buffer encode_entry(const raft::Entry& entry, const raft::LogPosition& before, common::model::TimestampMs now) {
  ByteWriter key;
  key.number(entry_version, 1);
  key.number(static_cast<uint64_t>(entry.kind), 1);
  key.number(static_cast<uint32_t>(before.last_term.value), 4);
  key.number(before.checksum, 8);
  common::records::BatchOptions options;
  options.base_offset = common::model::Offset(entry.index.value);
  options.leader_epoch = common::model::LeaderEpoch(entry.term.value);
  common::records::BatchBuilder builder(options);
  common::records::NewRecord record;
  record.timestamp = now;
  record.key = key.view();
  record.value = entry.payload.view();
  builder.add(record);
  return builder.build();
}

Result<StoredEntry> decode_entry(const common::records::BatchView& batch) {
  if (!batch.crc_ok())
    return fail(ErrorCode::corrupt_message, fmt::format("entry {} has a wrong checksum", batch.base_offset()));
  StoredEntry stored;
  stored.entry.index = LogIndex(batch.base_offset().value);
  stored.entry.term = Term(batch.leader_epoch().value);
  stored.before.end = stored.entry.index;
  int records = 0;
  bool understood = true;
  common::records::DecompressLimits limits;
  limits.max_record_bytes = size_t{1} << 30;
  limits.max_output_bytes = size_t{1} << 30;
  const auto read = common::records::for_each_record(batch, limits, [&](const common::records::Record& record) {
    ++records;
    ByteReader key(record.key.value_or(BytesView()));
    understood = understood && key.number(1) == entry_version;
    stored.entry.kind = static_cast<raft::EntryKind>(key.number(1));
    stored.before.last_term = Term(static_cast<int32_t>(key.number(4)));
    stored.before.checksum = key.number(8);
    understood = understood && key.ok() && key.rest().empty();
    stored.entry.payload = Buffer::copy_of(record.value.value_or(BytesView()));
  });
  if (!read) return tl::unexpected(read.error());
  if (records != 1 || !understood)
    return fail(ErrorCode::corrupt_message,
                fmt::format("entry {} is not a Raft entry of a known version", batch.base_offset()));
  return stored;
}

Uuid cluster_uuid(const std::string& cluster_id) {
  if (const auto parsed = Uuid::parse(cluster_id)) return *parsed;
  uint64_t halves[2] = {0xcbf29ce484222325, 0x9e3779b97f4a7c15};
  for (const char c : cluster_id)
    for (uint64_t& half : halves) half = (half ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return Uuid::from_halves(halves[0], halves[1]);
}

std::string snapshot_file_name(const raft::LogPosition& position) {
  return fmt::format("{:020}-{:010}.checkpoint", position.end, position.last_term);
}

std::optional<raft::LogPosition> parse_snapshot_file_name(std::string_view name) {
  constexpr std::string_view suffix = ".checkpoint";
  if (name.size() != 31 + suffix.size() || !name.ends_with(suffix) || name[20] != '-') return std::nullopt;
  const auto end = parse_number<int64_t>(name.substr(0, 20));
  const auto term = parse_number<int32_t>(name.substr(21, 10));
  if (!end || !term) return std::nullopt;
  return raft::LogPosition{LogIndex(*end), Term(*term), 0};
}

Buffer encode_snapshot(const raft::Snapshot& snapshot) {
  const Buffer voters = snapshot.meta.voters.encode();
  ByteWriter out;
  out.number(snapshot_magic, 4);
  out.number(snapshot_version, 2);
  out.number(static_cast<uint64_t>(snapshot.meta.position.end.value), 8);
  out.number(static_cast<uint32_t>(snapshot.meta.position.last_term.value), 4);
  out.number(snapshot.meta.position.checksum, 8);
  out.number(voters.size(), 4);
  out.raw(voters.view());
  out.number(snapshot.state.size(), 8);
  out.number(snapshot.meta.state_checksum, 4);
  out.number(common::records::crc32c(out.view()), 4);
  out.raw(snapshot.state.view());
  return out.take();
}

Result<raft::Snapshot> decode_snapshot(const Buffer& file) {
  const auto corrupt = [](const char* what) {
    return fail(ErrorCode::corrupt_message, fmt::format("snapshot: {}", what));
  };
  ByteReader in(file.view());
  raft::Snapshot snapshot;
  if (in.number(4) != snapshot_magic || in.number(2) != snapshot_version) return corrupt("not one of a known version");
  snapshot.meta.position.end = LogIndex(static_cast<int64_t>(in.number(8)));
  snapshot.meta.position.last_term = Term(static_cast<int32_t>(in.number(4)));
  snapshot.meta.position.checksum = in.number(8);
  const BytesView voters_bytes = in.raw(in.number(4));
  snapshot.meta.size_bytes = in.number(8);
  snapshot.meta.state_checksum = static_cast<uint32_t>(in.number(4));
  const size_t header_size = file.size() - in.rest().size();
  const uint64_t header_checksum = in.number(4);
  if (!in.ok() || header_checksum != common::records::crc32c(file.view().first(header_size)))
    return corrupt("damaged header");
  auto voters = raft::VoterSet::decode(voters_bytes);
  if (!voters) return tl::unexpected(voters.error());
  snapshot.meta.voters = *std::move(voters);
  if (in.rest().size() != snapshot.meta.size_bytes) return corrupt("cut short");
  if (common::records::crc32c(in.rest()) != snapshot.meta.state_checksum) return corrupt("damaged state");
  snapshot.state = file.slice(header_size + 4);
  return snapshot;
}

// Lines of name=value, the last one crc32c= of everything before it.
std::string encode_properties(const QuorumProperties& p) {
  const std::string_view state = p.state == FormationState::formed     ? "formed"
                                 : p.state == FormationState::accepted ? "accepted"
                                                                       : "empty";
  std::string text =
      fmt::format("version=1\nnode.id={}\ndirectory.id={}\nstate={}\n", p.key.id, p.key.directory, state);
  if (p.state != FormationState::empty) text += fmt::format("cluster.id={}\n", p.cluster_id);
  if (!p.first_voters.empty()) text += fmt::format("first.voters={}\n", to_hex(p.first_voters.encode().view()));
  return text + fmt::format("crc32c={:08x}\n", common::records::crc32c(common::model::as_bytes(text)));
}

Result<QuorumProperties> decode_properties(std::string_view text) {
  const auto damaged = [] { return fail(ErrorCode::corrupt_message, "quorum.properties is damaged"); };
  std::map<std::string, std::string, std::less<>> values;
  const size_t last = text.rfind("crc32c=");
  if (last == std::string_view::npos) return damaged();
  const std::string checksum =
      fmt::format("crc32c={:08x}\n", common::records::crc32c(common::model::as_bytes(text.substr(0, last))));
  if (text.substr(last) != checksum) return damaged();
  for (std::string_view left = text.substr(0, last); !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return damaged();
    values.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  if (values["version"] != "1")
    return fail(ErrorCode::unsupported_version, "quorum.properties is of an unknown version");
  QuorumProperties p;
  const auto id = parse_number<int32_t>(values["node.id"]);
  const auto directory = Uuid::parse(values["directory.id"]);
  if (!id || !directory) return damaged();
  p.key = {BrokerId(*id), *directory};
  p.state = values["state"] == "formed"     ? FormationState::formed
            : values["state"] == "accepted" ? FormationState::accepted
                                            : FormationState::empty;
  p.cluster_id = values["cluster.id"];
  if (const auto hex = values.find("first.voters"); hex != values.end()) {
    const auto bytes = from_hex(hex->second);
    if (!bytes) return damaged();
    auto voters = raft::VoterSet::decode(common::model::as_bytes(*bytes));
    if (!voters) return tl::unexpected(voters.error());
    p.first_voters = *std::move(voters);
  }
  return p;
}

}  // namespace controller::quorum
