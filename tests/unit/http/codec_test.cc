// Requests cut out of bytes as they come, and what is refused.
#include <catch2/catch.hpp>

#include "broker/http/message_codec.h"

using namespace broker::http;

namespace {

RequestReader::State put(RequestReader& reader, std::string_view text) {
  return reader.put(std::as_bytes(std::span(text)));
}

}  // namespace

TEST_CASE("a request that comes byte by byte, and the next one behind it") {
  RequestReader reader({});
  const std::string text =
      "GET /api/v1/topics/a%2Fb?from=10&key=x+y&flag HTTP/1.1\r\nHost: here:9644\r\nLast-Event-ID: "
      "42\r\nAccept-Encoding: gzip, br\r\n\r\n"
      "HEAD /livez HTTP/1.0\r\n\r\n";
  const size_t end_of_first = text.find("\r\n\r\n") + 4;
  for (size_t i = 0; i + 1 < end_of_first; ++i)
    REQUIRE(put(reader, text.substr(i, 1)) == RequestReader::State::needs_more);
  REQUIRE(put(reader, text.substr(end_of_first - 1)) == RequestReader::State::complete);
  const Request first = reader.take();
  CHECK(first.method == "GET");
  CHECK(first.path == "/api/v1/topics/a/b");
  CHECK(first.parameter("from") == "10");
  CHECK(first.parameter("key") == "x y");
  CHECK(first.query.contains("flag"));
  CHECK(first.host == "here:9644");
  CHECK(first.last_event_id == "42");
  CHECK(first.accepts_gzip);
  CHECK(first.keep_alive);
  REQUIRE(reader.put({}) == RequestReader::State::complete);
  const Request second = reader.take();
  CHECK(second.method == "HEAD");
  CHECK_FALSE(second.keep_alive);
}

TEST_CASE("what is refused") {
  const auto refusal = [](const std::string& text) {
    RequestReader reader({.header_bytes_max = 1024, .body_bytes_max = 64});
    REQUIRE(put(reader, text) == RequestReader::State::refused);
    return reader.refusal();
  };
  CHECK(refusal("\x16\x03\x01 this is TLS\r\n\r\n") == 400);
  CHECK(refusal("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n") == 431);
  CHECK(refusal("POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n") == 413);
}

TEST_CASE("what a body's chunks may say of themselves has an end, as a head has") {
  const std::string head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string begun = GENERATE(as<std::string>(), "5;name=", "0\r\nField: ");
  RequestReader reader({.header_bytes_max = 1024, .body_bytes_max = 64});
  REQUIRE(put(reader, head + begun) == RequestReader::State::needs_more);
  RequestReader::State state = RequestReader::State::needs_more;
  size_t taken = 0;
  for (; state == RequestReader::State::needs_more && taken < 1 << 20; taken += 100)
    state = put(reader, std::string(100, 'x'));
  CHECK(state == RequestReader::State::refused);
  CHECK(reader.refusal() == 431);
  CHECK(taken <= 1200);
}

TEST_CASE("targets that are not well formed have no path") {
  Request request;
  CHECK_FALSE(split_target("http://elsewhere/", request));
  CHECK_FALSE(split_target("/%zz", request));
  CHECK_FALSE(split_target("/%4", request));
  CHECK(split_target("/", request));
}

TEST_CASE("a response says its length, and HEAD gets no body") {
  Response response;
  response.body = "{}";
  response.headers.emplace_back("ETag", "\"1\"");
  Request request;
  request.method = "GET";
  request.keep_alive = true;
  const std::string text = encode_response(response, request);
  CHECK(text.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(text.find("Content-Length: 2\r\n") != std::string::npos);
  CHECK(text.find("ETag: \"1\"\r\n") != std::string::npos);
  CHECK(text.ends_with("\r\n\r\n{}"));
  request.method = "HEAD";
  CHECK(encode_response(response, request).ends_with("\r\n\r\n"));
  response.stream = [](StreamWriter&) -> common::Awaitable<void> { co_return; };
  request.method = "GET";
  CHECK(encode_response(response, request).find("Content-Length") == std::string::npos);
}
