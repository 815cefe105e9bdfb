#include "cli/cheat_sheets.h"

#include <algorithm>

#include <fmt/format.h>

namespace cli {

std::span<const CheatSheet> cheat_sheets() {
  static const std::vector<CheatSheet> all = {
      {"start-in-five-lines",
       "A cluster to try things with",
       {{"naru dev --brokers 3", "three brokers on this machine, data under ./naru-data"},
        {"naru health --wait", "until all is well"},
        {"naru status -w", "the cluster on one screen, again every second"},
        {"naru drill kill-leader", "kills a leader under load, and says what was lost"},
        {"naru doctor", "addresses, clocks, disks, limits, versions"}}},
      {"topics-in-five-lines",
       "From creation to deletion",
       {{"naru topic create orders -p 6 -r 3", "six partitions, three copies of each"},
        {"naru topic describe orders", "leaders, replicas in sync, changed settings"},
        {"naru config set topic orders retention.ms=86400000", "keep a day"},
        {"naru topic grow orders --partitions 12", "keys will move"},
        {"naru topic delete orders", "asks first"}}},
      {"records-in-five-lines",
       "In and out",
       {{"echo hello | naru produce orders -k customer-7", "one record a line, all with this key"},
        {"naru produce orders -f '%k\\t%v\\n' < pairs.tsv", "keys and values from a file"},
        {"naru consume orders --from start -e", "all there is, then end"},
        {"naru consume orders --from -10 -f '%p %o %k: %v\\n'", "the last ten of each partition, then what comes"},
        {"naru consume orders --from 2h -o json", "since two hours ago, one object a line"}}},
      {"groups-in-five-lines",
       "Who reads, how far, and from where again",
       {{"naru group list --behind", "members, lag in records and in time"},
        {"naru group describe billing", "by partition"},
        {"naru why group billing", "why it lags, in one sentence"},
        {"naru group seek billing --to 2h", "what it would read again; --yes does it"},
        {"naru group delete billing", "its offsets too; asks first"}}},
      {"replicas-in-five-lines",
       "Move them, and keep watching",
       {{"naru partition balance", "a plan with bytes and time; asks before it moves anything"},
        {"naru partition move orders --replicas 3", "more copies, or other places with --to"},
        {"naru partition moves", "what is under way; --cancel turns it back"},
        {"naru broker drain 4", "everything off a broker that shall go"},
        {"naru broker remove 4", "once it is gone for good"}}},
      {"trouble-in-five-lines",
       "What is wrong, and why",
       {{"naru health", "well or not, with reasons; exit code 10 when not"},
        {"naru why produce orders", "why it cannot be written, in one sentence"},
        {"naru topic list --problems", "topics that are not led or not fully replicated"},
        {"naru quorum status", "who votes on the metadata, and how far each has come"},
        {"naru verify --duration 60s", "write and read, then say what was lost, doubled or stale"}}}};
  return all;
}

const CheatSheet* find_cheat_sheet(std::string_view name) {
  const auto found = std::ranges::find(cheat_sheets(), name, &CheatSheet::name);
  return found != cheat_sheets().end() ? &*found : nullptr;
}

std::string text_of(const CheatSheet& sheet) {
  size_t width = 0;
  for (const CheatLine& line : sheet.lines) width = std::max(width, line.command.size());
  std::string text = fmt::format("{}\n\n", sheet.what);
  for (const CheatLine& line : sheet.lines) text += fmt::format("  {:<{}}  # {}\n", line.command, width, line.what);
  return text;
}

}  // namespace cli
