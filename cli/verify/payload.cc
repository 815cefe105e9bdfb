#include "cli/verify/payload.h"

#include <charconv>

#include <fmt/format.h>

namespace cli::verify {
namespace {
constexpr std::string_view magic = "naru ";
}

std::string payload_of(std::string_view run, Value value, size_t size) {
  std::string text = fmt::format("{}{} {}:{}", magic, run, producer_of(value), counter_of(value));
  if (text.size() < size) text.resize(size, ' ');
  return text;
}

Payload parse_payload(std::string_view run, std::string_view bytes) {
  const Payload nobodys{.is_ours = true, .value = -1};
  if (!bytes.starts_with(magic)) return nobodys;
  bytes.remove_prefix(magic.size());
  const size_t space = bytes.find(' ');
  if (space == std::string_view::npos) return nobodys;
  const std::string_view whose = bytes.substr(0, space);
  bytes = bytes.substr(space + 1, bytes.find_last_not_of(' ') - space);
  int32_t producer = -1;
  int64_t counter = -1;
  const char* end = bytes.data() + bytes.size();
  const auto first = std::from_chars(bytes.data(), end, producer);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') return nobodys;
  const auto second = std::from_chars(first.ptr + 1, end, counter);
  if (second.ec != std::errc() || second.ptr != end) return nobodys;
  if (producer < 0 || producer > producer_max || counter < 0 || counter > counter_max) return nobodys;
  return {.is_ours = whose == run, .value = make_value(producer, counter)};
}

}  // namespace cli::verify
