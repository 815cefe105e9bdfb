// What a command says when it cannot do what was asked: the cause, what to do next, and the exit code that scripts see.
// Immutable value.
#pragma once
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "common/model/error_code.h"

namespace cli {

// One meaning each, in all commands.
enum class Exit : int {
  done = 0,
  refused = 1,      // the cluster said no
  usage = 2,        // the command line or a file is wrong
  unreachable = 3,  // no broker reached, or no answer in time
  partly = 4,       // some of several failed
  unhealthy = 10,
  interrupted = 130,
};

struct Problem {
  Exit exit = Exit::refused;
  std::string message;
  std::string next_step;  // may be empty
};

template <class T>
using Outcome = tl::expected<T, Problem>;

[[nodiscard]] inline tl::unexpected<Problem> problem(Exit exit, std::string message, std::string next_step = {}) {
  return tl::unexpected<Problem>(Problem{exit, std::move(message), std::move(next_step)});
}

// "cannot create topic orders: TOPIC_ALREADY_EXISTS (a topic of that name exists)", with the broker's own words if any,
// and the command that helps on.
Problem refused(std::string_view what, common::model::ErrorCode code, std::string_view broker_message = {});
// The meaning of the common error codes in a few words; empty for the others.
std::string_view meaning_of(common::model::ErrorCode code);

}  // namespace cli
