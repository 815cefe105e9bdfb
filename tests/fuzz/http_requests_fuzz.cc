// Whatever is sent to the HTTP port is cut into requests within bounds, or refused (R109): however it is cut into
// pieces on its way, a request is the same one, and what is answered to it has one head and the length it claims.
//
//   input = piece:u8, then 0 a target   else a connection's bytes, in pieces of that size, too
#include <fmt/format.h>

#include "broker/http/message_codec.h"
#include "broker/http/server.h"
#include "common/model/check.h"
#include "fuzz/input.h"

namespace {

using namespace broker::http;
using common::model::as_text;
using common::model::BytesView;

constexpr size_t requests_max = 16;
constexpr MessageLimits limits{.header_bytes_max = 512, .body_bytes_max = 64};
constexpr std::string_view end_of_head = "\r\n\r\n";

void look_at(const Request& request, size_t bytes_in) {
  NARU_CHECK(!request.query.contains(""), "a parameter without a name");
  NARU_CHECK(request.method.size() + request.path.size() + request.host.size() + request.origin.size() +
                     request.last_event_id.size() + request.if_none_match.size() <=
                 bytes_in,
             "more came out than went in");
  // What was asked for is said again, as a refusal does.
  const Response response = refuse(404, request.path);
  const std::string text = encode_response(response, request);
  const size_t head = text.find(end_of_head);
  NARU_CHECK(head != std::string::npos);
  NARU_CHECK(text.find(fmt::format("Content-Length: {}\r\n", response.body.size())) < head);
  const std::string_view body = std::string_view(text).substr(head + end_of_head.size());
  NARU_CHECK(body == (request.method == "HEAD" ? std::string_view() : std::string_view(response.body)));
}

std::vector<Request> requests_in(BytesView bytes, size_t piece) {
  RequestReader reader(limits);
  std::vector<Request> requests;
  const size_t bytes_in = bytes.size();
  RequestReader::State state = RequestReader::State::needs_more;
  while (state != RequestReader::State::refused && requests.size() < requests_max) {
    if (state == RequestReader::State::complete) {
      requests.push_back(reader.take());
      look_at(requests.back(), bytes_in);
      state = reader.put({});
      continue;
    }
    if (bytes.empty()) break;
    const BytesView front = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(front.size());
    state = reader.put(front);
  }
  if (state == RequestReader::State::refused) {
    const int status = reader.refusal();
    NARU_CHECK(status == 400 || status == 413 || status == 431, "refused with {}", status);
  }
  return requests;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const size_t piece = input.u8();
  const BytesView bytes = input.rest();
  if (piece == 0) {
    Request request;
    const bool is_target = split_target(as_text(bytes), request);
    NARU_CHECK(!is_target || request.path.starts_with('/'), "a path elsewhere");
    return 0;
  }
  const std::vector<Request> whole = requests_in(bytes, std::max<size_t>(bytes.size(), 1));
  const std::vector<Request> pieces = requests_in(bytes, piece);
  if (!whole.empty() && !pieces.empty()) {
    const Request& a = whole.front();
    const Request& b = pieces.front();
    NARU_CHECK(a.method == b.method && a.path == b.path && a.query == b.query && a.host == b.host &&
                   a.keep_alive == b.keep_alive,
               "another request in pieces of {}", piece);
  }
  return 0;
}
