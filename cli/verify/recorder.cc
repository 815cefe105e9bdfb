#include "cli/verify/recorder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cli::verify {
namespace {

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string file_value(Value value) {
  return value < 0 ? "-" : value_text(value);
}

}  // namespace

Recorder::Recorder(Promise promise) : promise_(promise), checker_(promise), began_ns_(now_ns()) {}

Recorder::~Recorder() {
  if (file_ != nullptr) std::fclose(file_);
}

Outcome<void> Recorder::write_to(const std::string& file) {
  file_ = std::fopen(file.c_str(), "we");
  if (file_ == nullptr) return problem(Exit::usage, fmt::format("{}: {}", file, std::strerror(errno)));
  constexpr std::string_view acks[] = {"0", "1", "all"};
  write("naru-history 1\npromise acks={} idempotent={} isolation=read_committed\n",
        acks[static_cast<size_t>(promise_.acks)], promise_.idempotent ? "yes" : "no");
  return {};
}

template <class... A>
void Recorder::write(fmt::format_string<A...> text, A&&... values) {
  if (file_ == nullptr) return;
  line_.clear();
  fmt::format_to(std::back_inserter(line_), text, std::forward<A>(values)...);
  std::fwrite(line_.data(), 1, line_.size(), file_);
}

void Recorder::tick() {
  constexpr int64_t step_us = 500;
  const int64_t now_us = (now_ns() - began_ns_) / 1000;
  if (now_us - told_us_ < step_us) return;
  told_us_ = now_us;
  checker_.at(now_us);
  write("@ {}\n", now_us);
}

void Recorder::expect(int32_t partition) {
  const std::lock_guard lock(mutex_);
  gaps_.expect(partition, now_ns());
  last_ack_.try_emplace(partition, now_ns());
  since_point_.try_emplace(partition, 0);
}

void Recorder::point() {
  const std::lock_guard lock(mutex_);
  for (auto& [partition, count] : since_point_) count = 0;
}

void Recorder::sent(int32_t partition, Value value) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.sent(partition, value);
  ++progress_.sent;
  write("sent {} {}\n", partition, file_value(value));
}

void Recorder::acknowledged(int32_t partition, Value value, int64_t offset) {
  const std::lock_guard lock(mutex_);
  tick();
  const int64_t now = now_ns();
  checker_.acknowledged(partition, value, offset);
  gaps_.acknowledged(partition, now);
  last_ack_[partition] = now;
  ++since_point_[partition];
  ++progress_.acknowledged;
  write("ack {} {} {}\n", partition, file_value(value), std::max<int64_t>(offset, -1));
}

void Recorder::failed(int32_t partition, Value value, Failure failure) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.failed(partition, value, failure);
  ++progress_.failed;
  write("{} {} {}\n", failure == Failure::definite ? "refused" : "unknown", partition, file_value(value));
}

void Recorder::member(int32_t consumer, int32_t group) {
  const std::lock_guard lock(mutex_);
  checker_.member(consumer, group);
  write("member {} {}\n", consumer, group);
}

void Recorder::assigned(int32_t consumer, int32_t partition, int32_t generation) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.assigned(consumer, partition, generation);
  if (generation >= 0) {
    write("assign {} {} {}\n", consumer, partition, generation);
  } else {
    write("assign {} {}\n", consumer, partition);
  }
}

void Recorder::revoked(int32_t consumer, int32_t partition) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.revoked(consumer, partition);
  write("revoke {} {}\n", consumer, partition);
}

void Recorder::polled(int32_t consumer, int32_t partition, int64_t offset, Value value) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.polled(consumer, partition, offset, value);
  int64_t& next = polled_to_[partition];
  next = std::max(next, offset + 1);
  ++progress_.polled;
  write("poll {} {} {} {}\n", consumer, partition, offset, file_value(value));
}

int64_t Recorder::commit_began(int32_t group, int32_t partition, int64_t offset) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.commit_began(++calls_, group, partition, offset);
  write("commit {} {} {} {}\n", calls_, group, partition, offset);
  return calls_;
}

void Recorder::commit_ended(int64_t call, bool is_acknowledged) {
  const std::lock_guard lock(mutex_);
  tick();
  if (is_acknowledged) {
    checker_.commit_acknowledged(call);
  } else {
    checker_.commit_failed(call, Failure::unknown);
  }
  write("{} {}\n", is_acknowledged ? "committed" : "commit-unknown", call);
}

int64_t Recorder::commit_asked(int32_t group, int32_t partition) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.commit_fetch_began(++calls_, group, partition);
  write("offset? {} {} {}\n", calls_, group, partition);
  return calls_;
}

void Recorder::commit_told(int64_t call, int64_t offset) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.commit_fetch_answered(call, offset);
  write("offset {} {}\n", call, offset);
}

int64_t Recorder::end_asked(int32_t partition) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.end_asked(++calls_, partition);
  write("end? {} {}\n", calls_, partition);
  return calls_;
}

void Recorder::end_told(int64_t call, int64_t offset) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.end_answered(call, offset);
  write("end {} {}\n", call, offset);
}

void Recorder::call_failed(int64_t call) {
  const std::lock_guard lock(mutex_);
  if (!checker_.end_failed(call)) checker_.commit_fetch_failed(call);
  write("failed {}\n", call);
}

void Recorder::leader_seen(int32_t partition, int32_t leader, int32_t epoch) {
  if (leader < 0 || epoch < 0) return;
  const std::lock_guard lock(mutex_);
  const auto [it, first] = leaders_.try_emplace({partition, epoch}, leader);
  if (!first && it->second == leader) return;
  tick();
  checker_.leader_seen(partition, leader, epoch);
  write("leader {} {} {}\n", partition, leader, epoch);
}

void Recorder::fault_began(const std::string& name) {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.fault_began(name);
  write("fault {}\n", name);
}

void Recorder::fault_ended() {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.fault_ended();
  write("healed\n");
}

void Recorder::producing_stopped() {
  const std::lock_guard lock(mutex_);
  tick();
  checker_.producing_stopped();
  write("stop\n");
}

void Recorder::log_start(int32_t partition, int64_t offset) {
  const std::lock_guard lock(mutex_);
  checker_.log_start(partition, offset);
  write("start {} {}\n", partition, offset);
}

void Recorder::final_read(int32_t partition, int64_t offset, Value value) {
  const std::lock_guard lock(mutex_);
  checker_.final_read(partition, offset, value);
  found_to_[partition] = offset + 1;
  ++progress_.found;
  write("final {} {} {}\n", partition, offset, file_value(value));
}

void Recorder::copied(int32_t partition, int32_t replica, int64_t offset, uint64_t hash, int32_t epoch) {
  if (offset < 0) return;
  const std::lock_guard lock(mutex_);
  checker_.copied(partition, replica, offset, hash, epoch);
  ++progress_.copied;
  write("copy {} {} {} {:x} {}\n", partition, replica, offset, hash, epoch);
}

void Recorder::copy_ended(int32_t partition, int32_t replica, int64_t start, int64_t high_watermark) {
  const std::lock_guard lock(mutex_);
  checker_.copy_ended(partition, replica, start, high_watermark);
  write("copied {} {} {} {}\n", partition, replica, start, high_watermark);
}

GapMeter::Gap Recorder::mark() {
  const std::lock_guard lock(mutex_);
  return gaps_.mark(now_ns());
}

Recorder::Progress Recorder::progress() {
  const std::lock_guard lock(mutex_);
  Progress p = progress_;
  for (const auto& [partition, count] : since_point_) {
    if (partition == since_point_.begin()->first || count < p.least) p.least = count;
  }
  for (const auto& [partition, at] : last_ack_) p.silent_ns = std::max(p.silent_ns, now_ns() - at);
  if (file_ != nullptr) std::fflush(file_);
  return p;
}

int64_t Recorder::polled_to(int32_t partition) {
  const std::lock_guard lock(mutex_);
  return polled_to_[partition];
}

int64_t Recorder::found_to(int32_t partition) {
  const std::lock_guard lock(mutex_);
  return found_to_[partition];
}

Verdict Recorder::finish(HistoryChecker::Consumers consumers, bool is_complete, const Requirements& requirements) {
  const std::lock_guard lock(mutex_);
  if (is_complete) {
    write("complete{}\n", consumers == HistoryChecker::Consumers::read_to_end ? " polled" : "");
  } else {
    checker_.final_read_cut_off();
  }
  if (file_ != nullptr) std::fflush(file_);
  return checker_.finish(consumers, requirements);
}

}  // namespace cli::verify
