#include "broker/http/message_codec.h"

#include <charconv>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "common/model/mutant.h"

namespace broker::http {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using common::model::mutant;

namespace {

bool decode_percent(std::string_view text, std::string& out) {
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      unsigned value = 0;
      if (i + 2 >= text.size()) return false;
      const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
      if (error != std::errc() || end != text.data() + i + 3) return false;
      out.push_back(static_cast<char>(value));
      i += 2;
    }
  }
  return true;
}

}  // namespace

bool split_target(std::string_view target, Request& into) {
  const size_t mark = target.find('?');
  if (!target.starts_with('/') || !decode_percent(target.substr(0, mark), into.path)) return false;
  into.query.clear();
  std::string_view rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const size_t equals = pair.find('=');
    std::string name;
    std::string value;
    if (!decode_percent(pair.substr(0, equals), name)) return false;
    if (equals != std::string_view::npos && !decode_percent(pair.substr(equals + 1), value)) return false;
    if (!name.empty()) into.query.insert_or_assign(std::move(name), std::move(value));
  }
  return true;
}

struct RequestReader::Impl {
  using Parser = bhttp::request_parser<bhttp::string_body>;
  explicit Impl(const MessageLimits& l) : limits(l) { begin(); }
  void begin() {
    parser.emplace();
    parser->header_limit(limits.header_bytes_max);
    parser->body_limit(limits.body_bytes_max);
    parser->eager(true);
  }
  MessageLimits limits;
  std::optional<Parser> parser;
  beast::flat_buffer held;
  int refusal = 400;
};

RequestReader::RequestReader(const MessageLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestReader::~RequestReader() = default;

RequestReader::State RequestReader::put(std::span<const std::byte> bytes) {
  if (!bytes.empty()) {
    const auto room = impl_->held.prepare(bytes.size());
    std::memcpy(room.data(), bytes.data(), bytes.size());
    impl_->held.commit(bytes.size());
  }
  while (impl_->held.size() > 0 && !impl_->parser->is_done()) {
    beast::error_code error;
    const size_t used = impl_->parser->put(impl_->held.data(), error);
    impl_->held.consume(used);
    if (error == bhttp::error::need_more) break;
    if (error) {
      impl_->refusal = error == bhttp::error::header_limit ? 431 : error == bhttp::error::body_limit ? 413 : 400;
      return State::refused;
    }
    if (used == 0) break;
  }
  if (impl_->parser->is_done()) return State::complete;
  // Beast waits for the end of a chunk's extensions, and of the fields behind the last chunk, however long they are.
  constexpr int fields_too_large = 431;
  if (impl_->held.size() > impl_->limits.header_bytes_max && !mutant<"R109-waits-for-endless-fields">()) {
    impl_->refusal = fields_too_large;
    return State::refused;
  }
  return State::needs_more;
}

Request RequestReader::take() {
  const auto& message = impl_->parser->get();
  Request request;
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  if (!split_target(target, request)) request.path.clear();
  request.host = std::string(message[bhttp::field::host]);
  request.origin = std::string(message[bhttp::field::origin]);
  request.last_event_id = std::string(message["Last-Event-ID"]);
  request.if_none_match = std::string(message[bhttp::field::if_none_match]);
  const auto encodings = message[bhttp::field::accept_encoding];
  request.accepts_gzip = encodings.find("gzip") != beast::string_view::npos &&
                         encodings.find("gzip;q=0") == beast::string_view::npos;  // "gzip;q=0.1" had rather not, too
  request.keep_alive = message.keep_alive();
  impl_->begin();
  return request;
}

int RequestReader::refusal() const {
  return impl_->refusal;
}

std::string encode_response(const Response& response, const Request& request) {
  bhttp::response<bhttp::empty_body> head;
  head.version(11);
  head.result(static_cast<unsigned>(response.status));
  head.set(bhttp::field::server, "naru");
  head.set(bhttp::field::content_type, response.content_type);
  head.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) head.set(name, value);
  constexpr int not_modified = 304;
  if (!response.stream && response.status != not_modified) head.content_length(response.body.size());
  head.keep_alive(request.keep_alive && !response.stream);
  bhttp::response_serializer<bhttp::empty_body> serializer(head);
  std::string text;
  beast::error_code error;
  while (!serializer.is_header_done() && !error) {
    serializer.next(error, [&](beast::error_code&, const auto& buffers) {
      text += beast::buffers_to_string(buffers);
      serializer.consume(boost::asio::buffer_size(buffers));
    });
  }
  if (!response.stream && request.method != "HEAD") text += response.body;
  return text;
}

}  // namespace broker::http
