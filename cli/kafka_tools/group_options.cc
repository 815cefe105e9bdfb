#include "cli/kafka_tools/group_options.h"

#include <fmt/format.h>

namespace cli::kafka_tools {

std::optional<Exit> GroupOptions::parse(int argc, const char* const* argv) {
  Flags flags(
      "kafka-consumer-groups",
      "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset "
      "consumer group offsets.");
  target.add_to(flags);
  flags.toggle("--list", list, "List all groups.");
  flags.toggle("--describe", describe, "Describe groups and the lag of their offsets.");
  flags.toggle("--delete", remove, "Delete groups with their offsets.");
  flags.toggle("--reset-offsets", reset, "Reset the offsets of an inactive group.");
  flags.toggle("--delete-offsets", delete_offsets, "Delete a group's offsets of topics.");
  flags.texts("--group", groups, "The group; may be given several times.");
  flags.toggle("--all-groups", all_groups, "All groups.");
  flags.toggle("--members", members, "Describe the members.");
  flags.toggle("--verbose", verbose, "More about the members.");
  flags.toggle("--offsets", offsets, "Describe the offsets (the default).");
  flags.toggle("--state", state, "Describe or list the state.");
  flags.texts("--topic", change.topics, "A topic, or topic:0,1,2; may be given several times.");
  flags.toggle("--all-topics", change.all_topics, "All topics of the group.");
  flags.toggle("--execute", change.execute, "Carry the reset out.");
  flags.toggle("--dry-run", change.dry_run, "Only show what a reset would do (the default).");
  flags.toggle("--to-earliest", change.to_earliest, "Reset to the earliest offset.");
  flags.toggle("--to-latest", change.to_latest, "Reset to the latest offset.");
  flags.toggle("--to-current", change.to_current, "Reset to the current offset.");
  flags.number("--to-offset", change.to_offset, "Reset to this offset.");
  flags.number("--shift-by", change.shift_by, "Shift the current offset by this number.");
  flags.text("--to-datetime", change.to_datetime, "Reset to the offset of a time: YYYY-MM-DDTHH:mm:SS.sss");
  flags.text("--by-duration", change.by_duration, "Reset to the offset of so long ago: PnDTnHnMnS");
  flags.ignored("--timeout");
  if (const auto over = flags.parse(argc, argv)) return over;
  usage = flags.usage();
  if (reset && !change.dry_run && !change.execute) {
    fmt::print(stderr,
               "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command "
               "will require either --dry-run or --execute to be specified. You should add the --dry-run option "
               "explicitly if you are scripting this command and want to keep the current default behavior without "
               "prompting.\n");
  }
  const std::string wrong = conflict();
  if (!wrong.empty()) return fail_with_usage(wrong, usage);
  return std::nullopt;
}

std::string GroupOptions::conflict() const {
  const bool scoped = !groups.empty() || all_groups;
  if (target.brokers.empty()) return "Missing required argument \"[bootstrap-server]\"";
  if (describe) {
    if (!scoped) return "Option [describe] takes one of these options: [all-groups], [group]";
    if (members + offsets + state > 1)
      return "Option [describe] takes at most one of these options: [members], [offsets], [state]";
  }
  if (remove) {
    if (!scoped) return "Option [delete] takes one of these options: [all-groups], [group]";
    if (!change.topics.empty())
      return "The consumer does not support topic-specific offset deletion from a consumer group.";
  }
  if (delete_offsets && (groups.empty() || change.topics.empty()))
    return "Option [delete-offsets] takes the following options: [topic], [group]";
  if (reset) {
    if (std::string wrong = reset_conflict(); !wrong.empty()) return wrong;
  }
  const auto excludes = [](const char* one, const char* other) {
    return fmt::format("Option \"[{}]\" can't be used with option \"[{}]\"", one, other);
  };
  if (!groups.empty() && all_groups) return excludes("group", "all-groups");
  if (!groups.empty() && list) return excludes("group", "list");
  if (!change.topics.empty() && (list || describe)) return excludes("topic", list ? "list" : "describe");
  if (list + describe + remove + reset + delete_offsets != 1) {
    return "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets, "
           "--validate-regex";
  }
  return {};
}

std::string GroupOptions::reset_conflict() const {
  if (change.dry_run && change.execute) return "Option [reset-offsets] only accepts one of [execute] and [dry-run]";
  if (groups.empty() && !all_groups) return "Option [reset-offsets] takes one of these options: [all-groups], [group]";
  const std::pair<const char*, bool> ways[] = {{"to-offset", change.to_offset.has_value()},
                                               {"to-datetime", !change.to_datetime.empty()},
                                               {"by-duration", !change.by_duration.empty()},
                                               {"to-earliest", change.to_earliest},
                                               {"to-latest", change.to_latest},
                                               {"shift-by", change.shift_by.has_value()},
                                               {"to-current", change.to_current}};
  const char* first = nullptr;
  for (const auto& [name, given] : ways) {
    if (!given) continue;
    if (first != nullptr) return fmt::format("Option \"[{}]\" can't be used with option \"[{}]\"", first, name);
    first = name;
  }
  return {};
}

}  // namespace cli::kafka_tools
