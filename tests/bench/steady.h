// A producer at librdkafka's defaults (acks=all, as theirs) that writes to each partition in turn at a steady rate and
// knows the longest time that a partition went without an acknowledgement. Whoever runs it talks to it by lines, one
// JSON object each way; bench/java speaks the same:
//
//   it says  {"event":"ready"}                 each partition has had an acknowledgement
//   "flow N" {"event":"flow"}                  each partition has had N more since the line came
//   "mark"   {"event":"mark","gap_ms":,"partition":,"acked":,"failed":}   since the last mark
//   end of input: flushes, says {"event":"end","acked":,"failed":} and ends
#pragma once
#include <string>

namespace load {

struct Steady {
  std::string bootstrap;
  std::string topic;
  int partitions = 1;
  double rate = 500;  // records a second in all
};

int steady(const Steady& options);

}  // namespace load
