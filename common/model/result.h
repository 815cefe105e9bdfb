// Result<T>: an expected failure is a value. One alias, so that std::expected can follow later.
#pragma once
#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "common/model/error_code.h"

namespace common::model {

// What went wrong: Kafka's code for whoever must act on it, and words for the log.
struct Error {
  ErrorCode code = ErrorCode::unknown_server_error;
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

using Unexpected = tl::unexpected<Error>;

[[nodiscard]] inline Unexpected fail(ErrorCode code, std::string message = {}) {
  return Unexpected(Error{code, std::move(message)});
}

}  // namespace common::model
