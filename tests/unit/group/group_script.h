// Speaks to one GroupCoordinator in the words of tests/scenarios/group: commands in, answers, writes and log lines out.
// The log is a list of records of which a prefix is committed; `failover` starts another coordinator from it.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/group/coordinator.h"
#include "common/believed_clock.h"
#include "support/scenario.h"

namespace group_test {

class GroupScript {
 public:
  std::string execute(const test_support::Command& command);

 private:
  using Command = test_support::Command;

  std::string start(const Command& command);
  broker::group::Request request_of(const Command& command);
  broker::group::Request join_of(const Command& command);
  broker::group::Request leave_of(const Command& command);
  broker::group::Request sync_of(const Command& command);
  broker::group::Request commit_of(const Command& command);
  std::string run_until(broker::group::Instant when);
  std::string committed(const Command& command);
  std::string failover(const Command& command);

  std::string told(broker::group::Effects effects);
  std::string describe(const broker::group::Answer& answer) const;
  broker::group::Moment now();

  broker::group::GroupConfig config_;
  std::unique_ptr<broker::group::GroupCoordinator> coordinator_;
  broker::group::Instant now_{};
  std::chrono::milliseconds wall_step_{0};
  common::BelievedClock believed_clock_;
  uint64_t next_fresh_id_ = 1;
  uint64_t next_token_ = 1;
  std::map<broker::group::RequestToken, std::string> names_;
  std::vector<broker::group::Write> appended_;  // in order; committed ones first
  size_t committed_ = 0;
};

}  // namespace group_test
