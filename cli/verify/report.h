// A verdict for people (one screen) and for programs (JSON of a fixed shape). Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cli/verify/verdict.h"

namespace cli::verify {

struct Report {
  Verdict verdict;
  bool is_complete = true;
  std::string incomplete;          // why not
  std::vector<std::string> notes;  // what was not looked at
  std::string subject;             // "topic orders at localhost:9092", or a file
};

[[nodiscard]] bool passed(const Report& report);
std::string screen_text(const Report& report);
// The members of one JSON object, without the braces, so that others can put an event's name before them.
std::string json_members(const Report& report);
std::string_view json_shape();

}  // namespace cli::verify
