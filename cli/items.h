// Commands that do one thing to several: what became of each, the exit code of all, and the question before harm is
// done.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "common/model/error_code.h"

namespace cli {

struct ItemOutcome {
  std::string name;
  common::model::ErrorCode error = common::model::ErrorCode::none;
  std::string message;
  std::optional<Problem> problem;  // to be reported instead, where `error` is not what a broker answered
};
ItemOutcome not_done(std::string name, Problem why);
// Of one that could not be asked for, or whose answer is missing: "cannot delete group g: broker 2 does not answer".
ItemOutcome unanswered(std::string_view what, std::string name, Problem why);

// Each of `asked` of which the brokers said nothing has failed, too: what is not answered is not known to be done.
void add_unanswered(std::vector<ItemOutcome>& items, const std::vector<std::string>& asked,
                    common::model::ErrorCode error);

// One line for each failure; the exit code of several.
Exit conclude(std::string_view what, const std::vector<ItemOutcome>& items);
// "created orders", or JSON or names; then conclude().
Exit print_items(Format format, std::string_view what, std::string_view past, const std::vector<ItemOutcome>& items);

// Asks on a terminal; elsewhere only `yes` will do, and that is said ("deletes only with --yes...").
bool confirmed(bool yes, std::string_view verb, std::string_view question);

}  // namespace cli
