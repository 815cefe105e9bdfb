#include "cli/items.h"

#include <unistd.h>

#include <iostream>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/output.h"

namespace cli {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;

ItemOutcome not_done(std::string name, Problem why) {
  // Where no answer came, Kafka's word for what may have been done or not.
  const ErrorCode error =
      why.exit == Exit::unreachable ? ErrorCode::request_timed_out : ErrorCode::unknown_server_error;
  return {.name = std::move(name), .error = error, .message = "", .problem = std::move(why)};
}

ItemOutcome unanswered(std::string_view what, std::string name, Problem why) {
  why.message = fmt::format("cannot {} {}: {}", what, name, why.message);
  return not_done(std::move(name), std::move(why));
}

void add_unanswered(std::vector<ItemOutcome>& items, const std::vector<std::string>& asked, ErrorCode error) {
  std::set<std::string> known;
  for (const ItemOutcome& item : items) known.insert(item.name);
  for (const std::string& name : asked) {
    if (known.insert(name).second) items.push_back({.name = name, .error = error, .message = {}, .problem = {}});
  }
}

Exit conclude(std::string_view what, const std::vector<ItemOutcome>& items) {
  size_t failed = 0;
  Exit exit = Exit::done;
  for (const ItemOutcome& item : items) {
    if (item.error == ErrorCode::none) continue;
    ++failed;
    exit = report(item.problem ? *item.problem
                               : refused(fmt::format("cannot {} {}", what, item.name), item.error, item.message));
  }
  return failed > 0 && failed < items.size() ? Exit::partly : exit;
}

Exit print_items(Format format, std::string_view what, std::string_view past, const std::vector<ItemOutcome>& items) {
  if (format == Format::json) {
    Json all = Json::array();
    for (const ItemOutcome& item : items) {
      const bool good = item.error == ErrorCode::none;
      all.push_back({{"name", item.name},
                     {"error", good ? Json(nullptr) : Json(std::string(common::model::to_string(item.error)))}});
    }
    print_out(all.dump(2) + "\n");
  } else {
    for (const ItemOutcome& item : items) {
      if (item.error != ErrorCode::none) continue;
      print_out(format == Format::name ? item.name + "\n" : fmt::format("{} {}\n", past, item.name));
    }
  }
  return conclude(what, items);
}

bool confirmed(bool yes, std::string_view verb, std::string_view question) {
  if (yes) return true;
  if (!is_terminal(STDIN_FILENO)) {
    report(
        {.exit = Exit::usage, .message = fmt::format("{} only with --yes when it cannot ask", verb), .next_step = {}});
    return false;
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

}  // namespace cli
