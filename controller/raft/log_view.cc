#include "controller/raft/log_view.h"

namespace controller::raft {

LogView::LogView(LogPosition start, std::vector<Entry> entries) : start_(start) {
  for (Entry& entry : entries) append(std::move(entry));
}

const LogView::Held& LogView::held(LogIndex index) const {
  NARU_CHECK(index >= start() && index < end(), "entry {} outside [{}, {})", index, start(), end());
  return entries_[static_cast<size_t>(index - start())];
}

const Entry& LogView::at(LogIndex index) const {
  return held(index).entry;
}

std::optional<LogPosition> LogView::position_at(LogIndex end) const {
  if (end == start()) return start_;
  if (end < start() || end > this->end()) return std::nullopt;
  const Held& last = held(end - 1);
  return LogPosition{end, last.entry.term, last.checksum};
}

LogPosition LogView::end_of_term(Term term) const {
  LogIndex low = start();
  LogIndex high = end();
  while (low < high) {  // the first entry above `term`; terms never fall
    const LogIndex middle = low + (high - low) / 2;
    if (at(middle).term <= term) {
      low = middle.next();
    } else {
      high = middle;
    }
  }
  return *position_at(low);
}

std::vector<Entry> LogView::entries(LogIndex from, size_t bytes_max) const {
  std::vector<Entry> taken;
  size_t bytes = 0;
  for (LogIndex index = from; index < end(); index += 1) {
    const Entry& entry = at(index);
    if (!taken.empty() && bytes + entry.size_bytes() > bytes_max) break;
    bytes += entry.size_bytes();
    taken.push_back(entry);
  }
  return taken;
}

LogIndex LogView::start_keeping(LogIndex end, size_t bytes) const {
  size_t kept = 0;
  LogIndex from = end;
  while (from > start()) {
    kept += at(from - 1).size_bytes();
    if (kept > bytes) break;
    from = from - 1;
  }
  return from;
}

void LogView::append(Entry entry) {
  const LogPosition before = end_position();
  NARU_CHECK(entry.index == before.end && entry.term >= before.last_term && entry.term.value > 0,
             "entry {}@{} after {}@{}", entry.index, entry.term, before.end, before.last_term);
  const uint64_t checksum = chain_checksum(before.checksum, entry);
  entries_.push_back({std::move(entry), checksum});
}

void LogView::truncate(LogIndex end) {
  NARU_CHECK(end >= start() && end <= this->end(), "truncate to {} of [{}, {})", end, start(), this->end());
  entries_.resize(static_cast<size_t>(end - start()));
}

void LogView::drop_prefix(LogIndex start) {
  const auto position = position_at(start);
  NARU_CHECK(position, "drop before {} of [{}, {})", start, this->start(), end());
  entries_.erase(entries_.begin(), entries_.begin() + (start - this->start()));
  start_ = *position;
}

void LogView::reset(LogPosition position) {
  entries_.clear();
  start_ = position;
}

}  // namespace controller::raft
