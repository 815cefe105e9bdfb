#include "controller/quorum/quorum_state_file.h"

#include <algorithm>
#include <array>

#include "common/model/mutant.h"
#include "common/records/crc32c.h"
#include "controller/quorum/big_endian.h"

namespace controller::quorum {

using common::disk::storage_error;
using common::model::BytesView;
using common::model::mutant;
using common::model::Result;
using common::model::Uuid;
using raft::NodeKey;

namespace {

constexpr uint32_t magic = 0x4e51'5354;  // "NQST"
constexpr uint16_t version = 1;
constexpr size_t slot_spacing = 4096;
constexpr size_t slot_size = 4 + 2 + 8 + 4 + 1 + 4 + 16 + 8 + 8 + 4;

struct Slot {
  QuorumState state;
  uint64_t sequence = 0;
};

common::model::Buffer encode(const QuorumState& state, uint64_t sequence) {
  ByteWriter out;
  const NodeKey vote = state.hard_state.voted_for.value_or(NodeKey{});
  out.number(magic, 4);
  out.number(version, 2);
  out.number(sequence, 8);
  out.number(static_cast<uint32_t>(state.hard_state.term.value), 4);
  out.number(state.hard_state.voted_for ? 1 : 0, 1);
  out.number(static_cast<uint32_t>(vote.id.value), 4);
  out.raw(std::as_bytes(std::span(vote.directory.bytes)));
  out.number(static_cast<uint64_t>(state.hard_state.committed_floor.value), 8);
  out.number(state.starts, 8);
  out.number(common::records::crc32c(out.view()), 4);
  return out.take();
}

std::optional<Slot> decode(BytesView bytes) {
  if (bytes.size() != slot_size) return std::nullopt;
  ByteReader in(bytes);
  Slot slot;
  if (in.number(4) != magic || in.number(2) != version) return std::nullopt;
  slot.sequence = in.number(8);
  slot.state.hard_state.term = common::model::Term(static_cast<int32_t>(in.number(4)));
  const bool has_vote = in.number(1) != 0;
  NodeKey vote;
  vote.id = common::model::BrokerId(static_cast<int32_t>(in.number(4)));
  const BytesView directory = in.raw(16);
  std::transform(directory.begin(), directory.end(), vote.directory.bytes.begin(), std::to_integer<uint8_t>);
  if (has_vote) slot.state.hard_state.voted_for = vote;
  slot.state.hard_state.committed_floor = common::model::LogIndex(static_cast<int64_t>(in.number(8)));
  slot.state.starts = in.number(8);
  if (in.number(4) != common::records::crc32c(bytes.first(slot_size - 4)) && !mutant<"R1-reads-a-torn-vote">())
    return std::nullopt;
  return slot;
}

}  // namespace

Result<QuorumStateFile::Opened> QuorumStateFile::open(common::disk::Disk& disk, const std::string& directory) {
  auto file = disk.open(directory + "/quorum-state", common::disk::OpenMode::create_if_missing);
  if (!file) return storage_error(file.error());
  // A vote that cannot be saved ends the node, and clients may have taken every descriptor by then (fault 40).
  if (auto held = (*file)->hold_open(); !held) return storage_error(held.error());
  if (auto done = (*file)->allocate(2 * slot_spacing); !done) return storage_error(done.error());
  Opened opened{std::unique_ptr<QuorumStateFile>(new QuorumStateFile(*std::move(file))), std::nullopt};
  QuorumStateFile& self = *opened.file;
  for (int i = 0; i < 2; ++i) {
    std::array<std::byte, slot_size> bytes{};
    const auto read = self.file_->read_at(static_cast<uint64_t>(i) * slot_spacing, bytes);
    if (!read) return storage_error(read.error());
    const auto slot = decode(BytesView(bytes).first(*read));
    if (!slot || (opened.state && slot->sequence <= self.sequence_)) continue;
    self.newest_slot_ = i;
    self.sequence_ = slot->sequence;
    self.state_ = slot->state;
    opened.state = slot->state;
  }
  return opened;
}

Result<void> QuorumStateFile::write_slot(int slot, const QuorumState& state, uint64_t sequence) {
  const auto bytes = encode(state, sequence);
  if (auto done = file_->write_at(static_cast<uint64_t>(slot) * slot_spacing, bytes.view()); !done)
    return storage_error(done.error());
  return {};
}

Result<void> QuorumStateFile::save_now(const QuorumState& state) {
  for (const int slot : {1 - newest_slot_, newest_slot_}) {
    if (auto done = write_slot(slot, state, sequence_ + 1); !done) return done;
    if (auto done = file_->sync_now(); !done) return storage_error(done.error());
  }
  ++sequence_;
  state_ = state;
  return {};
}

void QuorumStateFile::save(const QuorumState& state, std::function<void(Result<void>)> done) {
  NARU_CHECK(!waiting_, "one save at a time");
  state_ = state;
  waiting_ = std::move(done);
  if (!is_copying_) write_newest();  // else when the copy is durable: both slots must not be in flight together
}

void QuorumStateFile::write_newest() {
  const int slot = mutant<"R1-writes-over-the-newest-vote">() ? newest_slot_ : 1 - newest_slot_;
  if (auto written = write_slot(slot, state_, sequence_ + 1); !written) {
    return std::exchange(waiting_, nullptr)(written);
  }
  file_->sync([this, slot, alive = std::weak_ptr(alive_)](const common::disk::IoResult<void>& synced) {
    if (alive.expired()) return;
    if (!synced) return std::exchange(waiting_, nullptr)(storage_error(synced.error()));
    ++sequence_;
    newest_slot_ = slot;
    std::exchange(waiting_, nullptr)({});
    if (!alive.expired() && !waiting_) copy_to_other();
  });
}

void QuorumStateFile::copy_to_other() {
  is_copying_ = true;
  const auto written = write_slot(1 - newest_slot_, state_, sequence_);
  file_->sync([this, written, alive = std::weak_ptr(alive_)](const common::disk::IoResult<void>& synced) {
    if (alive.expired()) return;
    is_copying_ = false;
    if (!waiting_) return;
    if (!written) return std::exchange(waiting_, nullptr)(written);
    if (!synced) return std::exchange(waiting_, nullptr)(storage_error(synced.error()));
    write_newest();
  });
}

}  // namespace controller::quorum
