// Defaults, and writing a value into the member that a row names. Only common/config uses it.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "common/config/config_table.h"

namespace common::config {

// The built-in default as text; absent: null. Replication defaults follow from the number of configured voters.
std::optional<std::string> default_value(const Property& property, int voters);
// Parses `value` (already checked) into the member the row names; rows without a member change nothing.
void set_member(BrokerConfig& config, const Property& property, std::string_view value);

}  // namespace common::config
