// DeleteTopics (key 20), versions 0-6: removes topics by name, from version 6 on also by id.
//
// New by version: 1 throttle time; 3 TOPIC_DELETION_DISABLED (before: INVALID_REQUEST); 4 flexible; 5 error messages;
// 6 topic ids.
#include "kafka/delete_topics.h"

#include "broker/api/controller_call.h"
#include "broker/api/handler.h"
#include "broker/api/table.h"
#include "common/config/config.h"

namespace broker::api {
namespace {

namespace meta = controller::metadata;
using common::model::Error;
using kafka::DeleteTopicsRequest;
using kafka::DeleteTopicsResponse;
using Asked = DeleteTopicsRequest::DeleteTopicState;
using Answer = DeleteTopicsResponse::DeletableTopicResult;

std::vector<Asked> asked_topics(DeleteTopicsRequest& request) {
  std::vector<Asked> asked = std::move(request.topics);
  for (std::string& name : request.topic_names) {
    Asked one;
    one.name = std::move(name);
    asked.push_back(std::move(one));
  }
  return asked;
}

std::string key_of(const Asked& asked) {
  return asked.name ? "name " + *asked.name : "id " + asked.topic_id.to_string();
}

Answer refused(const RequestContext& ctx, const Asked& asked, const Error& error) {
  Answer answer;
  answer.name = asked.name;
  if (ctx.version() < 6 && !answer.name) answer.name = "";
  answer.topic_id = asked.topic_id;
  answer.error_code = error.code;
  answer.error_message = wire_message(error);
  return answer;
}

// Why an item is not sent to the controller at all.
Error fault_of(const Asked& asked, const std::set<std::string>& repeated_keys) {
  if (asked.name.has_value() != asked.topic_id.is_zero()) {
    return {ErrorCode::invalid_request, "Exactly one of topic name and topic id must be given."};
  }
  if (repeated_keys.contains(key_of(asked))) return {ErrorCode::invalid_request, "Duplicate topic."};
  return {ErrorCode::none, {}};
}

Awaitable<DeleteTopicsResponse> handle(RequestContext& ctx, DeleteTopicsRequest request) {
  DeleteTopicsResponse response;
  const std::vector<Asked> asked = asked_topics(request);
  if (!ctx.config().delete_topics) {
    const ErrorCode code = ctx.version() < 3 ? ErrorCode::invalid_request : ErrorCode::topic_deletion_disabled;
    for (const Asked& one : asked) {
      response.responses.push_back(refused(ctx, one, {code, "Topic deletion is disabled (delete.topic.enable)."}));
    }
    co_return response;
  }
  const std::set<std::string> repeated_keys = repeated(asked, key_of);
  std::set<std::string> answered;
  std::vector<Asked> sent;
  meta::DeleteTopics wanted;
  for (const Asked& one : asked) {
    if (const Error fault = fault_of(one, repeated_keys); fault.code != ErrorCode::none) {
      if (answered.insert(key_of(one)).second) response.responses.push_back(refused(ctx, one, fault));
      continue;
    }
    meta::DeleteTopics::Topic topic;
    topic.name = one.name;
    if (!one.name) topic.topic_id = one.topic_id;
    wanted.topics.push_back(std::move(topic));
    sent.push_back(one);
  }
  if (sent.empty()) co_return response;
  meta::ControllerRequest call = std::move(wanted);
  const Result<meta::DeleteTopicsAnswer> answer =
      co_await ask_controller<meta::DeleteTopicsAnswer>(ctx, std::move(call), deadline_after(ctx, request.timeout_ms));
  for (size_t i = 0; i < sent.size(); ++i) {
    Answer one = refused(ctx, sent[i], answer ? answer->topics.at(i).error : answer.error());
    if (answer && one.error_code == ErrorCode::none) {
      if (answer->topics.at(i).name) one.name = answer->topics.at(i).name;
      one.topic_id = answer->topics.at(i).topic_id;
    }
    response.responses.push_back(std::move(one));
  }
  co_return response;
}

}  // namespace

const ApiHandler delete_topics =
    make_handler<DeleteTopicsRequest, DeleteTopicsResponse, &handle>("DeleteTopics", {.min = 0, .max = 6});

}  // namespace broker::api
