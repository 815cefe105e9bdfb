#include "proto/kafka/runtime/apis.h"

#include <algorithm>

namespace kafka {
namespace {

constexpr int16_t api_versions_key = 18;

bool is_flexible(int16_t api_key, int16_t api_version) {
  const ApiFacts* api = find_api(api_key);
  return api != nullptr && api_version >= api->first_flexible && api_version <= api->max_version;
}

}  // namespace

const ApiFacts* find_api(int16_t key) {
  const std::span<const ApiFacts> all = apis();
  const auto found = std::ranges::lower_bound(all, key, {}, &ApiFacts::key);
  return found != all.end() && found->key == key ? &*found : nullptr;
}

int16_t request_header_version(int16_t api_key, int16_t api_version) {
  return is_flexible(api_key, api_version) ? 2 : 1;
}

int16_t response_header_version(int16_t api_key, int16_t api_version) {
  return api_key != api_versions_key && is_flexible(api_key, api_version) ? 1 : 0;
}

}  // namespace kafka
