// DeleteTopics (key 20), versions 0-6: removes topics by name, from version 6 on also by id.
//
// Naru's own: who says so in a tag (naru topic delete) has them kept for a while (controller::metadata::kept_key), and
// is told in a tag that they are. Nobody else's deletions are; Kafka passes over the question.
// New by version: 1 throttle time; 3 TOPIC_DELETION_DISABLED (before: INVALID_REQUEST); 4 flexible; 5 error messages;
// 6 topic ids.
#include "kafka/delete_topics.h"

#include <algorithm>
#include <chrono>

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

constexpr int64_t keep_ms_max = int64_t{366} * 24 * 60 * 60 * 1000;  // whoever wants it longer does not delete

// -1: it is gone for good.
int64_t kept_ms(const meta::MetadataImage& image, const meta::TopicId& id) {
  const meta::TopicImage* topic = image.is_kept(id) ? image.topic_by_id(id) : nullptr;
  if (topic == nullptr) return -1;
  const meta::ConfigMap& settings = image.config(meta::ResourceType::topic, topic->name);
  const auto said = settings.find(meta::kept_key);
  const auto kept = said != settings.end() ? meta::kept_from_setting(said->second) : std::nullopt;
  return kept ? kept->time.count() : -1;
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
  if (request.keep_ms >= 0) wanted.keep = std::chrono::milliseconds(std::min(request.keep_ms, keep_ms_max));
  wanted.asked_at = ctx.shard().clock().wall_now();
  meta::ControllerRequest call = std::move(wanted);
  const Result<meta::DeleteTopicsAnswer> answer =
      co_await ask_controller<meta::DeleteTopicsAnswer>(ctx, std::move(call), deadline_after(ctx, request.timeout_ms));
  for (size_t i = 0; i < sent.size(); ++i) {
    Answer one = refused(ctx, sent[i], answer ? answer->topics.at(i).error : answer.error());
    if (answer && one.error_code == ErrorCode::none) {
      if (answer->topics.at(i).name) one.name = answer->topics.at(i).name;
      one.topic_id = answer->topics.at(i).topic_id;
      one.kept_ms = kept_ms(ctx.image(), one.topic_id);
    }
    response.responses.push_back(std::move(one));
  }
  co_return response;
}

}  // namespace

const ApiHandler delete_topics =
    make_handler<DeleteTopicsRequest, DeleteTopicsResponse, &handle>("DeleteTopics", {.min = 0, .max = 6});

}  // namespace broker::api
