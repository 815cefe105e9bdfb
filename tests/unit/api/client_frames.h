// What a client writes and reads, for tests of handlers: a request as a frame behind its header, an answer out of one.
#pragma once
#include <string>

#include <catch2/catch.hpp>

#include "broker/api/handler.h"
#include "proto/kafka/runtime/apis.h"

namespace broker::api::test {

constexpr int32_t correlation_id = 77;

template <class Request>
Buffer request_frame(const Request& request, int16_t version, const std::string& client = "test-client") {
  kafka::Writer writer;
  writer.i16(Request::api_key);
  writer.i16(version);
  writer.i32(correlation_id);
  writer.string(client, false);
  if (kafka::request_header_version(Request::api_key, version) == 2) writer.uvarint(0);
  kafka::encode(writer, request, version);
  Result<common::model::BufferChain> frame = writer.finish();
  if (!frame) FAIL(frame.error().message);
  return frame->flatten();
}

// It must have been answered; its header is checked, and that nothing follows.
template <class Response>
Response response_in(const server::Outcome& outcome, int16_t version) {
  REQUIRE(outcome.kind == server::Outcome::Kind::answer);
  kafka::Reader reader(outcome.response.flatten());
  REQUIRE(reader.i32() == correlation_id);
  if (kafka::response_header_version(Response::api_key, version) == 1) reader.skip_tags();
  const Result<Response> response = kafka::decode<Response>(reader, version);
  if (!response) FAIL(response.error().message);
  REQUIRE(reader.remaining() == 0);
  return *response;
}

}  // namespace broker::api::test
