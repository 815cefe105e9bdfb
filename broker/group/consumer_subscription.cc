#include "broker/group/consumer_subscription.h"

#include <cstdint>

#include "common/model/mutant.h"

namespace broker::group {
namespace {

// As many as a request may have elements (R109): two bytes of the request name nothing, and make a string of us.
constexpr int32_t names_max = 200'000;

// Big-endian numbers off the front; nothing is read beyond the end.
class Cursor {
 public:
  explicit Cursor(common::model::BytesView bytes) : bytes_(bytes) {}

  std::optional<int32_t> number(size_t width) {
    const std::optional<common::model::BytesView> taken = take(width);
    if (!taken) return std::nullopt;
    uint32_t value = 0;
    for (const std::byte b : *taken) value = (value << 8) | static_cast<uint8_t>(b);
    return width == 2 ? static_cast<int16_t>(value) : static_cast<int32_t>(value);
  }
  std::optional<common::model::BytesView> take(size_t count) {
    if (count > bytes_.size()) return std::nullopt;
    const common::model::BytesView front = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return front;
  }

 private:
  common::model::BytesView bytes_;
};

}  // namespace

std::optional<std::vector<std::string>> subscribed_topics_in(common::model::BytesView metadata) {
  Cursor cursor(metadata);
  const std::optional<int32_t> version = cursor.number(2);
  if (!version || *version < 0) return std::nullopt;
  const std::optional<int32_t> count = cursor.number(4);
  if (!count || *count < 0) return std::nullopt;
  if (*count > names_max && !common::model::mutant<"R109-takes-any-number-of-names">()) return std::nullopt;
  std::vector<std::string> topics;
  for (int32_t i = 0; i < *count; ++i) {
    const std::optional<int32_t> length = cursor.number(2);
    if (!length || *length < 0) return std::nullopt;
    const std::optional<common::model::BytesView> name = cursor.take(static_cast<size_t>(*length));
    if (!name) return std::nullopt;
    topics.emplace_back(common::model::as_text(*name));
  }
  return topics;
}

}  // namespace broker::group
