#include "common/log/batch_scan.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/log/big_endian.h"
#include "common/records/crc32c.h"

namespace common::log {

using disk::IoResult;
using model::BytesView;
using records::BatchFacts;
using records::BatchView;

IoResult<BytesView> FileWindow::at(uint64_t position, size_t length) {
  if (position >= end_) return BytesView();
  length = static_cast<size_t>(std::min<uint64_t>(length, end_ - position));
  if (position < begin_ || position + length > begin_ + bytes_.size()) {
    bytes_.resize(static_cast<size_t>(std::min<uint64_t>(std::max(length, chunk_bytes_), end_ - position)));
    begin_ = position;
    auto n = waiting_ == Waiting::never ? file_.try_read(position, bytes_) : file_.read_at(position, bytes_);
    bytes_.resize(n.value_or(0));
    if (!n) return tl::unexpected(n.error());
  }
  const BytesView window = BytesView(bytes_).subspan(static_cast<size_t>(position - begin_));
  return window.first(std::min(length, window.size()));
}

namespace {

constexpr size_t crc_position = 17;  // within a batch; it covers what follows it (common/records/batch.h)

IoResult<bool> only_zeros(FileWindow& window, uint64_t position, uint64_t end) {
  constexpr size_t step = 64 << 10;
  for (; position < end; position += step) {
    auto bytes = window.at(position, step);
    if (!bytes) return tl::unexpected(bytes.error());
    if (std::any_of(bytes->begin(), bytes->end(), [](std::byte b) { return b != std::byte{0}; })) return false;
  }
  return true;
}

std::optional<std::string> out_of_order(const BatchView& batch, const ScanResult& so_far, const ScanStart& start) {
  const bool is_first = so_far.position == start.position;
  const bool contains_start = start.first_may_begin_earlier && is_first && batch.last_offset() >= so_far.next_offset;
  if (batch.base_offset() < so_far.next_offset && !contains_start) {
    return fmt::format("offset {} where {} was expected", batch.base_offset(), so_far.next_offset);
  }
  if (batch.base_offset() > so_far.next_offset && !start.allow_offset_gaps) {
    return fmt::format("offset {} where {} was expected", batch.base_offset(), so_far.next_offset);
  }
  if (batch.last_offset() > start.last_offset_max) {
    return fmt::format("offset {} lies too far from the segment's base", batch.last_offset());
  }
  if (so_far.epoch && batch.leader_epoch() < *so_far.epoch) {
    return fmt::format("leader epoch {} after {}", batch.leader_epoch(), *so_far.epoch);
  }
  return start.known.contradiction(batch.last_offset(), batch.leader_epoch());
}

}  // namespace

std::optional<std::string> KnownEpochs::contradiction(Offset last_offset, LeaderEpoch epoch) const {
  if (epoch < LeaderEpoch(0)) return fmt::format("leader epoch {}", epoch);
  if (epochs == nullptr || last_offset >= below) return std::nullopt;
  const bool may_be_newer = last_offset >= newest_from && epochs->epoch_at(last_offset) == epochs->latest();
  if (may_be_newer && epoch > epochs->latest()) return std::nullopt;
  return epochs->contradiction(last_offset, epoch);
}

IoResult<ScanResult> scan_batches(disk::File& file, const ScanStart& start, const BatchVisitor& f) {
  FileWindow window(file, start.end, 1 << 20, Waiting::allowed);
  ScanResult result{start.position, start.next_offset, start.epoch, ScanEnd::complete, {}};
  const auto ended = [&](ScanEnd end, std::string reason) {
    result.end = end;
    result.reason = std::move(reason);
    return result;
  };
  while (result.position < start.end) {
    auto head = window.at(result.position, records::batch_header_size);
    if (!head) return tl::unexpected(head.error());
    const auto size = BatchView::size_at(*head);
    if (!size || *size > start.end - result.position) {
      auto zeros = only_zeros(window, result.position, start.end);
      if (!zeros) return tl::unexpected(zeros.error());
      if (*zeros) return ended(ScanEnd::zeros, "only zeros");
      if (size || start.end - result.position < records::batch_length_prefix_size) {
        return ended(ScanEnd::incomplete, "the file ends within a batch");
      }
      return ended(ScanEnd::bad, "no batch length");
    }
    auto bytes = window.at(result.position, *size);
    if (!bytes) return tl::unexpected(bytes.error());
    const auto batch = BatchView::parse(*bytes);
    if (!batch) return ended(ScanEnd::bad, batch.error().message);
    if (!batch->crc_ok()) return ended(ScanEnd::bad, "checksum mismatch");
    if (auto reason = out_of_order(*batch, result, start)) return ended(ScanEnd::bad, std::move(*reason));
    const auto facts = records::facts_of(*batch, result.position);
    if (!facts) return ended(ScanEnd::bad, facts.error().message);
    f(*facts);
    result.position += *size;
    result.next_offset = batch->next_offset();
    result.epoch = batch->leader_epoch();
  }
  return result;
}

IoResult<bool> checksum_fits_some_length(disk::File& file, uint64_t position, uint64_t end) {
  FileWindow window(file, end, 1 << 20, Waiting::allowed);
  auto head = window.at(position, records::batch_header_size);
  if (!head) return tl::unexpected(head.error());
  if (head->size() < records::batch_header_size) return false;
  const uint32_t wanted = load_big_endian<uint32_t>(head->data() + crc_position);
  uint32_t crc = records::crc32c({});
  constexpr size_t step = 64 << 10;
  for (uint64_t at = position + crc_position + sizeof(wanted); at < end; at += step) {
    auto bytes = window.at(at, step);
    if (!bytes) return tl::unexpected(bytes.error());
    for (size_t i = 0; i < bytes->size(); ++i) {
      crc = records::crc32c_extend(crc, bytes->subspan(i, 1));
      if (crc == wanted && at + i + 1 >= position + records::batch_header_size) return true;
    }
  }
  return false;
}

IoResult<bool> walk_headers(disk::File& file, uint64_t position, uint64_t end, Waiting waiting,
                            const HeaderVisitor& f) {
  FileWindow window(file, end, 4096, waiting);
  while (position < end) {
    auto head = window.at(position, records::batch_header_size);
    if (!head) return tl::unexpected(head.error());
    const auto batch = BatchView::parse_header(*head);
    if (!batch || batch->size_bytes() > end - position) return false;
    const BatchAt at{position,
                     batch->size_bytes(),
                     batch->base_offset(),
                     batch->last_offset(),
                     batch->largest_timestamp(),
                     batch->leader_epoch()};
    if (f(at) == records::Visit::stop) return true;
    position = at.end();
  }
  return true;
}

IoResult<bool> walk_facts(disk::File& file, uint64_t position, uint64_t end, const BatchVisitor& f) {
  FileWindow window(file, end, 4096, Waiting::allowed);
  while (position < end) {
    auto head = window.at(position, records::batch_header_size);
    if (!head) return tl::unexpected(head.error());
    auto batch = BatchView::parse_header(*head);
    const size_t size = batch ? batch->size_bytes() : 0;
    if (!batch || size > end - position) return false;
    if (batch->is_control()) {
      auto whole = window.at(position, size);
      if (!whole) return tl::unexpected(whole.error());
      batch = BatchView::parse(*whole);
      if (!batch) return false;
    }
    const auto facts = records::facts_of(*batch, static_cast<size_t>(position));
    if (!facts) return false;
    f(*facts);
    position += size;
  }
  return true;
}

}  // namespace common::log
