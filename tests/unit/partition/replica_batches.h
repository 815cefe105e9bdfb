// What a replica holds, read as a follower reads it: for tests that compare what replicas have.
#pragma once
#include <algorithm>

#include <catch2/catch.hpp>

#include "broker/partition/partition.h"
#include "common/records/batch.h"

namespace sim {

// Calls visit(batch, reached) for each batch from the one that holds `from` on, until `upto` is reached. `reached` is
// where the one before has ended, and `from` at first: a batch that begins above it comes after a gap.
template <class Visit>
void for_each_batch(broker::partition::Partition& partition, common::model::Offset from, common::model::Offset upto,
                    Visit visit) {
  while (from < upto) {
    const auto read = partition.read_for_follower(common::model::BrokerId(9), from, 1 << 20);
    REQUIRE(read.has_value());
    REQUIRE_FALSE(read->cold);
    if (read->records.empty()) return;
    const common::model::Buffer flat = read->records.flatten();
    common::records::BatchCursor cursor(flat.view());
    while (!cursor.at_end() && from < upto) {
      const auto batch = cursor.next();
      REQUIRE(batch.has_value());
      REQUIRE(batch->crc_ok());
      visit(*batch, from);
      from = std::max(from, batch->next_offset());
    }
  }
}

}  // namespace sim
