// A name that is too long for any topic is answered without being looked for, and is never copied per partition: a
// request names 200,000 partitions under one name of 32 kB in less than a megabyte, and a copy for each of them, to look
// it up, to ask a coordinator or the controller, would take gigabytes that nothing bounds (R109).
#pragma once
#include <string_view>

#include "controller/metadata/topics.h"

namespace broker::api {

[[nodiscard]] inline bool is_too_long_for_a_topic(std::string_view name) {
  return name.size() > controller::metadata::topic_name_length_max;
}

}  // namespace broker::api
