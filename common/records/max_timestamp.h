// Kafka's broker believes the records and not the header when it is told their largest timestamp, and stores a header
// that is right: one that says more would keep segments from ageing, and mislead searches by time. Any thread.
#pragma once
#include "common/records/batch.h"

namespace common::records {

// Writes it into the header of a validated batch, and the checksum that follows from it, if the header says something
// else. In place: the memory must be writable and read by nobody else yet.
void correct_max_timestamp(const Buffer& batch, TimestampMs max_timestamp);

}  // namespace common::records
