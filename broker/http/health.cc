#include "broker/http/health.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "broker/api/context.h"
#include "controller/quorum/controller_node.h"

namespace broker::http {

using common::Awaitable;
using nlohmann::json;

namespace {

bool all_ok(const std::vector<Check>& checks) {
  return std::ranges::all_of(checks, &Check::ok);
}

Response respond(const std::vector<Check>& checks, json extra = json::object()) {
  Response response;
  response.status = all_ok(checks) ? 200 : 503;
  json body = std::move(extra);
  body["status"] = all_ok(checks) ? "ok" : "failing";
  body["checks"] = json::array();
  for (const Check& check : checks)
    body["checks"].push_back({{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
  response.body = body.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

// Which shards came to a small piece of work by `deadline`.
Awaitable<std::vector<bool>> who_answers(common::Shard& here, std::vector<common::Shard*> shards,
                                         common::Instant deadline) {
  struct Asked {
    explicit Asked(common::Shard& shard) : all(shard) {}
    common::Event all;
    std::vector<bool> answered;
    size_t missing = 0;
  };
  const auto asked = std::make_shared<Asked>(here);
  asked->answered.resize(shards.size());
  asked->missing = shards.size();
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i]->post([asked, i, &here] {
      here.post([asked, i] {
        asked->answered[i] = true;
        if (--asked->missing == 0) asked->all.set();
      });
    });
  }
  if (asked->missing > 0) co_await common::until(asked->all, deadline);
  co_return asked->answered;
}

}  // namespace

std::string_view to_string(StartProgress::Stage stage) {
  switch (stage) {
    case StartProgress::Stage::starting:
      return "starting";
    case StartProgress::Stage::finding_quorum:
      return "finding the quorum";
    case StartProgress::Stage::recovering:
      return "recovering logs";
    case StartProgress::Stage::registering:
      return "registering with the controller";
    case StartProgress::Stage::serving:
      return "serving";
    case StartProgress::Stage::leaving:
      return "leaving";
  }
  return "?";
}

std::vector<Check> decide_readiness(const ReadinessFacts& facts) {
  using Stage = StartProgress::Stage;
  std::vector<Check> checks;
  const bool recovered = facts.stage > Stage::recovering;
  const std::string logs =
      fmt::format("{} of {} logs open, {} bytes checked", facts.logs_opened, facts.logs_found, facts.scanned_bytes);
  // A broker in service goes on serving while its quorum elects another leader.
  const bool awaits_controller = facts.stage > Stage::finding_quorum && !facts.has_controller && !facts.in_service;
  checks.push_back(
      {"quorum found", facts.stage > Stage::finding_quorum && !awaits_controller,
       awaits_controller ? "no leader of the metadata quorum is known" : std::string(to_string(facts.stage))});
  checks.push_back({"logs recovered", recovered, facts.stage >= Stage::recovering ? logs : "not begun"});
  checks.push_back({"registered", facts.stage >= Stage::serving, std::string(to_string(facts.stage))});
  checks.push_back(
      {"in service", facts.in_service,
       facts.in_service ? "the controller counts on this broker" : "fenced, or not known to the controller yet"});
  checks.push_back(
      {"not leaving", facts.stage != Stage::leaving, facts.stage == Stage::leaving ? "controlled shutdown" : ""});
  return checks;
}

std::vector<Check> decide_health(const controller::metadata::MetadataImage& image,
                                 std::optional<common::model::BrokerId> controller) {
  size_t leaderless = 0, under_replicated = 0, partitions = 0;
  std::string example;
  for (const auto& [name, id] : image.topic_names()) {
    const auto* topic = image.topic_by_id(id);
    for (const auto& [index, state] : topic->partitions) {
      ++partitions;
      if (!state->leader) ++leaderless;
      if (state->isr.size() < state->replicas.size()) ++under_replicated;
      const bool bad = !state->leader || state->isr.size() < state->replicas.size();
      if (bad && example.empty()) example = fmt::format(", for example {}-{}", topic->name, index);
    }
  }
  std::string fenced;
  for (const auto& [id, broker] : image.brokers()) {
    if (broker->fenced) fenced += fmt::format("{}{}", fenced.empty() ? "" : ", ", id);
  }
  std::vector<Check> checks;
  checks.push_back({"controller", controller.has_value(),
                    controller ? fmt::format("broker {}", *controller) : "no leader of the metadata quorum is known"});
  checks.push_back({"partitions led", leaderless == 0,
                    fmt::format("{} of {} have no leader{}", leaderless, partitions, leaderless > 0 ? example : "")});
  checks.push_back({"partitions replicated", under_replicated == 0,
                    fmt::format("{} of {} have replicas out of sync{}", under_replicated, partitions,
                                under_replicated > 0 ? example : "")});
  checks.push_back(
      {"brokers", fenced.empty(),
       fenced.empty() ? fmt::format("{} in service", image.brokers().size()) : fmt::format("fenced: {}", fenced)});
  return checks;
}

ReadinessFacts Health::readiness() const {
  return {.stage = process_.progress->stage.load(),
          .logs_found = process_.progress->logs_found.load(),
          .logs_opened = process_.progress->logs_opened.load(),
          .scanned_bytes = process_.progress->scanned_bytes.load(),
          .has_controller = process_.progress->has_controller.load(),
          .in_service = broker_ != nullptr && broker_->controller->in_service()};
}

Awaitable<Response> Health::livez() const {
  constexpr std::chrono::seconds patience{5};
  std::vector<common::Shard*> asked{process_.controller_shard};
  // While logs are recovered the shards are busy with just that, and a restart would begin it anew.
  const bool recovers = process_.progress->stage.load() == StartProgress::Stage::recovering;
  if (!recovers) asked.insert(asked.end(), process_.shards.begin(), process_.shards.end());
  const std::vector<bool> answered = co_await who_answers(*process_.here, asked, process_.here->now() + patience);
  std::vector<Check> checks;
  for (size_t i = 0; i < answered.size(); ++i) {
    checks.push_back({i == 0 ? "controller thread" : fmt::format("shard {}", i - 1), answered[i],
                      answered[i] ? "" : "does not come to new work"});
  }
  co_return respond(checks);
}

Awaitable<Response> Health::readyz() const {
  const ReadinessFacts facts = readiness();
  json extra;
  extra["stage"] = to_string(facts.stage);
  extra["recovery"] = {
      {"logs_found", facts.logs_found}, {"logs_opened", facts.logs_opened}, {"scanned_bytes", facts.scanned_bytes}};
  co_return respond(decide_readiness(facts), std::move(extra));
}

Awaitable<Response> Health::healthz() const {
  std::vector<Check> checks = decide_readiness(readiness());
  if (broker_ != nullptr) {
    controller::metadata::ImagePtr image;
    co_await common::hop(*process_.shards.front());
    image = broker_->contexts.front()->image;
    co_await common::hop(*process_.here);
    for (Check& check : decide_health(*image, broker_->controller->leader())) checks.push_back(std::move(check));
  }
  co_return respond(checks);
}

}  // namespace broker::http
