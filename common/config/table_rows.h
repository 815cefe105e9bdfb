// The four lists of rows that config_table.cc joins. Only that file uses them.
#pragma once
#include <vector>

#include "common/config/config_table.h"

namespace common::config {

std::vector<Property> topic_rows();
std::vector<Property> used_broker_rows();
std::vector<Property> naru_rows();
std::vector<Property> accepted_broker_rows();

}  // namespace common::config
