// The handlers, each defined in the file that bears its number and name.
#pragma once
#include "broker/api/handler.h"

namespace broker::api {

// One declaration a line, by key.

}  // namespace broker::api
