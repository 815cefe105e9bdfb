// Reading: from the tail cache, from the page cache, from the medium.
#include <algorithm>

#include <fmt/format.h>

#include "common/log/log_impl.h"
#include "common/model/mutant.h"

namespace common::log {

using common::model::mutant;

using model::BytesView;
using model::ErrorCode;
using model::fail;
using records::BatchView;

namespace {

// Of a segment: a reader of the medium that has come so near to its end is looked for in memory again. Where the tail
// cache holds nothing it would else stay with the pool for ever.
constexpr uint64_t little_left = 256 << 10;

model::Unexpected corrupt(const disk::File& file, uint64_t position, std::string_view what) {
  return fail(ErrorCode::corrupt_message, fmt::format("{} at byte {}: {}", file.path(), position, what));
}

// The index may say nothing or lie (R74): what it points to must be the batch that it names.
IoResult<bool> names_its_batch(const ReadPlan& plan, const OffsetEntry& entry, Waiting waiting) {
  std::array<std::byte, records::batch_header_size> bytes;
  if (entry.position >= plan.size_bytes) return false;
  auto n = waiting == Waiting::never ? plan.file->try_read(entry.position, bytes)
                                     : plan.file->read_at(entry.position, bytes);
  if (!n) return tl::unexpected(n.error());
  const auto header = BatchView::parse_header(BytesView(bytes).first(*n));
  return header && header->last_offset() == plan.base + entry.relative_offset &&
         header->base_offset() <= plan.request.from;
}

IoResult<uint64_t> starting_point(const ReadPlan& plan, Waiting waiting) {
  std::optional<OffsetEntry> entry = plan.hint;
  if (!entry && plan.index.file) {
    auto count = plan.index.count_up_to(plan.request.from - plan.base, waiting);
    if (!count) {
      if (count.error().fault != IoFault::failed && count.error().fault != IoFault::not_found)
        return tl::unexpected(count.error());
    } else if (*count > 0) {
      auto found = plan.index.at(*count - 1, waiting);
      if (!found) return tl::unexpected(found.error());
      entry = *found;
    }
  }
  if (!entry) return 0;
  auto good = names_its_batch(plan, *entry, waiting);
  if (!good) return tl::unexpected(good.error());
  return *good ? entry->position : 0;
}

// Takes whole, checked batches from `bytes` while the request allows. The first lies at `position`.
Result<ReadOutcome> take_batches(const ReadPlan& plan, const Buffer& bytes, uint64_t position) {
  const ReadRequest& request = plan.request;
  ReadOutcome outcome{{{}, request.from, false}, position};
  size_t taken = 0;
  Offset expected = request.from;
  while (taken < bytes.size()) {
    const BytesView rest = bytes.view().subspan(taken);
    const auto size = BatchView::size_at(rest);
    if (rest.size() >= records::batch_length_prefix_size && !size)
      return corrupt(*plan.file, position + taken, "no batch length");
    if (!size || *size > rest.size()) break;  // the next one is there in part
    if (taken + *size > request.max_bytes && !(taken == 0 && request.at_least_one == AtLeastOneBatch::yes)) break;
    const auto batch = BatchView::parse(rest);
    if (!batch) return corrupt(*plan.file, position + taken, batch.error().message);
    const bool is_next = batch->base_offset() == expected || (taken == 0 && batch->base_offset() < expected);
    if (!is_next && (!plan.may_have_gaps || batch->base_offset() < expected))
      return corrupt(*plan.file, position + taken,
                     fmt::format("offset {}, expected {}", batch->base_offset(), expected));
    // No checksum covers a batch's offset: where batches may be missing it could pass for one of later on, and what is
    // asked for for a gap that reaches to the end.
    if (batch->last_offset() >= plan.end && !mutant<"R72-believes-an-offset-beyond-the-end">())
      return corrupt(*plan.file, position + taken,
                     fmt::format("offset {} in a segment that ends at {}", batch->last_offset(), plan.end));
    // Rot is never served and never spread (fault 31), nor taken for a batch that ends beyond the limit.
    const bool is_beyond = batch->last_offset() >= request.limit;
    if (is_beyond && taken > 0) break;
    if (!batch->crc_ok()) return corrupt(*plan.file, position + taken, "checksum mismatch");
    if (const auto wrong = plan.epochs.contradiction(batch->last_offset(), batch->leader_epoch()))
      return corrupt(*plan.file, position + taken, *wrong);
    if (is_beyond) break;
    expected = batch->next_offset();
    taken += *size;
    outcome.result.next_offset = batch->next_offset();
  }
  if (taken > 0) outcome.result.records = bytes.slice(0, taken);
  outcome.end_position = position + taken;
  return outcome;
}

IoResult<Buffer> read_bytes(disk::File& file, uint64_t position, size_t length, Waiting waiting) {
  std::shared_ptr<std::byte[]> memory(new std::byte[length]);
  const std::span<std::byte> into(memory.get(), length);
  auto n = waiting == Waiting::never ? file.try_read(position, into) : file.read_at(position, into);
  if (!n) return tl::unexpected(n.error());
  return Buffer(std::move(memory), BytesView(into).first(*n));
}

// Where the batch with `from` begins, or the first one after it.
struct FoundBatch {
  std::optional<uint64_t> position;  // none: no batch of this segment reaches so far
  // The batch before, if it ends before `from` and nothing begins there. Its last offset says so, and may have rotted:
  // then what is taken for a gap are its own records.
  std::optional<BatchAt> before_gap;
};

// None: a header is damaged.
IoResult<std::optional<FoundBatch>> find_batch(const ReadPlan& plan, uint64_t start, Waiting waiting) {
  FoundBatch found;
  const Offset from = plan.request.from;
  auto walked = walk_headers(*plan.file, start, plan.size_bytes, waiting, [&](const BatchAt& batch) {
    if (batch.last_offset < from) {
      found.before_gap = batch;
      return records::Visit::go_on;
    }
    if (batch.base_offset <= from) found.before_gap.reset();
    found.position = batch.position;
    return records::Visit::stop;
  });
  if (!walked) return tl::unexpected(walked.error());
  if (!*walked) return std::nullopt;
  return found;
}

IoResult<bool> is_whole(const ReadPlan& plan, const BatchAt& at, Waiting waiting) {
  auto bytes = read_bytes(*plan.file, at.position, at.size_bytes, waiting);
  if (!bytes) return tl::unexpected(bytes.error());
  const auto batch = BatchView::parse(bytes->view());
  return batch && batch->crc_ok();
}

}  // namespace

Result<std::optional<ReadOutcome>> carry_out(const ReadPlan& plan, Waiting waiting) {
  const auto failed = [](const IoError& error) -> Result<std::optional<ReadOutcome>> {
    if (error.fault == IoFault::would_block) return std::nullopt;
    // Only a medium that fails is called so; whatever may work at the next attempt is told as something to try again.
    if (error.fault != IoFault::failed) return fail(ErrorCode::leader_not_available, error.message);
    return disk::storage_error(error);
  };
  const ReadRequest& request = plan.request;
  std::optional<uint64_t> position = plan.exact_position;
  if (!position) {
    auto start = starting_point(plan, waiting);
    if (!start) return failed(start.error());
    auto found = find_batch(plan, *start, waiting);
    if (!found) return failed(found.error());
    if (!*found) return corrupt(*plan.file, *start, "a batch header before the one asked for is damaged");
    if (const auto& before = (*found)->before_gap) {
      auto whole = is_whole(plan, *before, waiting);
      if (!whole) return failed(whole.error());
      if (!*whole && !mutant<"R72-skips-a-damaged-batch-as-a-gap">())
        return corrupt(*plan.file, before->position, "the batch before a gap is damaged");
    }
    position = (*found)->position;
    if (!position) return ReadOutcome{{{}, request.from, false}, std::nullopt};  // a gap up to the next segment
  }
  const uint64_t rest = plan.size_bytes - *position;
  size_t length =
      static_cast<size_t>(std::min<uint64_t>(rest, std::max<size_t>(request.max_bytes, records::batch_header_size)));
  for (;;) {
    auto bytes = read_bytes(*plan.file, *position, length, waiting);
    if (!bytes) return failed(bytes.error());
    if (bytes->size() < length) return corrupt(*plan.file, *position, "the file is shorter than it was");
    const auto first = BatchView::size_at(bytes->view());
    if (!first || *first > rest) return corrupt(*plan.file, *position, "no batch length");
    if (*first > length && request.at_least_one == AtLeastOneBatch::yes) {
      length = *first;
      continue;
    }
    return take_batches(plan, *bytes, *position);
  }
}

Result<bool> Log::Impl::check_readable(const ReadRequest& request) const {
  if (is_emptying) return fail(ErrorCode::offset_not_available, fmt::format("{} is being emptied", directory));
  if (request.from < log_start || request.from > log_end) {
    return fail(ErrorCode::offset_out_of_range, fmt::format("offset {} of [{}, {}]", request.from, log_start, log_end));
  }
  return request.from < std::min(request.limit, log_end);
}

Segment* Log::Impl::segment_for(Offset offset) {
  const auto after = std::upper_bound(segments.begin(), segments.end(), offset,
                                      [](Offset o, const auto& segment) { return o < segment->base; });
  return after == segments.begin() ? segments.front().get() : std::prev(after)->get();
}

void Log::Impl::remember_position(Offset next_offset, const Segment& segment, uint64_t position, bool is_from_medium) {
  const Position now{next_offset, segment.base, position, is_from_medium};
  for (auto& known : positions) {
    if (!known || known->next_offset != next_offset || known->segment_base != segment.base) continue;
    known = now;
    return;
  }
  positions[next_position] = now;
  next_position = (next_position + 1) % positions.size();
}

Result<ReadPlan> Log::Impl::plan(const ReadRequest& request, Segment& segment, Waiting waiting) {
  const auto next = std::upper_bound(segments.begin(), segments.end(), segment.base,
                                     [](Offset o, const auto& s) { return o < s->base; });
  const Offset end = next == segments.end() ? log_end : (*next)->base;
  ReadPlan plan{
      request, segment.file, segment.base, end, segment.size_bytes, has_gaps, epochs.within(request.from, end), {}, {},
      {}};
  for (const auto& known : positions) {
    if (known && known->next_offset == request.from && known->segment_base == segment.base &&
        known->position < segment.size_bytes) {
      plan.exact_position = known->position;
      plan.goes_on_from_medium = known->is_from_medium;
      return plan;
    }
  }
  const std::string index = path(segment.base, offset_index_suffix);
  auto hint = segment.offsets.find(disk, index, request.from - segment.base, waiting);
  if (hint) {
    plan.hint = *hint;
  } else if (hint.error().fault == IoFault::would_block) {
    plan.index = segment.offsets.reader(disk, index);
  }  // any other failure: without the index, from the start of the segment
  return plan;
}

// Readers would be told the same for ever. Of a damaged place whoever keeps this replica is told once (R72); a medium
// that cannot be read takes its directory offline, as one that cannot be written does, and another replica serves them
// (R76).
model::Unexpected Log::Impl::unread(const Error& error) {
  if (error.code == ErrorCode::kafka_storage_error) set_failed({IoFault::failed, error.message});
  if (error.code == ErrorCode::corrupt_message) set_damaged(error);
  return tl::unexpected(error);
}

Result<ReadResult> Log::Impl::read(const ReadRequest& request, Waiting waiting) {
  auto result = look(request, waiting);
  if (!result) return unread(result.error());
  return result;
}

Result<ReadResult> Log::Impl::look(const ReadRequest& request, Waiting waiting) {
  auto readable = check_readable(request);
  if (!readable) return tl::unexpected(readable.error());
  ReadResult nothing{{}, request.from, false};
  if (!*readable) return nothing;
  if (auto found =
          tail.find(request.from, request.limit, request.max_bytes, request.at_least_one == AtLeastOneBatch::yes)) {
    return ReadResult{std::move(found->bytes), found->next_offset, false};
  }
  for (Segment* segment = segment_for(request.from);;) {
    auto planned = plan(request, *segment, waiting);
    if (!planned) return tl::unexpected(planned.error());
    // The kernel reads ahead of who reads the medium from one end to the other, so that all but the first megabyte is
    // found in memory: to copy and to check it here takes milliseconds, in which producers wait. Such a reader stays
    // with the pool until it has nearly caught up.
    if (waiting == Waiting::never && planned->goes_on_from_medium) return ReadResult{{}, request.from, true};
    auto outcome = carry_out(*planned, waiting);
    if (!outcome) return tl::unexpected(outcome.error());
    if (!*outcome) return ReadResult{{}, request.from, true};
    ReadOutcome& read = **outcome;
    if (read.end_position) {
      if (!read.result.records.empty())
        remember_position(read.result.next_offset, *segment, *read.end_position, false);
      return std::move(read.result);
    }
    const auto next = std::upper_bound(segments.begin(), segments.end(), segment->base,
                                       [](Offset o, const auto& s) { return o < s->base; });
    if (next == segments.end()) return nothing;
    segment = next->get();
  }
}

void Log::Impl::read_cold(const ReadRequest& request, ReadDone done) {
  auto readable = check_readable(request);
  if (!readable) return done(tl::unexpected(readable.error()));
  if (!*readable) return done(ReadResult{{}, request.from, false});
  Segment& segment = *segment_for(request.from);
  auto planned = plan(request, segment, Waiting::never);
  if (!planned) return done(tl::unexpected(planned.error()));
  auto outcome = std::make_shared<Result<std::optional<ReadOutcome>>>();
  disk.offload(
      disk::Job::reads,
      [plan = std::move(*planned), outcome]() -> IoResult<void> {
        *outcome = carry_out(plan, Waiting::allowed);
        return {};
      },
      guarded([this, request, outcome, base = segment.base, began = generation,
               done = std::move(done)](const IoResult<void>&) {
        // Truncated, or the segment deleted, while we read: whatever we have is void (KAFKA-18723).
        Segment* now = segment_for(request.from);
        if (began != generation || now->base != base) return read_any(request, done);
        if (!*outcome) return done(unread(outcome->error()));
        ReadOutcome& read = ***outcome;
        if (!read.end_position) {
          auto next = this->read(request, Waiting::allowed);  // a gap before the next segment: rare
          return done(std::move(next));
        }
        if (!read.result.records.empty()) {
          const bool goes_on = now->size_bytes > *read.end_position + little_left;
          remember_position(read.result.next_offset, *now, *read.end_position, goes_on);
        }
        done(std::move(read.result));
      }));
}

void Log::Impl::read_any(const ReadRequest& request, ReadDone done) {
  auto result = read(request, Waiting::never);
  if (result && result->is_cold) return read_cold(request, std::move(done));
  done(std::move(result));
}

}  // namespace common::log
