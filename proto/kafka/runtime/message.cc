#include "proto/kafka/runtime/message.h"

namespace kafka {

Error version_error(const char* message, int16_t version, int16_t min, int16_t max) {
  return {ErrorCode::unsupported_version, fmt::format("{} version {} is not within {}-{}", message, version, min, max)};
}

Result<int16_t> record_type_of(const Buffer& key) {
  Reader reader(key);
  const int16_t type = reader.i16();
  return reader.status("record key").map([&] { return type; });
}

}  // namespace kafka
