#include <array>

#include "broker/api/handler.h"
#include "broker/api/request_metrics.h"
#include "common/model/mutant.h"

namespace broker::api {

namespace {

using common::model::mutant;

constexpr int16_t api_versions_key = 18;

// R109: an element of one byte on the wire costs some hundred in the request and its answer. No client names as many
// partitions; a whole frame of elements would be gigabytes, and the shard busy with nothing else for many seconds.
constexpr size_t request_elements_max = 200'000;

// Request header: api key, version, correlation id, nullable client id (always the short string form), and from the
// first flexible version on a tag section.
Result<RequestHead> read_head(kafka::Reader& reader) {
  RequestHead head;
  head.api_key = reader.i16();
  head.api_version = reader.i16();
  head.correlation_id = reader.i32();
  if (auto status = reader.status("request header"); !status) return tl::unexpected(status.error());
  return head;
}

Result<void> read_head_rest(kafka::Reader& reader, RequestHead& head, int16_t first_flexible) {
  head.client_id = reader.nullable_string(false).value_or("");
  if (head.api_version >= first_flexible) reader.skip_tags();
  return reader.status("request header");
}

}  // namespace

Buffer response_header(const RequestHead& head, int16_t first_flexible) {
  std::array<std::byte, 5> bytes{};
  const auto id = static_cast<uint32_t>(head.correlation_id);
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(id >> (24 - 8 * i));
  // ApiVersions always answers with header v0: the client does not know yet what we speak.
  const bool flexible = head.api_version >= first_flexible && head.api_key != api_versions_key;
  return Buffer::copy_of(std::span(bytes).first(flexible ? 5 : 4));
}

Awaitable<server::Outcome> dispatch(BrokerContext& broker, server::InFlight& in_flight) {
  kafka::Reader reader(in_flight.frame());
  if (!mutant<"R109-takes-any-number-of-elements">()) reader.allow_elements(request_elements_max);
  Result<RequestHead> head = read_head(reader);
  if (!head) co_return server::Outcome::close(head.error().message);
  const ApiHandler* handler = find_api(head->api_key);
  if (handler == nullptr) co_return server::Outcome::close(fmt::format("API key {} is not served", head->api_key));
  const bool served = head->api_version >= handler->versions.min && head->api_version <= handler->versions.max;
  if (!served && head->api_key != api_versions_key) {
    co_return server::Outcome::close(fmt::format("{} version {} is not served ({} to {} are)", handler->name,
                                                 head->api_version, handler->versions.min, handler->versions.max));
  }
  if (!served) {
    // A newer client's first request: its handler answers UNSUPPORTED_VERSION in the v0 form, whatever the rest says.
    RequestContext ctx(broker, in_flight, std::move(*head));
    co_return co_await handler->run(ctx, std::move(reader));
  }
  if (auto rest = read_head_rest(reader, *head, handler->first_flexible); !rest) {
    co_return server::Outcome::close(rest.error().message);
  }
  const common::Instant began = broker.shard->now();
  const size_t bytes = in_flight.frame().size();
  const int16_t version = head->api_version;
  RequestContext ctx(broker, in_flight, std::move(*head));
  server::Outcome outcome = co_await handler->run(ctx, std::move(reader));
  if (broker.metrics != nullptr) {
    broker.metrics->count(handler->key, version, bytes, outcome.kind, broker.shard->now() - began);
  }
  co_return outcome;
}

const ApiHandler* find_api(int16_t key) {
  for (const ApiHandler* handler : api_table()) {
    if (handler->key == key) return handler;
  }
  return nullptr;
}

}  // namespace broker::api
