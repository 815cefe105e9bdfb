// What is known of each API that has a schema, and which header goes with which version. What the broker announces is
// decided by its table of handlers, not here.
#pragma once
#include <span>

#include "proto/kafka/runtime/message.h"

namespace kafka {

struct ApiFacts {
  int16_t key = 0;
  const char* name = "";
  int16_t min_version = 0;
  int16_t max_version = 0;
  int16_t stable_version = 0;  // newest that is not marked unstable in the protocol
  int16_t first_flexible = never_flexible;
};

// In the order of keys.
std::span<const ApiFacts> apis();
// Null for an API without a schema.
const ApiFacts* find_api(int16_t key);

// 2 where the API's version is flexible, else 1. For an unknown API, or a version newer than ours: 1 (a flexible
// header begins with the same fields).
int16_t request_header_version(int16_t api_key, int16_t api_version);
// 1 where the API's version is flexible, else 0; always 0 for ApiVersions, which is asked before versions are agreed.
int16_t response_header_version(int16_t api_key, int16_t api_version);

}  // namespace kafka
