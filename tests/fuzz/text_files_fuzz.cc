// Text that people or programs have written: server.properties and whatever else has Java's format (profiles,
// --command-config), settings of topics as they come from clients and lie in the metadata log, and histories of
// `naru verify`. It is understood or refused with words; what was read survives being written again.
//
//   input = kind:u8 text      0 properties   1 a history, in pieces of kind / 4   2 a run's record
#include "cli/verify/history_file.h"
#include "cli/verify/payload.h"
#include "common/config/config_load.h"
#include "common/config/topic_config.h"
#include "common/model/check.h"
#include "fuzz/input.h"

namespace {

using common::config::ConfigMap;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\f') {
      out += "\\f";
    } else {
      if (std::string_view("\\ :=#!").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out;
}

void read_properties(std::string_view text) {
  const ConfigMap map = common::config::parse_properties(text);
  std::string again;
  for (const auto& [name, value] : map) again += escaped(name) + "=" + escaped(value) + "\n";
  NARU_CHECK(common::config::parse_properties(again) == map, "our own properties are not understood");

  const auto loaded = common::config::load_config({.file = map, .environment = {}, .sets = {}});
  if (loaded) {
    (void)common::config::given_lines(loaded->config);
  } else {
    NARU_CHECK(!loaded.error().empty(), "refused without a word");
  }
  (void)common::config::checked_lines(map);

  // The same pairs as a topic's, which any client may send.
  const auto may_be_stored = common::config::check_topic_configs(map);
  (void)common::config::check_topic_configs_together(map);
  (void)common::config::check_dynamic_broker_configs(map, common::config::ConfigOf::all_brokers);
  const common::config::BrokerConfig broker;
  common::config::ConfigLayers layers;
  layers.broker = &broker;
  layers.topic = common::config::lookup_in(map);
  const auto described = common::config::describe_topic(layers);
  const auto settings = common::config::resolve_topic(layers);
  NARU_CHECK(!may_be_stored || (settings.segment_bytes > 0 && !described.empty()), "a topic that nobody can use");
}

tl::expected<cli::verify::Verdict, cli::verify::HistoryError> check(std::string_view text, size_t piece) {
  cli::verify::HistoryReader reader;
  while (!text.empty()) {
    if (auto fed = reader.feed(text.substr(0, piece)); !fed) return tl::unexpected(fed.error());
    text.remove_prefix(std::min(piece, text.size()));
  }
  return reader.finish();
}

void read_history(std::string_view text, size_t piece) {
  const auto whole = check(text, std::max<size_t>(text.size(), 1));
  const auto pieces = check(text, piece);
  NARU_CHECK(whole.has_value() == pieces.has_value(), "another verdict in pieces of {}", piece);
  if (whole) {
    NARU_CHECK(whole->anomalies == pieces->anomalies, "other anomalies in pieces of {}", piece);
  } else {
    NARU_CHECK(whole.error().line == pieces.error().line && !whole.error().message.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const unsigned kind = input.u8();
  const std::string_view text = common::model::as_text(input.rest());
  switch (kind % 4) {
    case 0:
      read_properties(text);
      break;
    case 1:
      read_history(text, kind / 4 + 1);
      break;
    default: {
      const auto payload = cli::verify::parse_payload("run", text);
      if (!payload.is_ours || payload.value < 0) break;
      const auto again = cli::verify::parse_payload("run", cli::verify::payload_of("run", payload.value, text.size()));
      NARU_CHECK(again.is_ours && again.value == payload.value, "our own record is not understood");
    }
  }
  return 0;
}
