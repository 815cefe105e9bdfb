#include "cli/verify/verdict.h"

#include <array>

#include <fmt/format.h>

namespace cli::verify {
namespace {

struct Words {
  std::string_view name;
  std::string_view meaning;
};
// In the order of the enumeration.
constexpr std::array<Words, anomaly_count> words = {{
    {"lost", "acknowledged records that are gone or changed"},
    {"duplicated", "records that are there twice"},
    {"reordered", "records that overtook earlier ones of their producer"},
    {"divergent", "offsets that held two different records"},
    {"phantom", "records that nobody sent, or that were refused"},
    {"real_time", "records placed before others that had been acknowledged when they were sent"},
    {"unseen", "acknowledged records that a consumer group never got"},
    {"skipped", "jumps of a consumer over records"},
    {"backwards", "jumps of a consumer back to records it had"},
    {"early", "records seen before they were sent, or before their transaction committed"},
    {"stale", "times that the end of a partition went back"},
    {"replica_divergent", "offsets at which replicas differ"},
    {"commit_regress", "group offsets older than the last acknowledged commit"},
    {"double_owner", "partitions owned by two members at once"},
    {"leader_epoch", "leader epochs that went back, or had two leaders"},
    {"torn", "transactions that are visible in part"},
    {"aborted", "records of aborted transactions that were read"},
    {"cycle", "transactions that read from each other"},
}};

}  // namespace

std::string value_text(Value value) {
  if (value < 0) return "of no producer of ours";
  const int32_t producer = producer_of(value);
  return producer == 0 ? fmt::format("{}", value) : fmt::format("{}:{}", producer, counter_of(value));
}

std::string_view to_string(Anomaly anomaly) {
  return words.at(static_cast<size_t>(anomaly)).name;
}

std::string_view meaning_of(Anomaly anomaly) {
  return words.at(static_cast<size_t>(anomaly)).meaning;
}

}  // namespace cli::verify
