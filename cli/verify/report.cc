#include "cli/verify/report.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/json_or_null.h"

namespace cli::verify {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t examples_shown = 8;

// 12,345
std::string count_text(int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string ms_text(int64_t microseconds) {
  return microseconds < 10'000'000 ? fmt::format("{} ms", microseconds / 1000)
                                   : fmt::format("{:.1f} s", static_cast<double>(microseconds) / 1e6);
}

Gap longest_gap(const Verdict& verdict) {
  Gap longest;
  for (const auto& [partition, gap] : verdict.gaps) {
    if (gap > longest.longest) longest = {gap, partition};
  }
  return longest;
}

std::string_view word_for(const Report& report) {
  if (!report.verdict.clean()) return "FAIL";
  return passed(report) ? "PASS" : "INVALID";
}

std::string reasons_text(const Report& report) {
  const Verdict& verdict = report.verdict;
  if (!verdict.clean()) return fmt::format("{} of {} promises broken", verdict.anomalies.size(), anomaly_count);
  if (!passed(report)) return "nothing broken was seen, but the run shows too little";
  if (!verdict.tolerated.empty()) return "no promise broken";
  return "nothing lost, duplicated, reordered, skipped or stale";
}

std::string rates_text(const FaultReport& fault) {
  const auto text = [](const std::optional<double>& rate) { return rate ? fmt::format("{:.0f}", *rate) : "?"; };
  const bool all_known = fault.acks_per_second_before && fault.acks_per_second_after;
  return fmt::format("{} a second before, {} after{}", text(fault.acks_per_second_before),
                     text(fault.acks_per_second_after), all_known ? "" : " (?: too little time to tell)");
}

std::string figures_text(const Verdict& v) {
  std::string out;
  const double seconds = std::max(static_cast<double>(v.microseconds) / 1e6, 0.001);
  out += fmt::format("  sent {}   acknowledged {}   gave up {}   unknown {}   {:.1f} s, {} a second\n",
                     count_text(v.sent), count_text(v.acknowledged), count_text(v.failed), count_text(v.unknown),
                     seconds, count_text(static_cast<int64_t>(static_cast<double>(v.acknowledged) / seconds)));
  out += fmt::format("  consumed {}   read back {}   compared on replicas {}\n", count_text(v.polled),
                     count_text(v.found), count_text(v.copied));
  out += fmt::format("  ends asked {}   commits {}   group offsets asked {}   leader changes {}\n",
                     count_text(v.ends_asked), count_text(v.commits), count_text(v.commits_fetched),
                     count_text(v.leader_changes));
  if (const Gap gap = longest_gap(v); gap.partition >= 0)
    out +=
        fmt::format("  longest wait for an acknowledgement {} (partition {})\n", ms_text(gap.longest), gap.partition);
  for (const FaultReport& fault : v.faults) {
    out += fmt::format("  at {:.1f} s {}: longest wait {} (partition {}); {}\n", static_cast<double>(fault.began) / 1e6,
                       fault.name, ms_text(fault.gap.longest), fault.gap.partition, rates_text(fault));
  }
  return out;
}

Json counts_json(const std::map<Anomaly, int64_t>& counts) {
  Json all = Json::object();
  for (int a = 0; a < anomaly_count; ++a) {
    const auto it = counts.find(static_cast<Anomaly>(a));
    all[std::string(to_string(static_cast<Anomaly>(a)))] = it == counts.end() ? 0 : it->second;
  }
  return all;
}

Json faults_json(const Verdict& verdict) {
  Json all = Json::array();
  for (const FaultReport& fault : verdict.faults) {
    all.push_back({{"name", fault.name},
                   {"at_ms", fault.began / 1000},
                   {"gap_ms", static_cast<double>(fault.gap.longest) / 1000},
                   {"partition", fault.gap.partition},
                   {"acks_per_second_before", or_null(fault.acks_per_second_before)},
                   {"acks_per_second_after", or_null(fault.acks_per_second_after)}});
  }
  return all;
}

}  // namespace

bool passed(const Report& report) {
  return report.verdict.clean() && report.verdict.valid() && report.is_complete;
}

std::string screen_text(const Report& report) {
  const Verdict& v = report.verdict;
  std::string out = fmt::format("{}  {}: {}\n\n", word_for(report), report.subject, reasons_text(report));
  for (const auto& [anomaly, count] : v.anomalies)
    out += fmt::format("  {:<17} {:>9}  {}\n", to_string(anomaly), count_text(count), meaning_of(anomaly));
  for (size_t i = 0; i < std::min(v.examples.size(), examples_shown); ++i)
    out += fmt::format("{}    {}\n", i == 0 ? "\n" : "", v.examples[i]);
  if (!v.clean()) out += '\n';
  out += figures_text(v);
  for (const auto& [anomaly, count] : v.tolerated)
    out += fmt::format("  not promised with these acks: {} {} ({})\n", to_string(anomaly), count_text(count),
                       meaning_of(anomaly));
  for (const std::string& reason : v.invalid) out += fmt::format("  invalid: {}\n", reason);
  if (!report.is_complete) out += fmt::format("  incomplete: {}\n", report.incomplete);
  for (const std::string& note : report.notes) out += fmt::format("  not checked: {}\n", note);
  return out;
}

std::string json_members(const Report& report) {
  const Verdict& v = report.verdict;
  Json gaps = Json::object();
  for (const auto& [partition, gap] : v.gaps) gaps[std::to_string(partition)] = static_cast<double>(gap) / 1000;
  const Json all = {{"passed", passed(report)},
                    {"clean", v.clean()},
                    {"valid", v.valid()},
                    {"complete", report.is_complete},
                    {"incomplete", report.incomplete},
                    {"invalid", v.invalid},
                    {"sent", v.sent},
                    {"acknowledged", v.acknowledged},
                    {"failed", v.failed},
                    {"unknown", v.unknown},
                    {"polled", v.polled},
                    {"found", v.found},
                    {"ends_asked", v.ends_asked},
                    {"commits", v.commits},
                    {"commits_fetched", v.commits_fetched},
                    {"copied", v.copied},
                    {"leader_changes", v.leader_changes},
                    {"seconds", static_cast<double>(v.microseconds) / 1e6},
                    {"anomalies", counts_json(v.anomalies)},
                    {"tolerated", counts_json(v.tolerated)},
                    {"examples", v.examples},
                    {"gaps_ms", std::move(gaps)},
                    {"faults", faults_json(v)},
                    {"notes", report.notes}};
  const std::string text = all.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.substr(1, text.size() - 2);
}

std::string_view json_shape() {
  return R"({"passed": true, "clean": true, "valid": true, "complete": true, "incomplete": "why", "invalid": ["why"],
 "sent": 0, "acknowledged": 0, "failed": 0, "unknown": 0, "polled": 0, "found": 0, "ends_asked": 0, "commits": 0,
 "commits_fetched": 0, "copied": 0, "leader_changes": 0, "seconds": 30.0,
 "anomalies": {"lost": 0, "duplicated": 0, "...": 0}, "tolerated": {"lost": 0, "...": 0}, "examples": ["text"],
 "gaps_ms": {"0": 12.5}, "faults": [{"name": "text", "at_ms": 0, "gap_ms": 0.5, "partition": 0,
 "acks_per_second_before": 100.0 or null, "acks_per_second_after": 100.0 or null}], "notes": ["what was not checked"]}
)";
}

}  // namespace cli::verify
