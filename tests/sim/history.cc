#include "sim/history.h"

namespace sim {

// Null: the topic is gone.
cli::verify::HistoryChecker* History::checker_of(const Place& place) {
  if (dropped_.contains(place.topic)) return nullptr;
  auto& checker = checkers_[place.topic];
  if (!checker) checker = std::make_unique<cli::verify::HistoryChecker>(promises_[place.topic]);
  return checker.get();
}

void History::sent(const Place& place, Value value) {
  if (auto* checker = checker_of(place)) checker->sent(place.partition, value);
}

void History::acknowledged(const Place& place, Value value, int64_t offset) {
  auto* checker = checker_of(place);
  if (checker == nullptr) return;
  ++acknowledged_;
  checker->acknowledged(place.partition, value, offset);
  if (on_acknowledged && promises_[place.topic].acks == cli::verify::Promise::Acks::all) on_acknowledged(place, offset);
}

void History::failed(const Place& place, Value value, cli::verify::Failure failure) {
  if (auto* checker = checker_of(place)) checker->failed(place.partition, value, failure);
}

void History::assigned(int32_t consumer, const Place& place) {
  if (auto* checker = checker_of(place)) checker->assigned(consumer, place.partition);
}

void History::polled(int32_t consumer, const Place& place, int64_t offset, Value value) {
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

void History::final_read(const Place& place, int64_t offset, Value value) {
  if (auto* checker = checker_of(place)) checker->final_read(place.partition, offset, value);
}

void History::dropped(const Place& place) {
  dropped_.insert(place.topic);
  checkers_.erase(place.topic);
}

std::string History::finish() {
  std::string wrong;
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
