#include "sim/history.h"

namespace sim {

// ---- records with keys ----

void KeyedHistory::wrong(std::string text) {
  if (wrong_.empty()) wrong_ = std::move(text);
}

void KeyedHistory::acknowledged(Value value, int64_t offset) {
  seen(value, offset);
  int64_t& newest = acknowledged_.try_emplace(value % keys_, offset).first->second;
  newest = std::max(newest, offset);
}

void KeyedHistory::seen(Value value, int64_t offset) {
  if (value > last_sent_) wrong(fmt::format("record {} at offset {} was never sent", value, offset));
  const auto [held, is_new] = held_.try_emplace(offset, value);
  if (held->second != value) wrong(fmt::format("offset {} held record {} and then {}", offset, held->second, value));
  if (is_new) check_neighbours(held);
  const auto known = offsets_.try_emplace(value, offset).first;
  if (known->second != offset) wrong(fmt::format("record {} is at offsets {} and {}", value, known->second, offset));
}

// One producer sends them, rising: so they lie there, whatever the cleaner has taken out between.
void KeyedHistory::check_neighbours(std::map<int64_t, Value>::const_iterator here) {
  const auto next = std::next(here);
  const auto& [offset, value] = *here;
  if (here != held_.begin() && std::prev(here)->second >= value) {
    wrong(fmt::format("record {} at offset {} comes after record {}", value, offset, std::prev(here)->second));
  }
  if (next != held_.end() && next->second <= value) {
    wrong(fmt::format("record {} at offset {} comes before record {}", value, offset, next->second));
  }
}

void KeyedHistory::forget_old() {
  constexpr size_t kept = 50'000;
  while (held_.size() > kept) {
    offsets_.erase(held_.begin()->second);
    held_.erase(held_.begin());
  }
}

void KeyedHistory::final_read(Value value, int64_t offset) {
  seen(value, offset);
  int64_t& newest = read_.try_emplace(value % keys_, offset).first->second;
  newest = std::max(newest, offset);
}

std::string KeyedHistory::finish() const {
  if (!wrong_.empty()) return wrong_;
  for (const auto& [key, offset] : acknowledged_) {
    const auto read = read_.find(key);
    if (read == read_.end() || read->second < offset) {
      return fmt::format("of key {} offset {} was acknowledged, and the newest that is left is {}", key, offset,
                         read == read_.end() ? -1 : read->second);
    }
  }
  return {};
}

// ---- all ----

KeyedHistory* History::keyed_of(const Place& place) {
  const auto found = keyed_.find(place);
  return found == keyed_.end() ? nullptr : &found->second;
}

// Null: the topic is gone.
cli::verify::HistoryChecker* History::checker_of(const Place& place) {
  if (dropped_.contains(place.topic)) return nullptr;
  auto& checker = checkers_[place.topic];
  if (!checker) checker = std::make_unique<cli::verify::HistoryChecker>(promises_[place.topic]);
  return checker.get();
}

void History::sent(const Place& place, Value value) {
  if (auto* keyed = keyed_of(place)) return keyed->sent(value);
  if (auto* checker = checker_of(place)) checker->sent(place.partition, value);
}

void History::acknowledged(const Place& place, Value value, int64_t offset) {
  auto* const keyed = keyed_of(place);
  auto* const checker = keyed == nullptr ? checker_of(place) : nullptr;
  if (keyed == nullptr && checker == nullptr) return;
  ++acknowledged_;
  if (keyed != nullptr) {
    keyed->acknowledged(value, offset);
    keyed->forget_old();
  } else {
    checker->acknowledged(place.partition, value, offset);
  }
  if (on_acknowledged && promises_[place.topic].acks == cli::verify::Promise::Acks::all) on_acknowledged(place, offset);
}

void History::failed(const Place& place, Value value, cli::verify::Failure failure) {
  if (keyed_of(place) != nullptr) return;
  if (auto* checker = checker_of(place)) checker->failed(place.partition, value, failure);
}

void History::assigned(int32_t consumer, const Place& place) {
  if (keyed_of(place) != nullptr) return;
  if (auto* checker = checker_of(place)) checker->assigned(consumer, place.partition);
}

void History::polled(int32_t consumer, const Place& place, int64_t offset, Value value) {
  if (auto* keyed = keyed_of(place)) return keyed->seen(value, offset);
  if (auto* checker = checker_of(place)) checker->polled(consumer, place.partition, offset, value);
}

int64_t History::end_asked(const Place& place) {
  if (auto* checker = checker_of(place)) checker->end_asked(++calls_, place.partition);
  return calls_;
}

void History::end_answered(const Place& place, int64_t call, int64_t offset) {
  if (auto* checker = checker_of(place)) checker->end_answered(call, offset);
}

void History::end_unknown(const Place& place, int64_t call) {
  if (auto* checker = checker_of(place)) checker->end_failed(call);
}

void History::log_start(const Place& place, int64_t offset) {
  if (keyed_of(place) != nullptr) return;
  auto* checker = checker_of(place);
  if (checker == nullptr) return;
  checker->log_start(place.partition, offset);
  checker->forget_below(place.partition, offset);
}

void History::final_read(const Place& place, int64_t offset, Value value) {
  if (auto* keyed = keyed_of(place)) return keyed->final_read(value, offset);
  if (auto* checker = checker_of(place)) checker->final_read(place.partition, offset, value);
}

void History::dropped(const Place& place) {
  dropped_.insert(place.topic);
  checkers_.erase(place.topic);
}

std::string History::finish() {
  std::string wrong;
  for (const auto& [place, keyed] : keyed_) {
    if (const std::string text = keyed.finish(); !text.empty() && read_to_end_.contains(place.topic)) {
      wrong += fmt::format("compacted partition {}: {}; ", place.partition, text);
    }
  }
  for (auto& [topic, checker] : checkers_) {
    if (!read_to_end_.contains(topic)) continue;
    const auto verdict = checker->finish(cli::verify::HistoryChecker::Consumers::none);
    if (verdict.clean()) continue;
    for (const auto& [anomaly, count] : verdict.anomalies) {
      wrong += fmt::format("{} {}; ", count, cli::verify::to_string(anomaly));
    }
    for (const std::string& example : verdict.examples) wrong += example + "; ";
  }
  return wrong;
}

}  // namespace sim
