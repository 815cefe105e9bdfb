#include "common/log_writer.h"

#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <ctime>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <spdlog/details/log_msg.h>
#include <spdlog/details/log_msg_buffer.h>
#include <spdlog/sinks/sink.h>

#include "common/log_set_up.h"
#include "common/model/check_hook.h"

namespace common {
namespace {

// A start or a failover of thousands of partitions fits. Some 400 bytes a line, while it waits: spdlog's own queue
// takes 1.6 MB for as many at once, and keeps them.
constexpr size_t lines_kept = 4096;
// While more is logged than can be written, a loss is not told before each line.
constexpr uint64_t lines_between_losses_told = 1000;

using Line = spdlog::details::log_msg_buffer;

// What drain_log() reads may be read in a signal handler: atomics, and nothing that is ever destroyed.
struct LogWriter {
  std::mutex mutex;
  std::condition_variable has_lines;
  std::deque<Line> lines;
  std::atomic<uint64_t> lost = 0;
  std::atomic<uint64_t> handed_over = 0;
  std::atomic<uint64_t> done_with = 0;     // of these: written, or lost
  std::atomic<bool> has_given_up = false;  // a drain has waited in vain
};
std::atomic<LogWriter*> newest_writer = nullptr;
static_assert(std::atomic<LogWriter*>::is_always_lock_free && std::atomic<uint64_t>::is_always_lock_free);

// Where lines are logged: takes them into the queue. What they look like is the business of the sink behind it.
class QueueSink final : public spdlog::sinks::sink {
 public:
  QueueSink(spdlog::sink_ptr behind, LogWriter& writer) : behind_(std::move(behind)), writer_(writer) {}

  void log(const spdlog::details::log_msg& line) override {
    bool is_waited_for = false;
    {
      const std::lock_guard lock(writer_.mutex);
      is_waited_for = writer_.lines.empty();
      if (writer_.lines.size() >= lines_kept) {
        writer_.lines.pop_front();
        ++writer_.lost;
      }
      writer_.lines.emplace_back(line);
    }
    if (is_waited_for) writer_.has_lines.notify_one();
  }
  void flush() override {}  // the writer does after each line
  void set_pattern(const std::string& pattern) override { behind_->set_pattern(pattern); }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    behind_->set_formatter(std::move(formatter));
  }

 private:
  spdlog::sink_ptr behind_;
  LogWriter& writer_;
};

// The sink of the writer's thread, in front of the real one: counts what is written, says what is missing.
class CountingSink final : public spdlog::sinks::sink {
 public:
  CountingSink(spdlog::sink_ptr inner, LogWriter& writer, LossText loss_text)
      : inner_(std::move(inner)), writer_(writer), loss_text_(loss_text) {}

  void log(const spdlog::details::log_msg& line) override {
    const Counted counted{*this};  // whatever the sink throws, this line is done with
    tell_losses(line);
    inner_->log(line);
    inner_->flush();
  }
  void flush() override { inner_->flush(); }
  void set_pattern(const std::string& pattern) override { inner_->set_pattern(pattern); }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    inner_->set_formatter(std::move(formatter));
  }

 private:
  struct Counted {
    CountingSink& sink;
    // Only older lines than one that waits are lost, so that after the last one this is all of them.
    ~Counted() { sink.writer_.done_with = ++sink.written_ + sink.writer_.lost; }
  };

  void tell_losses(const spdlog::details::log_msg& before) {
    ++since_told_;
    const uint64_t lost = writer_.lost;
    if (lost == told_) return;
    if (since_told_ < lines_between_losses_told && is_more_waiting()) return;
    const std::string text = loss_text_(lost - std::exchange(told_, lost));
    since_told_ = 0;
    inner_->log(spdlog::details::log_msg(before.logger_name, spdlog::level::warn, text));
  }

  [[nodiscard]] bool is_more_waiting() {
    const std::lock_guard lock(writer_.mutex);
    return !writer_.lines.empty();
  }

  spdlog::sink_ptr inner_;
  LogWriter& writer_;
  LossText loss_text_;
  uint64_t written_ = 0;
  uint64_t told_ = 0;
  uint64_t since_told_ = lines_between_losses_told;
};

// The writer's thread, as long as the process lives. What a sink throws is told by spdlog's logger, and the next line
// tried.
void write_lines(LogWriter& writer, const std::shared_ptr<CountingSink>& sink) {
  spdlog::logger out("naru", sink);
  out.set_level(spdlog::level::trace);  // who logged has chosen
  for (;;) {
    std::unique_lock lock(writer.mutex);
    writer.has_lines.wait(lock, [&] { return !writer.lines.empty(); });
    const Line line = std::move(writer.lines.front());
    writer.lines.pop_front();
    lock.unlock();
    out.log(line.time, line.source, line.level, line.payload);
  }
}

void drain_and_crash(int signal) {
  const int error = errno;
  drain_log();
  errno = error;
  std::raise(signal);  // to end by it after all: it is blocked in here, and its handler is gone
}

// The lines before a crash are those that are wanted. Where somebody else takes the signal (a sanitizer, a test) it
// stays with them.
void drain_at_crash() {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    struct sigaction now{};
    if (::sigaction(signal, nullptr, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL)
      continue;
    struct sigaction drain{};
    drain.sa_handler = drain_and_crash;
    drain.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(signal, &drain, nullptr);
  }
}

}  // namespace

std::shared_ptr<spdlog::logger> make_queued_logger(spdlog::sink_ptr sink, LossText loss_text) {
  // Never deleted: that would wait for the thread, and who takes the lines may stand still for ever.
  auto* const writer = new LogWriter;
  auto counting = std::make_shared<CountingSink>(std::move(sink), *writer, loss_text);
  auto logger = std::make_shared<spdlog::logger>("naru", std::make_shared<QueueSink>(counting, *writer));
  std::thread([writer, counting] {
    ::pthread_setname_np(::pthread_self(), "log");
    write_lines(*writer, counting);
  }).detach();
  newest_writer = writer;
  model::before_check_fails([] { drain_log(); });
  drain_at_crash();
  return logger;
}

void count_queued_line() {
  if (LogWriter* const writer = newest_writer.load(std::memory_order_acquire)) ++writer->handed_over;
}

bool drain_log() {
  LogWriter* const writer = newest_writer.load(std::memory_order_acquire);
  if (writer == nullptr) return true;
  // Who ends a process comes by here more than once: a failed check, then its signal.
  if (writer->has_given_up) return writer->done_with >= writer->handed_over;
  const uint64_t wanted = writer->handed_over;
  constexpr timespec pause{.tv_sec = 0, .tv_nsec = 200'000};
  for (int pauses = 0; writer->done_with < wanted; ++pauses) {
    if (pauses == 8'000) {  // about 2 s
      writer->has_given_up = true;
      return false;
    }
    ::nanosleep(&pause, nullptr);
  }
  return true;
}

}  // namespace common
