// Small pieces of the hot path, each a step that can be repeated: google-benchmark times it, callgrind counts its
// instructions, which no other program on the machine changes. Not thread-safe; one thread.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/check.h"
#include "common/records/batch_builder.h"

namespace micro {

using Step = std::function<void()>;

struct Case {
  std::string name;
  int iterations = 1;           // whose instructions are counted; the same number always
  std::function<Step()> start;  // makes what the step needs; not counted
};
using Cases = std::vector<Case>;

void add_records(Cases& all);
void add_log(Cases& all);
void add_codecs(Cases& all);
void add_replication(Cases& all);
void add_metadata(Cases& all);
void add_groups(Cases& all);

// A batch of records of 1 KiB that half compress, as a producer sends it.
common::model::Buffer batch_of(int records, common::records::Codec codec = common::records::Codec::none);

// Keeps the compiler from dropping what was computed.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

}  // namespace micro
