// A name that is too long for any topic is answered without being looked for, and is never copied per partition: a
// request names 200,000 partitions under one name of 32 kB in less than a megabyte, and a copy for each of them, to look
// it up, to ask a coordinator or the controller, would take gigabytes that nothing bounds (R109).
#pragma once
#include <string_view>

#include "common/model/result.h"
#include "controller/metadata/topics.h"

namespace broker::api {

[[nodiscard]] inline bool is_too_long_for_a_topic(std::string_view name) {
  return name.size() > controller::metadata::topic_name_length_max;
}

// What is asked of the controller names the topic with each partition. So many bytes of names do for every partition of
// the largest cluster; more, in a request of a megabyte, would be half a gigabyte of copies here, there and in between.
constexpr size_t repeated_name_bytes_max = 16 << 20;

template <class Topics, class NameOf>
[[nodiscard]] bool repeats_too_much(const Topics& topics, NameOf name_of) {
  size_t bytes = 0;
  for (const auto& topic : topics) {
    const std::string_view name = name_of(topic);
    if (!is_too_long_for_a_topic(name)) bytes += name.size() * topic.partitions.size();
  }
  return bytes > repeated_name_bytes_max;
}

inline const common::model::Error names_too_much{common::model::ErrorCode::policy_violation,
                                                 "The request names too much at once: divide it."};

}  // namespace broker::api
