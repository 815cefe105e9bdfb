// An API that we serve is one row: key, versions, and a coroutine that turns a decoded request into a response. The
// rows stand in table.cc; dispatch, ApiVersions' answer and docs/kafka.md's table come from there.
//
// A handler file ends with
//   const ApiHandler list_offsets = make_handler<kafka::ListOffsetsRequest, kafka::ListOffsetsResponse, &handle>(
//       {.min = 1, .max = 11});
// where `Awaitable<kafka::ListOffsetsResponse> handle(RequestContext& ctx, kafka::ListOffsetsRequest request)`.
#pragma once
#include <cstdint>
#include <span>

#include "broker/api/context.h"
#include "broker/api/request_metrics.h"
#include "proto/kafka/runtime/message.h"

namespace broker::api {

struct VersionRange {
  int16_t min = 0;
  int16_t max = 0;
};

struct ApiHandler {
  int16_t key = 0;
  const char* name = "";  // as Kafka spells it, without "Request"
  VersionRange versions;  // announced and served, unless the handler says otherwise in its head comment
  int16_t first_flexible = 0;
  // Decodes the body at the reader, handles it and encodes the response body. A body that does not decode closes the
  // connection, as Kafka does.
  Awaitable<server::Outcome> (*run)(RequestContext& ctx, kafka::Reader body) = nullptr;
};

// The header in front of an encoded response body (v0: correlation id; v1: and an empty tag section).
Buffer response_header(const RequestHead& head, int16_t first_flexible);

// What was decoded are copies, and what it waits for (records, replicas, the controller) may be long in coming: a small
// request holds nobody's memory until then. A large one does, for what was decoded of it is larger still (R109).
constexpr size_t held_frame_bytes_min = 64 << 10;

template <class Request, class Response, Awaitable<Response> (*Handle)(RequestContext&, Request)>
Awaitable<server::Outcome> run_handler(RequestContext& ctx, kafka::Reader body) {
  Result<Request> request = kafka::decode<Request>(body, ctx.version());
  if (!request) co_return server::Outcome::close(request.error().message);
  body = kafka::Reader(Buffer());     // it would hold the frame until the answer
  constexpr int16_t produce_key = 0;  // its batches are slices of the frame
  if constexpr (Request::api_key != produce_key) {
    if (ctx.frame().size() < held_frame_bytes_min) ctx.release_frame();
  }
  Response response = co_await Handle(ctx, std::move(*request));
  server::Outcome outcome;
  outcome.kind = ctx.answer_kind();
  outcome.reason = ctx.close_reason();
  outcome.is_last = ctx.ends_connection();
  RequestMetrics* const metrics = ctx.broker().metrics;
  if (outcome.kind != server::Outcome::Kind::answer) {
    if (metrics != nullptr) metrics->count_errors(Request::api_key, response, outcome.kind);
    co_return outcome;
  }
  Result<common::model::BufferChain> encoded = kafka::encode(response, ctx.version());
  if (!encoded) {
    // Our mistake, and whoever knows how to provoke it could fill the log.
    const auto grant = ctx.broker().unencodable_line.ask(ctx.shard().now());
    if (grant.allowed) {
      ctx.broker().log.error("a response of {} v{} could not be encoded: {} ({} such lines left out)",
                             Response::message_name, ctx.version(), encoded.error().message, grant.suppressed);
    }
    co_return server::Outcome::close("a response could not be encoded");
  }
  if (metrics != nullptr) metrics->count_errors(Request::api_key, response, outcome.kind);
  outcome.response = common::model::BufferChain(response_header(ctx.head(), Request::first_flexible));
  outcome.response.append(std::move(*encoded));
  co_return outcome;
}

template <class Request, class Response, Awaitable<Response> (*Handle)(RequestContext&, Request)>
constexpr ApiHandler make_handler(const char* name, VersionRange versions) {
  return {.key = Request::api_key,
          .name = name,
          .versions = versions,
          .first_flexible = Request::first_flexible,
          .run = &run_handler<Request, Response, Handle>};
}

// Every API that this broker serves, by key. table.cc is the one place to add a row.
std::span<const ApiHandler* const> api_table();
const ApiHandler* find_api(int16_t key);

// Frame -> header -> handler: the dispatch function of one shard's connections.
Awaitable<server::Outcome> dispatch(BrokerContext& broker, server::InFlight& in_flight);

}  // namespace broker::api
