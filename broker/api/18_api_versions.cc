// ApiVersions (key 18), versions 0-5: which APIs and versions are served here? A client's first question.
//
// The answer is the table of handlers. A version that we do not know is answered in the form of version 0 with error 35
// and this API's own range, so that the client can ask again; whatever else the request holds is then not looked at.
// The response header is always version 0.
// New by version: 1 throttle time; 3 flexible, client name and version, features; 4 features with minimum 0 may be
// told; 5 the cluster and node that the client thinks it talks to (KIP-1242).
// Left out: features. Kafka's feature levels are not ours, and a client that read ours would draw wrong conclusions.
#include "kafka/api_versions.h"

#include <algorithm>

#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::ApiVersionsRequest;
using kafka::ApiVersionsResponse;

constexpr VersionRange served{.min = 0, .max = 5};

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// KIP-511: letters, digits, '-' and '.', beginning and ending with a letter or digit.
bool is_software_text(std::string_view text) {
  return !text.empty() && is_letter_or_digit(text.front()) && is_letter_or_digit(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_letter_or_digit(c) || c == '-' || c == '.'; });
}

ErrorCode check(const RequestContext& ctx, const ApiVersionsRequest& request) {
  if (ctx.version() >= 3 &&
      (!is_software_text(request.client_software_name) || !is_software_text(request.client_software_version))) {
    return ErrorCode::invalid_request;
  }
  if (request.cluster_id && *request.cluster_id != ctx.image().cluster_id().to_string()) {
    return ErrorCode::rebootstrap_required;
  }
  if (request.node_id >= 0 && request.node_id != ctx.node_id().value) return ErrorCode::rebootstrap_required;
  return ErrorCode::none;
}

Awaitable<ApiVersionsResponse> handle(RequestContext& ctx, ApiVersionsRequest request) {
  ApiVersionsResponse response;
  response.error_code = check(ctx, request);
  if (response.error_code == ErrorCode::none && ctx.version() >= 3 && ctx.connection().software) {
    ctx.connection().software->set(request.client_software_name, request.client_software_version);
  }
  if (response.error_code == ErrorCode::none) {
    for (const ApiHandler* api : api_table()) {
      response.api_keys.push_back(
          {.api_key = api->key, .min_version = api->versions.min, .max_version = api->versions.max});
    }
  }
  co_return response;
}

Awaitable<server::Outcome> refuse_version(const RequestContext& ctx) {
  ApiVersionsResponse response;
  response.error_code = ErrorCode::unsupported_version;
  response.api_keys.push_back(
      {.api_key = ApiVersionsRequest::api_key, .min_version = served.min, .max_version = served.max});
  Result<common::model::BufferChain> body = kafka::encode(response, 0);
  NARU_CHECK(body.has_value(), "version 0 of ApiVersions takes any answer");
  server::Outcome outcome;
  outcome.response = common::model::BufferChain(response_header(ctx.head(), ApiVersionsRequest::first_flexible));
  outcome.response.append(std::move(*body));
  co_return outcome;
}

Awaitable<server::Outcome> run(RequestContext& ctx, kafka::Reader body) {
  if (ctx.version() < served.min || ctx.version() > served.max) co_return co_await refuse_version(ctx);
  co_return co_await run_handler<ApiVersionsRequest, ApiVersionsResponse, &handle>(ctx, std::move(body));
}

}  // namespace

const ApiHandler api_versions = {.key = ApiVersionsRequest::api_key,
                                 .name = "ApiVersions",
                                 .versions = served,
                                 .first_flexible = ApiVersionsRequest::first_flexible,
                                 .run = &run};

}  // namespace broker::api
