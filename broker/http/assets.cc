#include "broker/http/assets.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace broker::http {

namespace {

std::string_view type_of(std::string_view path) {
  if (path.ends_with(".html")) return "text/html; charset=utf-8";
  if (path.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (path.ends_with(".css")) return "text/css; charset=utf-8";
  if (path.ends_with(".svg")) return "image/svg+xml";
  return "text/plain; charset=utf-8";
}

// Scripts and styles from here only; data from the other brokers too, as the page moves to one of them when ours dies.
constexpr const char* policy =
    "default-src 'self'; connect-src 'self' http: https:; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

}  // namespace

std::optional<Response> find_asset(const Request& request) {
  const std::string_view path = request.path == "/"              ? std::string_view("/index.html")
                                : request.path == "/favicon.ico" ? std::string_view("/icon.svg")
                                                                 : std::string_view(request.path);
  for (const Asset& asset : assets()) {
    if (asset.path != path) continue;
    const bool is_compressed = request.accepts_gzip && !asset.compressed.empty();
    const std::string_view content = is_compressed ? asset.compressed : asset.plain;
    const std::string tag = fmt::format("\"{:016x}\"", XXH3_64bits(content.data(), content.size()));
    Response response;
    response.content_type = type_of(path);
    response.headers = {{"ETag", tag},
                        {"Cache-Control", "no-cache"},
                        {"Vary", "Accept-Encoding"},
                        {"Content-Security-Policy", policy},
                        {"Referrer-Policy", "no-referrer"}};
    if (is_compressed) response.headers.emplace_back("Content-Encoding", "gzip");
    if (request.if_none_match == tag) {
      response.status = 304;
    } else {
      response.body = content;
    }
    return response;
  }
  return std::nullopt;
}

}  // namespace broker::http
