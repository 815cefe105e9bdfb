// Whatever lies in a __consumer_offsets partition, loading it either fails or gives a coordinator that works: nothing
// stored may crash a broker, and what was understood survives being written again.
//
//   input = { key_length:u8 key value_length:u8(255: tombstone) value }...     each value is a subscription, too
#include <cstdint>

#include "broker/group/consumer_subscription.h"
#include "broker/group/coordinator.h"
#include "broker/group/service/record_codec.h"
#include "common/model/check.h"

namespace {

using namespace broker::group;
using common::model::BytesView;

BytesView take(BytesView& input, size_t count) {
  const BytesView front = input.first(std::min(count, input.size()));
  input = input.subspan(front.size());
  return front;
}

size_t take_length(BytesView& input) {
  const BytesView one = take(input, 1);
  return one.empty() ? 0 : std::to_integer<size_t>(one[0]);
}

// Written by us it must read the same again. Versions that we do not write may hold more than those that we do.
void check_round_trip(const GroupRecord& record) {
  const auto encoded = encode_record(record);
  if (!encoded) return;
  const auto value = encoded->value ? std::optional(encoded->value->view()) : std::nullopt;
  const auto decoded = decode_record(encoded->key.view(), value);
  NARU_CHECK(decoded && *decoded, "our own bytes are not understood");
  const auto again = encode_record(**decoded);
  NARU_CHECK(again && again->key.text() == encoded->key.text() &&
             again->value.has_value() == encoded->value.has_value() &&
             (!again->value || again->value->text() == encoded->value->text()));
}

// What a member says of itself comes from any client.
void look_into(BytesView subscription) {
  const auto topics = subscribed_topics_in(subscription);
  if (!topics) return;
  size_t bytes = 0;
  for (const std::string& topic : *topics) bytes += 2 + topic.size();
  NARU_CHECK(bytes <= subscription.size(), "more is named than is there");
}

void use(GroupCoordinator& coordinator) {
  Moment at{Instant(std::chrono::hours(1)), TimestampMs(1'700'000'000'000)};
  (void)coordinator.start(at);
  uint64_t token = 0;
  std::vector<std::string> groups;
  const Effects listed = coordinator.handle(RequestToken(++token), ListRequest{}, at);
  for (const auto& g : std::get<ListAnswer>(listed.answers.at(0).answer).groups) groups.push_back(g.group);
  for (const std::string& group : groups) {
    const Effects described = coordinator.handle(RequestToken(++token), DescribeRequest{group}, at);
    (void)coordinator.handle(RequestToken(++token), FetchRequest{.group = group}, at);
    for (const auto& m : std::get<DescribeAnswer>(described.answers.at(0).answer).members) {
      JoinRequest join{.group = group, .member_id = m.member_id, .instance_id = m.instance_id};
      join.session_timeout = join.rebalance_timeout = milliseconds(10'000);
      join.protocol_type = "consumer";
      join.protocols.push_back({"range", {}});
      (void)coordinator.handle(RequestToken(++token), std::move(join), at);
    }
  }
  // Sessions end, rebalances run out, offsets expire.
  for (int i = 0; i < 12; ++i) {
    const std::optional<Instant> next = coordinator.next_deadline();
    if (!next) break;
    at.wall = TimestampMs(at.wall.value + 600'000);
    at.now = std::max(at.now, *next);
    (void)coordinator.on_time(at);
  }
  (void)coordinator.resign(ErrorCode::not_coordinator);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  BytesView input(reinterpret_cast<const std::byte*>(data), size);
  GroupCoordinator coordinator(GroupConfig{});
  while (!input.empty()) {
    const BytesView key = take(input, take_length(input));
    const size_t length = take_length(input);
    std::optional<BytesView> value;
    if (length != 255) value = take(input, length);
    if (value) look_into(*value);
    const auto decoded = decode_record(key, value);
    if (!decoded) return 0;  // the partition does not load
    if (!*decoded) continue;
    check_round_trip(**decoded);
    coordinator.replay(**decoded);
  }
  use(coordinator);
  return 0;
}
