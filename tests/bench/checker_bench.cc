// How fast the history checker is: writes a good history of N operations to a file, then checks it once from the file
// and once by direct calls. Prints figures and asserts nothing about time.
//
// An operation is a call with its begin and end, or a record that was given to a reader: a third each are produce
// calls, records polled by a group and records of the final read, with a commit, a question for a group's offset and
// one for the end of a partition now and then. Besides, every record is read from two replicas; those are not counted.
//
//   checker_bench [operations = 10000000] [partitions = 12] [producers = 4] [file = /tmp/checker_bench.history]
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "cli/verify/history_file.h"

using namespace cli::verify;
using std::chrono::steady_clock;

namespace {

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

int64_t peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

struct Shape {
  int64_t operations;
  int32_t partitions;
  int32_t producers;
  [[nodiscard]] int64_t records() const { return operations / 3; }
};

// Calls `out` with the history of a run in which `in_flight` records are under way in each partition. Returns how many
// operations there were.
template <class Out>
int64_t make_history(const Shape& shape, Out& out) {
  constexpr int64_t in_flight = 5;
  int64_t operations = 0;
  int64_t call = 0;
  const int64_t each = shape.records() / shape.partitions;
  const auto value_at = [&](int64_t offset) {
    return make_value(static_cast<int32_t>(offset % shape.producers), offset / shape.producers);
  };
  for (int32_t p = 0; p < shape.partitions; ++p) out.assign(p % 4, p);
  for (int64_t n = 0; n < each + in_flight; ++n) {
    if (n % 20 == 0) out.time(n * 1000);
    for (int32_t p = 0; p < shape.partitions; ++p) {
      if (n < each) out.sent(p, value_at(n));
      const int64_t acked = n - in_flight;
      if (acked < 0) continue;
      out.ack(p, value_at(acked), acked);
      ++operations;
      out.poll(p % 4, p, acked, value_at(acked));
      ++operations;
      if (acked % 1000 == 999) {
        out.calls(++call, p, acked);
        operations += 3;
      }
    }
  }
  for (int32_t p = 0; p < shape.partitions; ++p) {
    for (int64_t n = 0; n < each; ++n, ++operations) out.final_read(p, n, value_at(n));
    for (int32_t replica = 1; replica <= 2; ++replica) {
      for (int64_t n = 0; n < each; ++n) out.copy(p, replica, n, static_cast<uint64_t>(n) * 7919 + 1);
      out.copied(p, replica, each);
    }
  }
  return operations;
}

// To lines.
struct Lines {
  std::FILE* file;
  fmt::memory_buffer buffer{};
  int64_t lines = 0;
  template <class... A>
  void put(fmt::format_string<A...> text, A&&... values) {
    ++lines;
    fmt::format_to(std::back_inserter(buffer), text, std::forward<A>(values)...);
    if (buffer.size() > 1 << 20) flush();
  }
  void flush() {
    if (std::fwrite(buffer.data(), 1, buffer.size(), file) != buffer.size()) std::abort();
    buffer.clear();
  }
  static std::string text(Value v) { return value_text(v); }
  void time(int64_t t) { put("@ {}\n", t); }
  void assign(int32_t c, int32_t p) { put("assign {} {}\n", c, p); }
  void sent(int32_t p, Value v) { put("sent {} {}\n", p, text(v)); }
  void ack(int32_t p, Value v, int64_t o) { put("ack {} {} {}\n", p, text(v), o); }
  void poll(int32_t c, int32_t p, int64_t o, Value v) { put("poll {} {} {} {}\n", c, p, o, text(v)); }
  void calls(int64_t k, int32_t p, int64_t o) {
    put("commit {} 0 {} {}\ncommitted {}\n", k, p, o, k);
    put("offset? {} 0 {}\noffset {} {}\n", k, p, k, o);
    put("end? {} {}\nend {} {}\n", k, p, k, o + 1);
    lines += 3;
  }
  void final_read(int32_t p, int64_t o, Value v) { put("final {} {} {}\n", p, o, text(v)); }
  void copy(int32_t p, int32_t r, int64_t o, uint64_t h) { put("copy {} {} {} {:x} 3\n", p, r, o, h); }
  void copied(int32_t p, int32_t r, int64_t end) { put("copied {} {} 0 {}\n", p, r, end); }
};

// To the checker, by calls.
struct Calls {
  HistoryChecker checker{};
  void time(int64_t t) { checker.at(t); }
  void assign(int32_t c, int32_t p) { checker.assigned(c, p); }
  void sent(int32_t p, Value v) { checker.sent(p, v); }
  void ack(int32_t p, Value v, int64_t o) { checker.acknowledged(p, v, o); }
  void poll(int32_t c, int32_t p, int64_t o, Value v) { checker.polled(c, p, o, v); }
  void calls(int64_t k, int32_t p, int64_t o) {
    checker.commit_began(k, 0, p, o);
    checker.commit_acknowledged(k);
    checker.commit_fetch_began(k, 0, p);
    checker.commit_fetch_answered(k, o);
    checker.end_asked(k, p);
    checker.end_answered(k, o + 1);
  }
  void final_read(int32_t p, int64_t o, Value v) { checker.final_read(p, o, v); }
  void copy(int32_t p, int32_t r, int64_t o, uint64_t h) { checker.copied(p, r, o, h, 3); }
  void copied(int32_t p, int32_t r, int64_t end) { checker.copy_ended(p, r, 0, end); }
};

void tell(const char* what, int64_t operations, double seconds, const Verdict& verdict) {
  fmt::print("{}: {} operations in {:.2f} s ({:.1f} million a second), peak memory {} MiB; sent {}, anomalies: {}\n",
             what, operations, seconds, static_cast<double>(operations) / seconds / 1e6, peak_mib(), verdict.sent,
             verdict.anomalies.size());
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int index, int64_t otherwise) {
    return argc > index ? std::strtoll(argv[index], nullptr, 10) : otherwise;
  };
  const Shape shape{.operations = number(1, 10'000'000),
                    .partitions = static_cast<int32_t>(number(2, 12)),
                    .producers = static_cast<int32_t>(number(3, 4))};
  const std::string path = argc > 4 ? argv[4] : "/tmp/checker_bench.history";
  std::FILE* file = std::fopen(path.c_str(), "w+");
  if (file == nullptr) {
    fmt::print(stderr, "{} cannot be written\n", path);
    return 2;
  }
  Lines lines{.file = file};
  lines.put("naru-history 1\n");
  const int64_t operations = make_history(shape, lines);
  lines.put("stop\ncomplete\n");
  lines.flush();
  std::fflush(file);
  fmt::print("{}: {} operations, {} lines, {} MiB\n", path, operations, lines.lines, std::ftell(file) >> 20);
  std::rewind(file);

  auto start = steady_clock::now();
  const auto verdict = check_history(file);
  if (!verdict) {
    fmt::print(stderr, "line {}: {}\n", verdict.error().line, verdict.error().message);
    return 1;
  }
  tell("from the file", operations, seconds_since(start), *verdict);
  std::fclose(file);
  unlink(path.c_str());

  start = steady_clock::now();
  Calls calls;
  make_history(shape, calls);
  tell("by calls", operations, seconds_since(start), calls.checker.finish(HistoryChecker::Consumers::none));
  return 0;
}
