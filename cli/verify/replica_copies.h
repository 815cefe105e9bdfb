// What the replicas of one partition hold, compared: the same bytes at each offset from a replica's log start up to the
// smallest high watermark, no offset left out, and leader epochs that never fall as offsets rise.
// Thread-compatible.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cli/verify/record_table.h"

namespace cli::verify {

class ReplicaCopies {
 public:
  // `hash` stands for all bytes of the record. Offsets of one replica rise.
  void copied(int32_t replica, int64_t offset, uint64_t hash, int32_t leader_epoch);
  void ended(int32_t replica, int64_t log_start, int64_t high_watermark);
  using Tell = std::function<void(Anomaly, std::string)>;
  // Once, when all replicas have been read; those that did not come to an end are left out.
  void judge(const Tell& tell) const;
  [[nodiscard]] bool empty() const { return replicas_.empty(); }
  [[nodiscard]] size_t bytes() const { return hashes_.pages() * decltype(hashes_)::page_bytes(); }

 private:
  struct Range {
    int64_t from, to;
  };
  struct Replica {
    int64_t next = 0;
    int32_t leader_epoch = -1;
    int64_t log_start = 0;
    int64_t high_watermark = -1;  // -1: not read to its end
    std::vector<Range> gaps;
    std::vector<int64_t> other_bytes;  // offsets where it differs from who was read before
    std::vector<int64_t> epoch_fell;   // offsets
  };
  std::map<int32_t, Replica> replicas_;
  OffsetTable<uint64_t, 0> hashes_;
};

}  // namespace cli::verify
