#include "controller/raft/membership.h"


namespace controller::raft {
namespace {

bool carries_voters(const Entry& entry) {
  return entry.kind == EntryKind::voters || entry.kind == EntryKind::bootstrap;
}

}  // namespace

void Membership::reset(VoterSet base, LogIndex from) {
  history_.clear();
  history_.push_back({from, std::move(base)});
}

bool Membership::on_append(const Entry& entry) {
  if (!carries_voters(entry)) return false;
  auto voters = VoterSet::decode(entry.payload.view());
  NARU_CHECK(voters, "entry {} has an unreadable voter set", entry.index);
  history_.push_back({entry.index.next(), *std::move(voters)});
  return true;
}

bool Membership::on_truncate(LogIndex end) {
  const size_t before = history_.size();
  while (history_.size() > 1 && history_.back().from > end) history_.pop_back();
  return history_.size() != before;
}

void Membership::drop_prefix(LogIndex start) {
  while (history_.size() > 1 && history_[1].from <= start) history_.erase(history_.begin());
}

const VoterSet& Membership::at(LogIndex end) const {
  for (size_t i = history_.size(); i-- > 1;)
    if (history_[i].from <= end) return history_[i].voters;
  return history_.front().voters;
}

bool is_well_formed(const Entry& entry) {
  if (entry.term.value <= 0 || entry.index.value < 0) return false;
  switch (entry.kind) {
    case EntryKind::data:
    case EntryKind::leader_change:
      return true;
    case EntryKind::voters:
    case EntryKind::bootstrap: {
      const auto voters = VoterSet::decode(entry.payload.view());
      return voters.has_value() && !voters->empty() && voters->size() <= voters_max;
    }
  }
  return false;
}

}  // namespace controller::raft
