// Which records of a group count as read: those that were written out, not those that the client library has handed
// over. A full disk, or a reader that has left, must not make a group pass over what nobody got.
// Thread-compatible.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "cli/kafka_client.h"

namespace cli {

class ConsumedOffsets {
 public:
  // Leaves it to this class what is committed.
  static void take_over(KafkaSettings& settings) { settings.set("enable.auto.offset.store", "false"); }
  // Handed over, not yet written.
  void add(const rd_kafka_message_t& message);
  // All of those are written: the client's next commit covers them.
  void written(rd_kafka_t* consumer);

 private:
  std::map<std::string, std::map<int32_t, int64_t>, std::less<>> next_;
};

}  // namespace cli
