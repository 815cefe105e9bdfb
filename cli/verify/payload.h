// The bytes of a record of a run, and back. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "cli/verify/verdict.h"

namespace cli::verify {

// "naru RUN PRODUCER:COUNTER", padded with spaces to `size`.
std::string payload_of(std::string_view run, Value value, size_t size);

struct Payload {
  bool is_ours = false;  // of this run; others of the same kind are nobody's business
  Value value = -1;      // -1: bytes that no run wrote
};
Payload parse_payload(std::string_view run, std::string_view bytes);

}  // namespace cli::verify
