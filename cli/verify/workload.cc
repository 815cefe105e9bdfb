#include "cli/verify/workload.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/verify/clients.h"
#include "cli/verify/report.h"
#include "cli/wait.h"

namespace cli {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using verify::Clients;

void emit(const Json& line) {
  print_out(line.dump() + "\n");
}

verify::ClientsOptions options_of(const WorkloadCommand& command) {
  return {.shared = command.shared,
          .topic = command.topic,
          .group = command.group,
          .history = command.history,
          .properties = verify::library_properties(command.shared),
          .acks = verify::acks_from(command.acks),
          .producers = command.producers,
          .consumers = command.consumers,
          .rate = static_cast<double>(command.rate),
          .size = command.size,
          .settle = milliseconds(command.settle_ms)};
}

void answer_mark(Clients& clients) {
  const verify::Gap gap = clients.recorder().mark();
  const verify::Recorder::Progress p = clients.recorder().progress();
  emit({{"event", "mark"},
        {"gap_ms", static_cast<double>(gap.longest) / 1e6},
        {"partition", gap.partition},
        {"sent", p.sent},
        {"acknowledged", p.acknowledged}});
}

void tell_progress(Clients& clients, steady_clock::time_point began) {
  const verify::Recorder::Progress p = clients.recorder().progress();
  const auto at = std::chrono::duration_cast<milliseconds>(steady_clock::now() - began);
  emit({{"event", "progress"},
        {"at_ms", at.count()},
        {"sent", p.sent},
        {"acknowledged", p.acknowledged},
        {"polled", p.polled},
        {"silent_ms", static_cast<double>(p.silent_ns) / 1e6},
        {"least", p.least},
        {"failed", p.failed}});
}

Exit conclude(Clients& clients) {
  verify::Conclusion end = clients.conclude({});
  const verify::Report report{.verdict = std::move(end.verdict),
                              .is_complete = end.is_complete,
                              .incomplete = std::move(end.incomplete),
                              .notes = std::move(end.notes),
                              .subject = {}};
  print_out("{\"event\":\"verdict\"," + json_members(report) + "}\n");
  return passed(report) ? Exit::done : Exit::unhealthy;
}

// False: it was the last one.
bool obey(Clients& clients, const std::string& line) {
  if (line == "mark") answer_mark(clients);
  if (line == "point") {
    clients.recorder().point();
    emit({{"event", "point"}});
  }
  if (line.starts_with("fault ")) {
    clients.recorder().fault_began(line.substr(6));
    emit({{"event", "fault"}});
  }
  if (line == "healed") {
    clients.recorder().fault_ended();
    emit({{"event", "healed"}});
  }
  return line != "stop";
}

}  // namespace

Exit run(const WorkloadCommand& command) {
  Clients clients(options_of(command));
  if (Outcome<void> opened = clients.open(); !opened) return report(opened.error());
  Interruption interruption;
  clients.start();
  emit({{"event", "ready"}, {"partitions", clients.partitions()}});
  std::string input;
  const auto began = steady_clock::now();
  auto told = began;
  for (;;) {
    std::array<pollfd, 2> entries{pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = interruption.descriptor(), .events = POLLIN, .revents = 0}};
    ::poll(entries.data(), entries.size(), 50);
    if (interruption.count() > 0) return conclude(clients);
    if (entries[0].revents != 0) {
      std::array<char, 256> chunk;
      const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
      if (got <= 0) return conclude(clients);
      input.append(chunk.data(), static_cast<size_t>(got));
      for (size_t end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
        const std::string line = input.substr(0, end);
        input.erase(0, end + 1);
        if (!obey(clients, line)) return conclude(clients);
      }
    }
    if (steady_clock::now() - told >= milliseconds(100)) {
      told = steady_clock::now();
      tell_progress(clients, began);
    }
  }
}

}  // namespace cli
